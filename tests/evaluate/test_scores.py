"""Scores of predictions against observations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from opinioncast.errors import DataError, InputError
from opinioncast.evaluate import coverage as cov
from opinioncast.evaluate import scores as scoring
from opinioncast.evaluate.bounds import uniform_bound
from opinioncast.evaluate.scores import score_cells
from opinioncast.readers.subpop import read_rows, to_table
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

SCALED = Question("q1", "First?", ("Low", "Mid", "High"), (1, 2, 3))
NOMINAL = Question("q2", "Second?", ("Red", "Blue"))
WOMEN, MEN = Subpopulation((("SEX", "Female"),)), Subpopulation((("SEX", "Male"),))

OBSERVED = OpinionTable.from_rows(
    [
        opinion_row(SCALED, WOMEN, [1, 0, 0], n=100, n_eff=80.0),
        opinion_row(SCALED, MEN, [0.5, 0.5, 0], n=100),
        opinion_row(NOMINAL, WOMEN, [0.5, 0.5]),
        opinion_row(NOMINAL, MEN, [0.5, 0.5]),
    ]
)


def predictions(*rows: tuple[Question, Subpopulation, list[float]]) -> PredictionTable:
    return PredictionTable.from_rows(
        [opinion_row(q, g, p, model="m", method="x", label_mass=1.0) for q, g, p in rows]
    )


def test_means_are_over_cells_with_a_scale_and_say_so() -> None:
    scores = score_cells(
        OBSERVED,
        predictions(
            (SCALED, MEN, [0.5, 0.5, 0]), (SCALED, WOMEN, [0, 0, 1]), (NOMINAL, WOMEN, [1, 0])
        ),
    )
    means = scores.mean()
    assert means["wd"] == pytest.approx(0.5)  # 1 and 0
    assert (means["cells"], means["cells_in_all"]) == (2, 3)
    # Uniform: women 1/3 + 2/3 over a range of 2 = 1/2; men 1/6 + 1/3 over 2 = 1/4.
    assert means["wd_uniform"] == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert (scores.unpredicted, scores.coverage.count(cov.UNOBSERVED)) == (1, 0)
    assert scores.frame.filter(question_id="q2")["wd"].null_count() == 1
    by = dict(scores.by("group").select("group", "wd").iter_rows())
    assert by == {"Female": pytest.approx(1), "Male": pytest.approx(0)}


def test_the_interval_resamples_questions_not_cells() -> None:
    questions = [Question(f"q{i}", f"Question {i}?", ("a", "b"), (1, 2)) for i in range(2)]
    groups = [Subpopulation((("AGE", f"{i}"),)) for i in range(50)]
    observed = OpinionTable.from_rows(
        [opinion_row(q, g, [1, 0]) for q in questions for g in groups]
    )
    first, second = (q.question_id for q in questions)
    given: dict[str, list[float]] = {first: [1, 0], second: [0, 1]}
    scores = score_cells(
        observed,
        predictions(*((q, g, given[q.question_id]) for q in questions for g in groups)),
    )
    # Two questions, distances 0 and 1: resampling them reaches both ends; cells would not.
    assert scores.interval() == pytest.approx((0, 1))


def test_options_in_another_order_are_put_in_order_by_text_and_counted() -> None:
    turned = Question("q1", "First?", ("High", "Low", "Mid"), (3, 1, 2))
    straight = score_cells(OBSERVED, predictions((SCALED, WOMEN, [0.6, 0.3, 0.1])))
    scores = score_cells(OBSERVED, predictions((turned, WOMEN, [0.1, 0.6, 0.3])))
    assert scores.frame["predicted"].to_list() == [[0.6, 0.3, 0.1]]
    assert scores.frame["wd"].to_list() == straight.frame["wd"].to_list()
    assert scores.coverage.count(cov.REORDERED) == 1
    assert straight.coverage.count(cov.REORDERED) == 0
    assert "q1 SEX=Female" in str(
        next(f for f in scores.coverage.findings if f.what == cov.REORDERED)
    )


def test_other_options_and_scales_are_named_and_counted() -> None:
    other = Question("q1", "First?", ("Low", "Middle", "High"), (1, 2, 3))
    scale = Question("q1", "First?", ("Low", "Mid", "High"), (0, 5, 7))
    scores = score_cells(
        OBSERVED, predictions((other, WOMEN, [1, 0, 0]), (scale, MEN, [0.5, 0.5, 0]))
    )
    assert scores.coverage.count(cov.OTHER_OPTIONS) == 1
    assert scores.coverage.count(cov.OTHER_SCALE) == 1
    assert scores.frame["group"].to_list() == ["Male"]
    assert scores.frame["ordinal"].to_list() == [[1, 2, 3]]
    with pytest.raises(DataError, match="no cell in common") as error:
        score_cells(OBSERVED, predictions((other, WOMEN, [1, 0, 0])))
    assert "other options" in str(error.value)


def test_rows_of_a_foreign_frame_that_hold_no_distribution_are_named_and_counted() -> None:
    groups = [Subpopulation((("AGE", f"{i}"),)) for i in range(7)]
    observed = OpinionTable.from_rows([opinion_row(SCALED, g, [0.2, 0.3, 0.5]) for g in groups])
    shares = [
        [0.2, 0.3, 0.5],
        [0.2, np.nan, 0.5],
        [0.2, -0.1, 0.9],
        [0.2, 0.2, 0.2],
        [0.2, 0.3, 0.502],
        [0.5, 0.5],
        None,
    ]
    rows = [
        {"question_id": "q1", "attribute": "AGE", "group": f"{i}", "options": list(SCALED.options)}
        | {"distribution": s}
        for i, s in enumerate(shares)
    ]
    rows.append(rows[0] | {"question_id": "q77"})
    scores = score_cells(observed, pl.DataFrame(rows, infer_schema_length=None))
    count = scores.coverage.count
    assert count(cov.NOT_A_DISTRIBUTION) == 3
    assert count(cov.UNNORMALISED) == 1
    assert count(cov.RESCALED) == 1
    assert count(cov.WRONG_LENGTH) == 1
    assert count(cov.UNKNOWN_QUESTIONS) == count(cov.UNOBSERVED) == 1
    assert count(cov.UNPREDICTED) == count(cov.MISSING_GROUPS) == 5
    assert scores.frame["group"].to_list() == ["0", "4"]
    assert sum(scores.frame["predicted"][1]) == pytest.approx(1)
    assert (scores.coverage.asked, scores.coverage.scored) == (7, 2)
    repeated = pl.DataFrame(rows[:1] * 2 + rows[4:5])
    assert score_cells(observed, repeated).coverage.count(cov.REPEATED) == 2
    with pytest.raises(DataError, match="lack columns"):
        score_cells(observed, repeated.drop("options"))


def test_options_without_text_and_rows_without_a_key_are_named_and_counted() -> None:
    row = {
        "question_id": "q1",
        "attribute": "SEX",
        "options": ["Low", "Mid", "High"],
        "distribution": [0.2, 0.3, 0.5],
    }
    rows = [
        row | {"group": "Female"},
        row | {"group": "Male", "options": ["Low", None, "High"]},
        row | {"group": "Other", "question_id": None},
        row | {"group": "Other", "question_id": None},
        row | {"group": None},
        row | {"group": "Third", "options": None},
    ]
    scores = score_cells(OBSERVED, pl.DataFrame(rows, infer_schema_length=None))
    count = scores.coverage.count
    assert count(cov.NO_OPTION_TEXT) == 1
    assert count(cov.NO_KEY) == 3
    assert count(cov.REPEATED) == 0  # nothing says that they are one cell
    assert count(cov.WRONG_LENGTH) == 1
    assert scores.frame["group"].to_list() == ["Female"]


def test_an_average_over_fewer_cells_says_so_in_its_row() -> None:
    scores = score_cells(
        OBSERVED, predictions((SCALED, WOMEN, [1, 0, 0]), (NOMINAL, WOMEN, [0.5, 0.5]))
    )
    women, men = scores.by("group").iter_rows(named=True)
    assert (women["cells"], women["cells_scored"], women["asked"]) == (1, 2, 2)
    assert women["note"] == "1 of 2 cells; 1 without a distance on a scale"
    assert women["wd"] == 0
    assert (men["wd"], men["cells"], men["asked"]) == (None, 0, 2)
    assert men["note"] == "0 of 2 cells; 2 without a usable prediction"
    assert scores.coverage.count(cov.WITHOUT_SCALE) == 1
    whole = score_cells(
        OBSERVED.filter(pl.col("question_id") == "q1"),
        predictions((SCALED, WOMEN, [1, 0, 0]), (SCALED, MEN, [1, 0, 0])),
    )
    assert whole.mean()["note"] == ""
    with pytest.raises(InputError, match="averaged by"):
        scores.by("colour")


def test_nobody_on_the_scale_is_counted() -> None:
    unsure = Question("q3", "Third?", ("No", "Yes", "Unsure"), (1, 2, -1))
    observed = OpinionTable.from_rows([opinion_row(unsure, WOMEN, [0, 0, 1])])
    scores = score_cells(observed, predictions((unsure, WOMEN, [0.5, 0.5, 0])))
    assert scores.coverage.count(cov.NOBODY_ON_SCALE) == 1
    assert scores.coverage.count(cov.WITHOUT_SCALE) == 0
    assert scores.mean()["wd"] is None
    assert scores.mean()["tv"] == 1


def test_every_column_by_hand() -> None:
    scores = score_cells(OBSERVED, predictions((SCALED, MEN, [0.25, 0.75, 0])))
    row = scores.mean()
    assert row["wd"] == pytest.approx(0.125)
    assert row["tv"] == pytest.approx(0.25)
    assert row["one_hot_accuracy"] == 1  # people undecided between the two, the model names one
    assert row["one_hot_error"] == 0
    assert row["top_choice_agreement"] == 0.5
    assert row["entropy"] == pytest.approx(np.log(2))
    assert row["variance"] == pytest.approx(1 / 16)
    assert row["variance_model"] == pytest.approx(3 / 64)
    assert row["variance_ratio"] == pytest.approx(0.75)
    assert row["kl_infinite"] == 0
    collapsed = score_cells(OBSERVED, predictions((SCALED, MEN, [0, 1, 0])))
    assert collapsed.mean()["kl_infinite"] == 1
    assert collapsed.mean()["variance_ratio"] == 0
    assert np.isfinite(collapsed.mean()["kl"])


def test_the_intervals_of_shares_by_hand() -> None:
    """Three options; the second share lies outside; a row without intervals counts in neither."""
    row = opinion_row(SCALED, MEN, [0.25, 0.75, 0])
    ends = {"low": [0.2, 0.7, 0.0], "high": [0.55, 0.85, 0.1]}
    made = PredictionTable.from_rows([row | ends, opinion_row(SCALED, WOMEN, [0.5, 0.5, 0])])
    scores = score_cells(OBSERVED, made)
    known = scores.frame.filter(pl.col("group") == "Male").row(0, named=True)
    inside = [
        low - 1e-9 <= share <= high + 1e-9
        for low, share, high in zip(ends["low"], known["observed"], ends["high"], strict=True)
    ]
    assert known["covered"] == pytest.approx(sum(inside) / 3)
    assert known["half_width"] == pytest.approx((0.35 + 0.15 + 0.1) / 2 / 3)
    assert scores.mean()["half_width"] == pytest.approx(known["half_width"])
    assert scores.frame.filter(pl.col("group") == "Female")["covered"].to_list() == [None]


def test_intervals_of_groups_see_the_same_questions() -> None:
    rng = np.random.default_rng(0)
    questions = [Question(f"q{i}", f"Question {i}?", ("a", "b"), (1, 2)) for i in range(40)]
    x = rng.uniform(0, 0.5, 40)
    observed = OpinionTable.from_rows(
        [opinion_row(q, g, [1, 0]) for q in questions for g in (WOMEN, MEN)]
    )
    scores = score_cells(
        observed,
        predictions(
            *((q, WOMEN, [1 - v, v]) for q, v in zip(questions, x, strict=True)),
            *((q, MEN, [0.9 - v, 0.1 + v]) for q, v in zip(questions, x, strict=True)),
        ),
    )
    women, men = scores.intervals("group").iter_rows()
    assert men[1:] == pytest.approx([women[1] + 0.1, women[2] + 0.1])
    # the bootstrap's interval is near the normal one
    half = 1.96 * x.std() / np.sqrt(40)
    assert women[1:] == pytest.approx([x.mean() - half, x.mean() + half], abs=0.01)
    low, high = scores.interval()
    assert (low, high) == pytest.approx((women[1] + 0.05, women[2] + 0.05))


def test_chunks_and_foreign_order_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    given = predictions(
        (SCALED, MEN, [0.5, 0.5, 0]), (NOMINAL, WOMEN, [1, 0]), (SCALED, WOMEN, [0, 0, 1])
    )
    whole = score_cells(OBSERVED, given).frame
    monkeypatch.setattr(scoring, "_CHUNK", 1)
    assert score_cells(OBSERVED, given).frame.equals(whole)


def test_the_uniform_bound_of_the_papers_groups(shared_data: Path) -> None:
    """Table 1: 0.178 on OpinionQA. A uniform prediction scores it, and equals the bound."""
    rows = read_rows(shared_data / "opinionqa" / "opinionqa_contentious.jsonl")
    table = to_table(rows.filter(rows["in_sample22"]), family="ATP")
    uniform = PredictionTable(
        table.frame.with_columns(
            distribution=pl.col("options").list.eval(1.0 / pl.len() + 0.0 * pl.int_range(pl.len()))
        )
    )
    scores = score_cells(table, uniform)
    assert scores.mean()["wd"] == pytest.approx(0.178, abs=0.006)
    assert scores.mean()["wd"] == pytest.approx(uniform_bound(table)["uniform"][-1])
    assert scores.frame["wd"].equals(scores.frame["wd_uniform"])
    by_wave = scores.by("wave")
    assert by_wave["cells"].sum() == len(table)
    assert (by_wave["wd"] * by_wave["cells"]).sum() / len(table) == pytest.approx(
        scores.mean()["wd"]
    )


def test_nothing_in_common_is_refused() -> None:
    other = Question("q9", "Ninth?", ("a", "b"), (1, 2))
    with pytest.raises(DataError, match="no cell in common"):
        score_cells(OBSERVED, predictions((other, WOMEN, [1, 0])))


def test_no_scale_at_all_gives_no_mean() -> None:
    scores = score_cells(OBSERVED, predictions((NOMINAL, WOMEN, [1, 0])))
    assert scores.mean()["wd"] is None
    assert np.isnan(scores.interval()).all()
