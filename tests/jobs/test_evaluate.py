"""The whole evaluation: files, terms of redistribution, inputs of several kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import polars as pl
import pytest

from opinioncast.cli.main import main
from opinioncast.errors import DataError, InputError
from opinioncast.evaluate.bounds import Bounds
from opinioncast.evaluate.scores import score_cells
from opinioncast.jobs.evaluate import evaluate_to_files
from opinioncast.jobs.evaluation_inputs import (
    Inputs,
    read_bounds,
    read_opinions,
    read_predictions,
    write_bounds,
)
from opinioncast.readers.subpop import write_subpop
from opinioncast.survey import (
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)

AGES = [Subpopulation((("AGE", a),)) for a in ("18-29", "30-49", "50-64", "65+")]
SEXES = [Subpopulation((("SEX", s),)) for s in ("Male", "Female")]
QUESTIONS = [
    Question(
        f"q{i}_W{26 + i % 2}",
        f"Question {i}?",
        ("No", "Some", "Yes"),
        (1, 2, 3),
        "ATP",
        str(26 + i % 2),
    )
    for i in range(12)
]
SHARE = 0.37125  # of a cell, to be looked for in the files


def tables() -> tuple[OpinionTable, PredictionTable, PredictionTable]:
    rng = np.random.default_rng(0)
    observed, ours, zero = [], [], []
    for question in QUESTIONS:
        base = rng.dirichlet(np.ones(3) * 3)
        for i, group in enumerate([*AGES, *SEXES]):
            tilt = np.array([1.5 - 0.2 * i, 1.0, 0.5 + 0.2 * i])
            p = base * tilt / (base * tilt).sum()
            q = 0.8 * p + 0.2 * rng.dirichlet(np.ones(3) * 5)
            observed.append(opinion_row(question, group, p.tolist(), n=300, n_eff=250.0))
            more = {"label_mass": 0.9, "method": "x"}
            ours.append(opinion_row(question, group, q.tolist(), model="ours", **more))
            flat = rng.dirichlet(np.ones(3) * 8)
            zero.append(opinion_row(question, group, flat.tolist(), model="zero", **more))
    observed[0]["distribution"] = [SHARE, 0.5, 0.5 - SHARE]
    return (
        OpinionTable.from_rows(observed, {"redistribution": "group-level", "citation": "Who"}),
        PredictionTable.from_rows(ours, {"method": "fine-tuned"}),
        PredictionTable.from_rows(zero),
    )


OBSERVED, OURS, ZERO = tables()


def bounds() -> pl.DataFrame:
    keys = [*(g.key for g in [*AGES, *SEXES]), ("OVERALL", "all groups")]
    return pl.DataFrame(keys, schema=["attribute", "group"], orient="row").with_columns(
        human=pl.lit(0.02), human_low=pl.lit(0.015), human_high=pl.lit(0.025)
    )


@pytest.mark.slow
def test_everything_is_written_and_agrees(tmp_path: Path) -> None:
    partial = PredictionTable(OURS.frame.filter(pl.col("group") != "Female"), OURS.meta)
    run = evaluate_to_files(
        Inputs(
            partial,
            OBSERVED,
            baseline=ZERO,
            bounds=bounds(),
            seen=tuple(load_groups("paper22")),
            training=OBSERVED,
            encode=_encode,
        ),
        tmp_path,
    )
    names = {f.name for f in run.files}
    assert {f.name for f in tmp_path.iterdir()} == names
    for stem in ("by_group", "by_wave", "by_family", "by_entropy", "by_similarity"):
        assert {f"{stem}.csv", f"{stem}.md", f"{stem}.tex"} <= names
    assert {"groups.svg", "groups.png", "steerability_AGE.svg", "page.html", "manifest.json"} <= (
        names
    )
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    cells = pl.read_csv(tmp_path / "scores.csv")
    assert cells.height == 60
    assert summary["mean"]["wd"] == pytest.approx(cells["wd"].mean())
    assert summary["mean"]["note"] == "60 of 72 cells; 12 without a usable prediction"
    assert summary["human_bound"] == 0.02
    assert summary["against_baseline"]["difference"] < 0
    assert summary["relative_improvement"]["groups"] == 5
    assert set(summary["steerability"]) == {"AGE"}
    assert summary["steerability"]["AGE"]["correlation"] > 0.8
    by_group = pl.read_csv(tmp_path / "by_group.csv")
    women = by_group.filter(group="Female").row(0, named=True)
    assert women["wd"] is None
    assert women["note"] == "0 of 12 cells; 12 without a usable prediction"
    young = by_group.filter(group="18-29").row(0, named=True)
    assert young["relative"] == pytest.approx(
        (young["baseline"] - young["wd"]) / (young["baseline"] - 0.02)
    )
    assert young["wd_low"] < young["wd"] < young["wd_high"]
    relative = by_group["relative"].drop_nulls().to_list()
    assert summary["relative_improvement"]["mean"] == pytest.approx(fmean(relative))
    # of a sample of groups, not of all there are
    assert summary["relative_improvement"]["standard_deviation"] == pytest.approx(stdev(relative))
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "Is it steered by age" in page
    assert run.withheld is None
    assert f"{SHARE}" in (tmp_path / "scores.csv").read_text("utf-8")


@pytest.fixture(scope="module")
def open_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an evaluation whose terms allow group-level results."""
    folder = tmp_path_factory.mktemp("open")
    assert evaluate_to_files(Inputs(OURS, OBSERVED), folder).withheld is None
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("terms", ["none", None])
def test_terms_that_do_not_allow_it_keep_observed_shares_out(
    tmp_path: Path, open_folder: Path, terms: str | None
) -> None:
    closed = OpinionTable(OBSERVED.frame, {"redistribution": terms} if terms else {})
    run = evaluate_to_files(Inputs(OURS, closed), tmp_path)
    assert run.withheld is not None
    shown = f"{round(100 * SHARE)}%"
    for file in run.files:
        if file.suffix in {".csv", ".md", ".tex", ".json"}:
            assert str(SHARE) not in file.read_text("utf-8"), file.name
    closed_page = (tmp_path / "page.html").read_text("utf-8")
    assert shown in (open_folder / "page.html").read_text("utf-8")
    assert shown not in closed_page
    assert run.withheld in closed_page
    columns = pl.read_csv(tmp_path / "scores.csv").columns
    assert columns[-2:] == ["wd", "tv"]
    assert not {"observed", "predicted", "wd_uniform", "entropy", "variance"} & set(columns)


