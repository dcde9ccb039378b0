"""Aggregation against hand-worked cells, and what must hold for any survey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate import aggregate as module
from opinioncast.curate.aggregate import AggregateResult, aggregate
from opinioncast.errors import DataError, InputError
from opinioncast.survey import Design, Missing, Question, Subpopulation, Variable, Wave

TOTAL = Subpopulation()
WOMEN = Subpopulation((("SEX", "Female"),))
MEN = Subpopulation((("SEX", "Male"),))
MISSING = {-9.0: Missing.REFUSED, -8.0: Missing.DONT_KNOW, -1.0: Missing.NOT_ASKED}


def _question(name: str, size: int = 2) -> Question:
    return Question(name, f"What about {name}?", tuple(f"option {i}" for i in range(size)))


def _variable(name: str, size: int = 2, **more: Any) -> Variable:
    options = tuple(f"option {i}" for i in range(size))
    codes = tuple(float(i + 1) for i in range(size))
    return Variable(name, codes=codes, options=options, **({"missing": MISSING} | more))


def _wave(columns: dict[str, list[float | None]], *variables: Variable, **more: Any) -> Wave:
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Float64))
    return Wave("TEST", "1", frame, {v.name: v for v in variables}, **more)


def _cell(result: AggregateResult, question: str, group: Subpopulation) -> dict[str, Any]:
    frame = result.table.frame.filter(
        (pl.col("question_id") == question) & (pl.col("group") == group.group)
    )
    return frame.row(0, named=True)


#                 woman woman woman  man   man   man   man
SEX = np.array([1, 1, 1, 0, 0, 0, 0], dtype=bool)
MASKS = np.stack([np.ones(7, dtype=bool), SEX, ~SEX], axis=1)
SMALL = _wave(
    {
        "w": [1.0, 2.0, 1.0, 4.0, 2.0, 2.0, 0.0],
        "a": [1.0, 2.0, -9.0, 2.0, 1.0, -8.0, 1.0],
        "b": [1.0, 1.0, 3.0, -1.0, None, -1.0, -1.0],
        "c": [-1.0, -1.0, -1.0, 1.0, 2.0, 7.0, -1.0],
    },
    _variable("a"),
    _variable("b", 3, system_missing=Missing.NO_ANSWER),
    _variable("c", missing={-1.0: Missing.NOT_ASKED}),
    design=Design("w"),
)
QUESTIONS = [(_question("a"), "a"), (_question("b", 3), "b"), (_question("c"), "c")]
GROUPS = [TOTAL, WOMEN, MEN]


def test_hand_worked_cells() -> None:
    result = aggregate(SMALL, QUESTIONS, GROUPS, MASKS)
    women = _cell(result, "a", WOMEN)
    assert women["distribution"] == pytest.approx([1 / 3, 2 / 3])
    assert women["refusal_rate"] == pytest.approx(1 / 4)
    assert women["n"] == 2
    assert women["n_eff"] == pytest.approx(3**2 / (1 + 4))
    # contributions w (y - p) / sum w: 1 (1 - 1/3) / 3 and 2 (0 - 1/3) / 3; 7 respondents in all
    se = np.sqrt(7 / 6 * (2 * (2 / 9) ** 2))
    assert women["se"] == pytest.approx([se, se])

    total = _cell(result, "a", TOTAL)
    assert total["distribution"] == pytest.approx([3 / 9, 6 / 9])
    assert total["refusal_rate"] == pytest.approx(1 / 10)
    assert total["n"] == 4
    assert _cell(result, "b", WOMEN)["distribution"] == pytest.approx([3 / 4, 0, 1 / 4])
    assert _cell(result, "c", MEN)["refusal_rate"] is None  # the source has no code for refusals
    assert (total["family"], total["wave"]) == ("TEST", "1")


def test_every_reason_for_a_missing_answer_is_kept_apart() -> None:
    result = aggregate(SMALL, QUESTIONS, GROUPS, MASKS)
    counted = result.bases.filter(pl.col("group") == MEN.group).rows_by_key(
        "question_id", named=True, unique=True
    )
    assert (
        counted["a"]
        | {
            "n": 2,
            "zero_weight": 1,
            "refused": 0,
            "don't know": 1,
            "n_group": 4,
        }
        == counted["a"]
    )
    assert (counted["b"]["not asked"], counted["b"]["no answer"]) == (3, 1)
    assert (counted["c"]["unlisted"], counted["c"]["n"]) == (1, 2)
    reasons = [m.value for m in Missing] + ["unlisted"]
    sums = result.bases.select(
        all=pl.sum_horizontal("n", "zero_weight", *reasons), n_group="n_group"
    )
    assert sums["all"].to_list() == sums["n_group"].to_list()


def test_dropped_cells_say_why() -> None:
    nobody = Subpopulation((("RELIG", "Jewish"),))
    zero = Subpopulation((("RELIG", "Hindu"),))
    masks = np.column_stack([MASKS, np.zeros(7, dtype=bool), np.arange(7) == 6])
    result = aggregate(SMALL, QUESTIONS, [*GROUPS, nobody, zero], masks, min_n=3)
    reasons = {(r["question_id"], r["group"]): r["reason"] for r in result.dropped.to_dicts()}
    assert reasons["a", "Jewish"] == "the group has no respondents in this wave"
    assert reasons["a", "Hindu"] == "all who answered have weight zero"
    assert reasons["b", "Male"] == "nobody in the group answered"
    assert reasons["a", "Female"] == "fewer than 3 respondents answered"
    assert len(result.table) + result.dropped.height == result.bases.height == 15


@pytest.mark.parametrize(("untold", "shown"), [(17, True), (4, False)])
def test_a_group_stays_where_those_left_of_the_total_are_enough(untold: int, shown: bool) -> None:
    """20 women, 3 men (too few), the others in no group: 20 or 7 people are left of the total. All
    give the first answer, which counts as an answer."""
    people = 23 + untold
    wave = _wave({"a": [1.0] * people}, _variable("a"))
    women, men = np.zeros((2, people), dtype=bool)
    women[:20], men[20:23] = True, True
    masks = np.stack([np.ones(people, dtype=bool), women, men], axis=1)
    result = aggregate(wave, QUESTIONS[:1], GROUPS, masks, min_n=10)
    there = result.table.frame["group"].to_list()
    assert there == ([TOTAL.group, WOMEN.group] if shown else [TOTAL.group])


def test_a_wave_without_a_single_answer_is_an_error() -> None:
    with pytest.raises(DataError, match="No question has an answer") as caught:
        aggregate(SMALL, QUESTIONS[1:2], [MEN], MASKS[:, 2:])
    assert "nobody in the group answered" in str(caught.value)


def test_each_question_has_its_own_weight_and_its_own_sample() -> None:
    wave = _wave(
        {
            "pre": [1.0, 1.0, 3.0],
            "post": [5.0, 1.0, None],
            "a": [1.0, 2.0, 2.0],
            "b": [1.0, 2.0, -1.0],
        },
        _variable("a"),
        _variable("b", weight="post"),
        design=Design("pre"),
    )
    pairs = [(_question("a"), "a"), (_question("b"), "b")]
    result = aggregate(wave, pairs, [TOTAL], np.ones((3, 1), dtype=bool))
    assert _cell(result, "a", TOTAL)["distribution"] == pytest.approx([1 / 5, 4 / 5])
    b = _cell(result, "b", TOTAL)
    assert b["distribution"] == pytest.approx([5 / 6, 1 / 6])
    # two respondents in the sample of the second weight, contributions 5/36 and -5/36
    assert b["se"][0] == pytest.approx(np.sqrt(2 / 1 * 2 * (5 / 36) ** 2))
    assert result.bases["weight"].to_list() == ["pre", "post"]
    assert result.table.meta["weights"] == {
        "pre": {"zero": 0, "absent": 0},
        "post": {"zero": 0, "absent": 1},
    }


def test_answers_without_a_weight_are_an_error() -> None:
    wave = _wave({"w": [1.0, None, 2.0], "a": [1.0, 2.0, 1.0]}, _variable("a"), design=Design("w"))
    with pytest.raises(DataError, match="no weight") as caught:
        aggregate(wave, QUESTIONS[:1], [TOTAL], np.ones((3, 1), dtype=bool))
    assert "row(s) 2" in str(caught.value)


def test_whoever_did_not_answer_needs_no_weight_inside_the_domain_either() -> None:
    wave = _wave(
        {"w": [1.0, 2.0, None, None, 5.0], "a": [1.0, 2.0, -8.0, 1.0, 1.0]},
        _variable("a"),
        design=Design("w"),
    )
    domain = np.array([True, True, True, False, False])
    result = aggregate(wave, [(_question("a"), "a")], [TOTAL], domain[:, None], domain=domain)
    assert _cell(result, "a", TOTAL)["distribution"] == pytest.approx([1 / 3, 2 / 3])
    domain = np.array([True, True, True, True, False])  # the fourth answered
    with pytest.raises(DataError, match="no weight"):
        aggregate(wave, [(_question("a"), "a")], [TOTAL], domain[:, None], domain=domain)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"strata": ["h"], "psu": ["j", "k"]}, "the file seems to have h, j, k"),
        ({"psu": ["j"]}, "the file seems to have j"),
        ({}, "none seen in the file"),
    ],
)
def test_a_design_that_the_file_seems_to_have_is_named(seen: dict[str, Any], said: str) -> None:
    wave = replace(SMALL, meta={"design_in_file": seen})
    meta = aggregate(wave, QUESTIONS, GROUPS, MASKS).table.meta
    assert said in meta["standard_errors"]


def test_lonely_psus_are_named_in_the_table() -> None:
    wave = _wave(
        {"h": [1.0, 1.0, 5.0], "j": [1.0, 2.0, 1.0], "a": [1.0, 2.0, 2.0]},
        _variable("a"),
        design=Design(None, "h", "j"),
    )
    everyone = np.ones((3, 1), dtype=bool)
    with pytest.raises(DataError, match="single PSU"):
        aggregate(wave, QUESTIONS[:1], [TOTAL], everyone)
    table = aggregate(wave, QUESTIONS[:1], [TOTAL], everyone, lonely_psu="certainty").table
    assert table.meta["lonely_psu"] == {"policy": "certainty", "strata": ["5"]}


@pytest.mark.parametrize(
    ("questions", "masks", "title"),
    [
        ([], MASKS, "No question"),
        (QUESTIONS, MASKS[:5], "masks do not fit"),
        (QUESTIONS, MASKS.astype(int), "masks do not fit"),
        ([QUESTIONS[0], QUESTIONS[0]], MASKS, "id appears twice"),
        ([(_question("a", 3), "a")], MASKS, "as many options"),
        ([(_question("a"), "z")], MASKS, "does not describe"),
        ([(Question("a", "a?", ("x", "y"), family="GSS"), "a")], MASKS, "another wave"),
    ],
)
def test_requests_that_do_not_fit(questions: list, masks: np.ndarray, title: str) -> None:
    with pytest.raises((InputError, DataError), match=title):
        aggregate(SMALL, questions, GROUPS, masks)


def test_text_answers_are_named() -> None:
    frame = pl.DataFrame({"a": ["yes", "no"]})
    wave = Wave("TEST", "1", frame, {"a": _variable("a")})
    with pytest.raises(DataError, match="not numeric codes") as caught:
        aggregate(wave, QUESTIONS[:1], [TOTAL], np.ones((2, 1), dtype=bool))
    assert "yes" in str(caught.value)


def test_blocks_of_questions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = aggregate(SMALL, QUESTIONS, GROUPS, MASKS)
    monkeypatch.setattr(module, "_BLOCK_ANSWERS", 1)
    parts = aggregate(SMALL, QUESTIONS, GROUPS, MASKS)
    assert parts.table.content_hash == whole.table.content_hash
    assert parts.bases.equals(whole.bases)


@st.composite
def surveys(draw: st.DrawFn) -> tuple[Wave, list[tuple[Question, str]], np.ndarray]:
    n = draw(st.integers(4, 25))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    codes = [1.0, 2.0, 3.0, -9.0, -8.0, None]
    columns: dict[str, list[float | None]] = {
        name: [codes[i] for i in rng.integers(0, 6, n)] for name in "ab"
    }
    columns["a"][0] = 1.0
    columns["w"] = np.maximum(rng.lognormal(size=n) - 0.2, 0).tolist()
    columns["w"][0] = 1.5
    columns["h"] = rng.integers(0, 2, n).astype(float).tolist()
    columns["j"] = rng.integers(0, 3, n).astype(float).tolist()
    design = draw(
        st.sampled_from([Design(), Design("w"), Design("w", "h", "j"), Design("w", None, "j")])
    )
    columns["h"][:4], columns["j"][:4] = [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]
    wave = _wave(columns, _variable("a", 3), _variable("b", 3), design=design)
    masks = np.column_stack([np.ones(n, dtype=bool), rng.random(n) < 0.5])
    return wave, [(_question(q, 3), q) for q in "ab"], masks


@pytest.mark.slow
@given(surveys())
@settings(max_examples=40, deadline=None)
def test_what_holds_for_any_survey(survey: tuple) -> None:
    wave, questions, masks = survey
    result = aggregate(wave, questions, [TOTAL, WOMEN], masks)
    frame = result.table.frame
    for row in frame.iter_rows(named=True):
        assert sum(row["distribution"]) == pytest.approx(1)
        assert min(row["se"]) >= 0
        assert 0 <= row["refusal_rate"] <= 1
        assert 0 < row["n_eff"] <= row["n"] * (1 + 1e-9)

    scaled = wave.respondents.with_columns(pl.col("w") * 1000)
    again = aggregate(_with(wave, scaled), questions, [TOTAL, WOMEN], masks).table.frame
    _same(again, frame, ["distribution", "se", "refusal_rate", "n", "n_eff"])

    twice = pl.concat([wave.respondents] * 2)
    doubled = aggregate(_with(wave, twice), questions, [TOTAL, WOMEN], np.tile(masks, (2, 1)))
    _same(doubled.table.frame, frame, ["distribution", "refusal_rate"])
    if wave.design.psu:
        _same(doubled.table.frame, frame, ["se"])  # as many PSUs as before

    everyone = np.ones((len(wave), 1), dtype=bool)
    alone = aggregate(wave, questions, [TOTAL], everyone).table.frame
    _same(alone, frame.filter(pl.col("attribute") == "TOTAL"), ["distribution", "se", "n_eff"])


def _with(wave: Wave, respondents: pl.DataFrame) -> Wave:
    return Wave(wave.family, wave.wave, respondents, wave.variables, wave.design)


def _same(left: pl.DataFrame, right: pl.DataFrame, columns: list[str]) -> None:
    for name in columns:
        a, b = (np.hstack([np.ravel(v) for v in frame[name].to_list()]) for frame in (left, right))
        np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=1e-7, atol=1e-7)
