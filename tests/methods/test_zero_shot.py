"""Averaging over option orders, caching and resuming, and rows that went wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from opinioncast.backends.protocol import LabelRequest
from opinioncast.methods.error_bars import ErrorBars, interval, settings_hash
from opinioncast.methods.prediction import seen_before
from opinioncast.methods.row_cache import RowCache
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.prompts import Layout, Prompting
from opinioncast.survey import Cells, Question, load_groups
from opinioncast.survey.sameness import digests

QUESTIONS = [
    Question("q1", "First?", ("Yes", "No"), (1, 2)),
    Question("q2", "Second?", ("Low", "Mid", "High"), (1, 2, 3)),
]
GROUPS = load_groups("SEX=Female", "SEX=Male", "total")


def first_letter(request: LabelRequest) -> list[float]:
    """A model that only looks at the letters: A gets half of its label mass of 0.8."""
    letters = len(request.labels)
    return [0.4 if label == "A" else 0.4 / (letters - 1) for label in request.labels]


def test_position_bias_cancels_over_reversed_orders_and_shows_in_the_spread() -> None:
    method = ZeroShot(FakeBackend(first_letter), Prompting(refusal=False))
    table = method.predict(Cells.cross(QUESTIONS, GROUPS)).table
    assert len(table) == 6
    row = table.frame.row(0, named=True)
    # As given: Yes 0.5; reversed: Yes is B and gets 0.5 as well, of two options.
    assert row["distribution"] == pytest.approx([0.5, 0.5])
    three = table.frame.filter(question_id="q2").row(0, named=True)
    # A 1/2, others 1/4: Low is A then C, Mid is B twice, High is C then A.
    assert three["distribution"] == pytest.approx([0.375, 0.25, 0.375])
    assert three["order_spread"] == pytest.approx(0.25)
    assert three["label_mass"] == pytest.approx(0.8)
    assert three["refusal_rate"] is None


def test_refusal_is_set_apart_and_the_rest_sums_to_one() -> None:
    def answer(request: LabelRequest) -> list[float]:
        return [0.1, 0.2, 0.1] if len(request.labels) == 3 else [0.1, 0.1, 0.1, 0.1]

    table = (
        ZeroShot(FakeBackend(answer), Prompting(orders="given"))
        .predict(Cells.cross(QUESTIONS, GROUPS))
        .table
    )
    row = table.frame.row(0, named=True)
    assert row["distribution"] == pytest.approx([1 / 3, 2 / 3])
    assert row["refusal_rate"] == pytest.approx(0.25)
    assert row["order_spread"] is None


def test_rows_do_not_depend_on_the_order_of_questions_or_groups() -> None:
    def by_text(request: LabelRequest) -> list[float]:
        seed = sum(map(ord, request.text))
        return list(np.random.default_rng(seed).dirichlet([1.0] * len(request.labels)))

    one = (
        ZeroShot(FakeBackend(by_text), Prompting(orders="4"))
        .predict(Cells.cross(QUESTIONS, GROUPS))
        .table
    )
    back = load_groups("total", "SEX=Male", "SEX=Female")
    other = (
        ZeroShot(FakeBackend(by_text), Prompting(orders="4"))
        .predict(Cells.cross(QUESTIONS[::-1], back))
        .table
    )
    assert one.content_hash == other.content_hash


def test_an_interrupted_run_resumes_with_nothing_asked_twice(tmp_path: Path) -> None:
    whole = ZeroShot(FakeBackend(first_letter)).predict(Cells.cross(QUESTIONS, GROUPS)).table
    path = tmp_path / "rows.sqlite"
    stopped = FakeBackend(first_letter, fail_after=5)
    with RowCache(path) as cache, pytest.raises(KeyboardInterrupt):
        ZeroShot(stopped, cache=cache).predict(Cells.cross(QUESTIONS, GROUPS))
    rest = FakeBackend(first_letter)
    with RowCache(path) as cache:
        resumed = ZeroShot(rest, cache=cache).predict(Cells.cross(QUESTIONS, GROUPS))
    assert not set(stopped.asked) & set(rest.asked)
    assert len(stopped.asked) + len(rest.asked) == 12
    assert resumed.table.content_hash == whole.content_hash
    assert resumed.record["prompts_from_cache"] == 5


@pytest.mark.parametrize(
    "change",
    [
        {"backend": FakeBackend(first_letter, weights="other adapter")},
        {"prompting": Prompting(layout=Layout.PAPER)},
        {"prompting": Prompting(refusal=False)},
        {"prompting": Prompting(chat=True)},
    ],
)
def test_the_cache_is_not_used_for_anything_that_shapes_rows(
    tmp_path: Path, change: dict[str, object]
) -> None:
    with RowCache(tmp_path / "rows.sqlite") as cache:
        ZeroShot(FakeBackend(first_letter), cache=cache).predict(Cells.cross(QUESTIONS, GROUPS))
        settings = {"backend": FakeBackend(first_letter), "cache": cache} | change
        again = ZeroShot(**settings).predict(Cells.cross(QUESTIONS, GROUPS))  # type: ignore[arg-type]
        assert again.record["prompts_from_cache"] == 0
        same = ZeroShot(**settings).predict(Cells.cross(QUESTIONS, GROUPS))  # type: ignore[arg-type]
        assert same.record["prompts_from_cache"] == same.record["prompts"]


def test_rows_without_numbers_are_missing_and_named() -> None:
    def answer(request: LabelRequest) -> list[float]:
        bad = "Female" in request.text and "Second" in request.text
        return [np.nan if bad else 0.3] * len(request.labels)

    found = ZeroShot(FakeBackend(answer)).predict(Cells.cross(QUESTIONS, GROUPS))
    assert len(found.table) == 5
    (problem,) = found.problems
    assert (problem.question_id, problem.group, problem.missing) == ("q2", "Female", True)


def test_rows_without_label_mass_stay_and_are_named() -> None:
    found = ZeroShot(FakeBackend(lambda r: [1e-4] * len(r.labels))).predict(
        Cells.cross(QUESTIONS, GROUPS)
    )
    assert len(found.table) == 6
    assert len(found.problems) == 6
    assert not any(p.missing for p in found.problems)


def test_nothing_but_refusal_is_not_a_distribution() -> None:
    found = ZeroShot(FakeBackend(lambda r: [0.0] * (len(r.labels) - 1) + [1.0])).predict(
        Cells.cross(QUESTIONS, GROUPS)
    )
    assert len(found.table) == 0
    assert all(p.missing for p in found.problems)


def test_measured_error_bars_hold_for_their_own_settings_only() -> None:
    style = Prompting()
    backend = FakeBackend(first_letter)
    measured = ZeroShot(backend, style).predict(Cells.cross(QUESTIONS, GROUPS))
    bars = ErrorBars(
        [
            {
                "settings": [settings_hash(measured.record)],
                "interval_90": {"pooled": 0.5, "by_options": {"2": 0.4}, "by_group": {}},
            }
        ]
    )
    fewer = ZeroShot(backend, style).predict(Cells.cross(QUESTIONS[1:], GROUPS))
    table = bars.apply(fewer).table
    # Three options: the width of the next smaller count; which questions are asked does not matter.
    low, _ = interval(table.frame["distribution"][0].to_list(), 0.4)
    assert table.frame["low"][0].to_list() == pytest.approx(low)
    for other in (
        ZeroShot(backend, Prompting(orders="given")),
        ZeroShot(backend, Prompting(refusal=False)),
        ZeroShot(FakeBackend(first_letter, weights="v"), style),
    ):
        found = bars.apply(other.predict(Cells.cross(QUESTIONS, GROUPS)))
        assert found.table.frame["basis"].unique().to_list() == ["model, never measured"]


@pytest.mark.parametrize("judged", [True, False])
def test_little_label_mass_is_a_problem_unless_it_is_not_judged(judged: bool) -> None:
    question = Question("q", "Is it so?", ("Yes", "No"))
    backend = FakeBackend(lambda request: [1e-4] * len(request.labels))
    found = ZeroShot(backend, judge_mass=judged).predict(
        Cells.cross([question], load_groups("total"))
    )
    assert len(found.table) == 1
    assert found.table.frame["label_mass"][0] == pytest.approx(3e-4)
    assert [p.missing for p in found.problems] == ([False] if judged else [])


def test_questions_of_the_adapters_training_are_counted() -> None:
    cells = Cells.cross(QUESTIONS, GROUPS)
    plain = ZeroShot(FakeBackend(first_letter)).predict(cells).record
    assert "same_questions" not in plain
    again = replace(QUESTIONS[0], question_id="other", text=QUESTIONS[0].text.upper() + "!")
    trained = ZeroShot(FakeBackend(first_letter), asked=digests([again])).predict(cells).record
    counted = {"questions": len(QUESTIONS), "asked_in_training_too": 1}
    assert trained["same_questions"] == counted
    (said,) = seen_before(trained)
    assert f"1 of {len(QUESTIONS)} questions are in its training table too" in said