@pytest.mark.slow
def test_what_is_private_is_withheld_from_nobody_and_tables_come_first(tmp_path: Path) -> None:
    closed = OpinionTable(OBSERVED.frame, {"redistribution": "none"})
    told: list[tuple[int, int]] = []
    private = evaluate_to_files(
        Inputs(OURS, closed, private=True),
        tmp_path,
        progress=lambda done, total: told.append((done, total)),
    )
    assert [done for done, _ in told] == list(range(len(told)))
    assert told[-1] == (6, 6)  # scoring, tables, the chart by group, age, sex, the page
    names = [f.name for f in private.files]  # tables are safe before anything is drawn
    assert names.index("summary.json") < names.index("groups.svg")
    assert private.withheld is None


@pytest.mark.slow
def test_averages_over_few_cells_are_blank_where_shares_are_withheld(tmp_path: Path) -> None:
    few = OpinionTable(OBSERVED.frame.filter(pl.col("question_id") == "q0_W26"))
    evaluate_to_files(Inputs(OURS, few), tmp_path)
    by_group = pl.read_csv(tmp_path / "by_group.csv")
    assert by_group["wd"].null_count() == 0
    for column in ("wd_uniform", "wd_noise", "lower", "entropy", "variance", "skill"):
        assert by_group[column].null_count() == 6, column


