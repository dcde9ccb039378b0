"""The page's charts, by their figures: options told apart, bars about the middle of a scale."""

from __future__ import annotations

import polars as pl
import pytest

from opinioncast.app.charts import interval_chart, stacked_chart
from opinioncast.report.answer_bars import long_rows
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import OpinionTable, PredictionTable, Question, Subpopulation, opinion_row

pytest.importorskip("altair")
SCALE = Question("q", "How is it?", ("Good", "So so", "Bad"), (1, 2, 3))
SHARES = {("SEX", "Female"): [0.5, 0.2, 0.3], ("SEX", "Male"): [0.1, 0.4, 0.5]}


def rows(question: Question = SCALE) -> pl.DataFrame:
    return PredictionTable.from_rows(
        [
            {
                "question_id": "q",
                "question": question.text,
                "options": list(question.options),
                "ordinal": list(question.ordinal),
                "attribute": a,
                "group": g,
                "distribution": shares,
                "low": [s / 2 for s in shares],
                "high": [s + 0.125 for s in shares],
            }
            for (a, g), shares in SHARES.items()
        ]
    ).frame


def test_a_row_for_each_group_and_option() -> None:
    long = long_rows(rows())
    assert long.select("place", "label", "option", "share", "low", "high").rows()[:2] == [
        (0, "SEX · Female", "Good", 50.0, 25.0, 62.5),
        (0, "SEX · Female", "So so", 20.0, 10.0, 32.5),
    ]
    assert long["label"].to_list()[3:] == ["Male"] * 3
    assert long["people"].null_count() == 6


def test_what_people_answered_stands_beside() -> None:
    row = opinion_row(SCALE, Subpopulation((("SEX", "Male"),)), [0.2, 0.3, 0.5], n=100)
    long = long_rows(rows(), OpinionTable.from_rows([row]).frame)
    assert long["people"].to_list() == [None, None, None, 20.0, 30.0, 50.0]
    chart = interval_chart(SCALE, long).to_dict()
    assert len(chart["spec"]["layer"]) == 3  # interval, dot, tick


def test_bars_stand_about_the_middle_of_the_scale() -> None:
    chart = stacked_chart(SCALE, long_rows(rows())).to_dict()
    data = next(iter(chart["datasets"].values()))
    female = {d["option"]: (d["start"], d["end"]) for d in data if d["place"] == 0}
    assert female["Good"] == pytest.approx((-60, -10))  # half of "So so" is left of zero
    assert female["So so"] == pytest.approx((-10, 10))
    assert female["Bad"] == pytest.approx((10, 40))


def test_without_a_scale_they_begin_at_zero() -> None:
    plain = Question("q", "Which?", ("Red", "Green", "Blue"))
    chart = stacked_chart(plain, long_rows(rows(plain))).to_dict()
    data = next(iter(chart["datasets"].values()))
    assert min(d["start"] for d in data) == pytest.approx(0)


def test_options_that_begin_alike_are_told_apart() -> None:
    long = "I would describe the state of the economy of my country today as "
    question = Question("q", "How?", tuple(long + w for w in ("good", "fair", "bad")))
    chart = interval_chart(question, long_rows(rows(question))).to_dict()
    names = chart["facet"]["sort"]
    assert len(set(names)) == 3
    assert all(len(line) <= 24 for n in names for line in n.split("¦"))
    assert [" ".join(n.split("¦")) for n in names] == [
        f"{i}. {o}" for i, o in enumerate(question.options, start=1)
    ]


def test_charts_say_what_they_are() -> None:
    long = long_rows(rows())
    for chart in (interval_chart(SCALE, long), stacked_chart(SCALE, long)):
        assert chart.to_dict()["title"]["subtitle"] == MODEL_OUTPUT