@pytest.mark.slow
def test_files_of_other_kinds(tmp_path: Path) -> None:
    OURS.write(tmp_path / "p.parquet")
    assert isinstance(read_predictions(tmp_path / "p.parquet"), PredictionTable)
    OURS.frame.with_columns(pl.col("distribution").list.eval(pl.element() * 2)).write_parquet(
        tmp_path / "bare.parquet"
    )
    bare = read_predictions(tmp_path / "bare.parquet")
    with pytest.raises(DataError, match="no cell in common") as error:
        evaluate_to_files(Inputs(bare, OBSERVED), tmp_path / "out")
    assert "do not sum to one: 72" in str(error.value)
    write_subpop(OBSERVED, tmp_path / "o.jsonl")
    same = read_opinions(tmp_path / "o.jsonl")
    foreign = read_predictions(tmp_path / "o.jsonl")
    run = evaluate_to_files(Inputs(foreign, same), tmp_path / "subpop")
    assert run.scores.mean()["wd"] == pytest.approx(0, abs=1e-9)
    assert run.scores.coverage.findings == ()
    with pytest.raises(DataError, match="not found"):
        read_predictions(tmp_path / "absent.parquet")


@pytest.mark.slow
def test_rows_without_keys_meet_by_what_they_ask(tmp_path: Path) -> None:
    """As OpinionQA's other questions come: no ``qkey`` in any row, on either side."""
    write_subpop(OBSERVED, tmp_path / "o.jsonl")
    lines = (tmp_path / "o.jsonl").read_text("utf-8").splitlines()
    bare = [json.dumps(json.loads(line) | {"qkey": None}) for line in lines]
    (tmp_path / "bare.jsonl").write_text("\n".join(bare), "utf-8")
    (tmp_path / "turned.jsonl").write_text("\n".join(reversed(bare)), "utf-8")
    same = read_opinions(tmp_path / "bare.jsonl")
    run = evaluate_to_files(
        Inputs(read_predictions(tmp_path / "turned.jsonl"), same), tmp_path / "out"
    )
    assert len(run.scores.frame) == len(OBSERVED) == 72
    assert run.scores.mean()["wd"] == pytest.approx(0, abs=1e-9)
    assert run.scores.coverage.findings == ()


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.mark.slow
def test_one_question_has_no_interval_in_file_page_or_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = pl.col("question_id") == "q0_W26"
    OBSERVED.filter(one).write(tmp_path / "o.parquet")
    OURS.filter(one).write(tmp_path / "p.parquet")
    ZERO.filter(one).write(tmp_path / "z.parquet")
    files = [str(tmp_path / name) for name in ("p.parquet", "o.parquet")]
    command = ["evaluate", *files, "--baseline", str(tmp_path / "z.parquet")]
    with pytest.raises(SystemExit) as stop:
        main([*command, "-o", str(tmp_path / "out")])
    assert stop.value.code in (None, 0)
    said = " ".join(capsys.readouterr().out.split())
    assert "6 of 6 cells of 1 question: model" in said
    assert "(95% over questions -)" in said
    text = (tmp_path / "out" / "summary.json").read_text("utf-8")
    summary = json.loads(text, parse_constant=_refuse)
    assert summary["interval_95"] is None
    assert summary["against_baseline"]["low"] is None
    assert (summary["questions"], summary["questions_with_waves"]) == (1, 1)
    page = (tmp_path / "out" / "page.html").read_text("utf-8")
    assert "95% over questions -<" in page
    for words in (said, re.sub('base64,[^"]*', "", page)):
        assert not re.search(r"\bnan\b", words, re.IGNORECASE)


@pytest.mark.slow
def test_questions_of_two_waves_are_counted_once(tmp_path: Path) -> None:
    both = [table.filter(pl.col("wave") == "26").frame for table in (OBSERVED, OURS)]
    observed, ours = (pl.concat([frame, frame.with_columns(wave=pl.lit("29"))]) for frame in both)
    run = evaluate_to_files(
        Inputs(PredictionTable(ours), OpinionTable(observed, {"redistribution": "group-level"})),
        tmp_path,
    )
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert (summary["questions"], summary["questions_with_waves"]) == (6, 12)
    once = score_cells(OpinionTable(both[0]), PredictionTable(both[1]))
    assert run.scores.interval() == pytest.approx(once.interval())
    assert summary["interval_95"] == pytest.approx(once.interval())
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "<dt>Questions</dt><dd>6 (12 with waves)</dd>" in page


def test_bounds_files(tmp_path: Path) -> None:
    bounds().write_csv(tmp_path / "b.csv")
    assert read_bounds(tmp_path / "b.csv").groups.equals(bounds())
    assert read_bounds(tmp_path / "b.csv").cells is None
    bounds().head(3).write_csv(tmp_path / "short.csv")
    with pytest.raises(DataError, match="lack the human bound"):
        read_bounds(tmp_path / "short.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_bounds(tmp_path / "absent.csv")
    text = (tmp_path / "b.csv").read_text("utf-8")
    (tmp_path / "text.csv").write_text(text.replace("0.015", "n/a", 1), "utf-8")
    with pytest.raises(DataError, match="not a number") as caught:
        read_bounds(tmp_path / "text.csv")
    assert "row 1, column human_low" in str(caught.value)
    assert "n/a" in str(caught.value)
    for wrong in ("NaN", "-0.1", "1.5", "inf"):
        (tmp_path / "wrong.csv").write_text(text.replace("0.015", wrong, 1), "utf-8")
        with pytest.raises(DataError, match="not a number") as caught:
            read_bounds(tmp_path / "wrong.csv")
        assert "row 1, column human_low" in str(caught.value)
    pl.concat([bounds().head(1), bounds()]).write_csv(tmp_path / "twice.csv")
    with pytest.raises(DataError, match="two bounds"):
        read_bounds(tmp_path / "twice.csv")
    (tmp_path / "empty.csv").write_text(text.replace("0.015", "", 1), "utf-8")
    assert read_bounds(tmp_path / "empty.csv").groups["human_low"].to_list()[:2] == [None, 0.015]


def test_bounds_by_cell_stand_beside(tmp_path: Path) -> None:
    groups = bounds().with_columns(n_questions=pl.lit(1))
    cells = groups.head(6).select(
        family=pl.lit("ATP"),
        wave=pl.lit(""),
        question_id=pl.lit("7"),
        attribute="attribute",
        group="group",
        human="human",
    )
    files = write_bounds(Bounds(groups, cells), tmp_path / "b.csv")
    assert [f.name for f in files] == ["b.csv", "b_cells.csv", "b.csv.manifest.json"]
    found = read_bounds(tmp_path / "b.csv")
    assert found.cells is not None
    assert found.cells.equals(cells)
    beside = tmp_path / "b_cells.csv"
    kept = beside.read_bytes()
    write_bounds(Bounds(groups.with_columns(n_questions=pl.lit(2))), tmp_path / "b.csv")
    assert not beside.exists()  # an earlier run's
    beside.write_bytes(kept)
    with pytest.raises(DataError, match="cells are not those of the groups"):
        read_bounds(tmp_path / "b.csv")
    drawn = groups.with_columns(empty_draws=pl.lit(0))
    write_bounds(Bounds(drawn, cells), tmp_path / "b.csv")
    assert read_bounds(tmp_path / "b.csv").cells is not None
    other = cells.with_columns(human=pl.col("human") + 0.001)  # another seed's, say
    other.write_csv(beside)
    with pytest.raises(DataError, match="of another run"):
        read_bounds(tmp_path / "b.csv")
    sparse = drawn.with_columns(empty_draws=pl.lit(1))  # their means are over other replicates
    sparse.write_csv(tmp_path / "b.csv")
    assert read_bounds(tmp_path / "b.csv").cells is not None
    beside.write_text("x\n1\n", "utf-8")
    with pytest.raises(DataError, match="cells cannot be read"):
        read_bounds(tmp_path / "b.csv")


@pytest.mark.slow
def test_the_bound_is_that_of_the_groups_scored(tmp_path: Path) -> None:
    """Predictions of two of the bounds' four groups: 0.95 of the way, not 1.23."""
    question = Question("q", "Yes?", ("No", "Yes"), (0, 1), "GSS", "1")
    observed = OpinionTable.from_rows(
        [opinion_row(question, g, [0.3, 0.7], n=100) for g in AGES],
        {"redistribution": "group-level"},
    )
    predicted = PredictionTable.from_rows([opinion_row(question, g, [0.4, 0.6]) for g in AGES[:2]])
    human = [0.095, 0.095, 0.143, 0.143, 0.119]
    keys = [*(g.key for g in AGES), ("OVERALL", "all groups")]
    known = pl.DataFrame(keys, schema=["attribute", "group"], orient="row").with_columns(
        human=pl.Series(human), human_low=pl.lit(0.09), human_high=pl.lit(0.15)
    )
    evaluate_to_files(Inputs(predicted, observed, bounds=known), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["human_bound"] == pytest.approx(0.095)
    assert summary["lower_bound"] == "human"
    assert summary["skill"] == pytest.approx((0.2 - 0.1) / (0.2 - 0.095))
    assert round(summary["skill"], 3) == 0.952
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "and beyond" not in page
    assert "95%" in page
    by_group = pl.read_csv(tmp_path / "by_group.csv")
    assert by_group["skill"].to_list()[:2] == pytest.approx([0.1 / 0.105] * 2)


@pytest.mark.slow
def test_questions_that_the_training_asks_too_are_counted(tmp_path: Path) -> None:
    first, second, third = QUESTIONS[:3]
    training = OpinionTable.from_rows(
        [
            opinion_row(q, AGES[0], [0.2, 0.3, 0.5])
            for q in (
                replace(first, wave="99", question_id="q0_W99", text="Other words"),
                replace(second, family="GSS", question_id="x", text=second.text.upper()),
            )
        ]
    )
    run = evaluate_to_files(
        Inputs(OURS, OBSERVED, training=training, encode=lambda texts: np.eye(40)[: len(texts)]),
        tmp_path,
    )
    assert run.same is not None
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    same = summary["asked_in_training_too"]
    assert (same["questions"], same["key"], same["wording"]) == (12, 1, 1)
    table = pl.read_csv(tmp_path / "by_training.csv")
    cells = dict(table.select("training_band", "cells").iter_rows())
    assert cells["1 asked in training too: the same key"] == 6
    assert cells["2 asked in training too: the same wording"] == 6
    assert sum(cells.values()) == 72
    assert third.question_id
    assert "Questions asked in training too" in (tmp_path / "page.html").read_text("utf-8")


@pytest.mark.slow
def test_similarity_needs_an_encoder(tmp_path: Path) -> None:
    inputs = Inputs(OURS, OBSERVED, training=OBSERVED)
    with pytest.raises(InputError, match="sentence model"):
        evaluate_to_files(inputs, tmp_path)
    run = evaluate_to_files(replace(inputs, encode=_encode), tmp_path)
    assert "similarity_band" in run.scores.asked.columns


def _encode(texts: Sequence[str]) -> np.ndarray:
    rng = np.random.default_rng(0)
    table = {t: rng.normal(size=4) for t in sorted(set(texts))}
    vectors = np.array([table[t] for t in texts])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.slow
def test_questions_whose_answers_the_library_had_are_not_scored(tmp_path: Path) -> None:
    used = {"library": {"used": {"q0_W26": ["GSS/x"], "q1_W27": ["GSS/y"]}}}
    knew = PredictionTable(OURS.frame, {**OURS.meta, **used})
    run = evaluate_to_files(Inputs(knew, OBSERVED), tmp_path / "out")
    assert run.library_knew == 2
    assert set(run.scores.frame["question_id"]) == {q.question_id for q in QUESTIONS[2:]}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["library_knew"] == 2
    assert "library had their answers" in (tmp_path / "out" / "page.html").read_text()
    # of the baseline too; and where nothing else is left there is no score
    other = evaluate_to_files(Inputs(OURS, OBSERVED, baseline=knew), tmp_path / "other")
    assert other.library_knew == 2
    everything = {"library": {"used": {q.question_id: ["GSS/x"] for q in QUESTIONS}}}
    with pytest.raises(DataError, match=r"(?s)knew every question.*--no-library"):
        evaluate_to_files(
            Inputs(PredictionTable(OURS.frame, everything), OBSERVED), tmp_path / "none"
        )


@pytest.mark.slow
def test_questions_of_the_models_own_training_are_said(tmp_path: Path) -> None:
    same = {"questions": 12, "asked_in_training_too": 2}
    trained = PredictionTable(
        OURS.frame, {**OURS.meta, "method": "zero-shot", "same_questions": same}
    )
    evaluate_to_files(Inputs(trained, OBSERVED), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    (said,) = summary["in_training_of_the_model"]
    assert said.startswith("zero-shot: 2 of 12 questions are in its training table too")
    assert said.split(";")[0] in (tmp_path / "page.html").read_text("utf-8")
