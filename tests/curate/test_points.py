"""Numbered scales: points nobody chose, worded ends, answers off the scale wherever they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.ordinality import detect_scale, off_scale_options
from opinioncast.curate.points import complete_points, point_of
from opinioncast.survey import Missing, Variable

OFF = ["Don't know", "Refused", "Not applicable", "Prefer not to say", "DK/NA", "Can't choose"]


@st.composite
def rating(draw: st.DrawFn) -> tuple[list[int], list[str], list[int], list[str]]:
    """A scale's points, their texts, the points that were chosen, and answers off the scale."""
    low = draw(st.integers(-5, 3))
    points = list(range(low, low + draw(st.integers(4, 10)) + 1))
    ends = draw(st.sampled_from([("bad", "good"), ("{} - Worst", "{} = best"), ("{}", "{}")]))
    texts = [f"{p}" for p in points]
    texts[0], texts[-1] = ends[0].format(points[0]), ends[1].format(points[-1])
    inner = draw(st.sets(st.sampled_from(points[1:-1]), min_size=(len(points) + 1) // 2))
    off = draw(st.lists(st.sampled_from(OFF), max_size=2, unique=True))
    return points, texts, sorted({points[0], *inner, points[-1]}), off


@pytest.mark.slow
@settings(max_examples=300)
@given(rating(), st.randoms(use_true_random=False), st.booleans())
def test_points_keep_their_ranks_whatever_was_chosen(case, random, falling) -> None:  # type: ignore[no-untyped-def]
    points, texts, chosen, off = case
    options = [(texts[points.index(p)], float(p)) for p in chosen]
    if falling:
        options.reverse()
    for i, text in enumerate(off):
        options.insert(random.randrange(len(options) + 1), (text, 90.0 + i))
    scale = detect_scale([t for t, _ in options], "", [c for _, c in options])
    origin = points[-1] if falling else points[0]
    for (text, code), rank in zip(options, scale.ordinal, strict=True):
        assert rank == (-1 if text in off else abs(code - origin) + 1)


@pytest.mark.slow
@settings(max_examples=300)
@given(rating(), st.randoms(use_true_random=False))
def test_a_point_nobody_chose_is_an_option(case, random) -> None:  # type: ignore[no-untyped-def]
    points, texts, chosen, off = case
    options = [(float(p), texts[points.index(p)]) for p in chosen]
    for i, text in enumerate(off):
        options.insert(random.randrange(len(options) + 1), (90.0 + i, text))
    variable = Variable(
        "v", codes=tuple(c for c, _ in options), options=tuple(t for _, t in options)
    )
    whole = complete_points(variable, off_scale_options(variable.options))
    on = [c for c, t in zip(whole.codes, whole.options, strict=True) if t not in off]
    bare = sum(t.lstrip("-").isdecimal() for _, t in options)
    if bare < 2:
        assert whole is variable
        return
    assert on == points
    assert set(whole.options) == set(texts) | set(off)


def test_what_is_no_numbered_line_is_left_alone() -> None:
    for options, codes in [
        (("Agree", "Disagree"), (1.0, 5.0)),
        (("1", "2", "3", "4 or more"), (1.0, 2.0, 3.0, 5.0)),  # the last is not point 5
        (("None", "1", "2", "3"), (4.0, 1.0, 2.0, 3.0)),
        (("1", "5", "10", "100"), (1.0, 5.0, 10.0, 100.0)),
    ]:
        variable = Variable("v", codes=codes, options=options)
        assert complete_points(variable, [False] * len(options)) is variable
    decided = Variable("v", codes=(1.0, 2.0, 4.0), options=("1", "2", "4"), ordinal=(1.0, 2.0, 3.0))
    assert complete_points(decided, [False] * 3) is decided


def test_a_missing_code_is_no_point() -> None:
    codes = (0.0, 1.0, 2.0, 4.0, 5.0)
    variable = Variable(
        "v", codes=codes, options=tuple(f"{c:g}" for c in codes), missing={3.0: Missing.UNKNOWN}
    )
    assert complete_points(variable, [False] * 5) is variable


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["Don't know", "Agree", "Neither", "Disagree"], (-1, 1, 2, 3)),
        (["Agree", "Refused", "Disagree"], (1, -1, 2)),
        (["Not sure", "Agree", "Disagree"], (-1, 1, 2)),
        (["Agree", "Not sure", "Disagree"], None),  # between two halves: a place on the scale
        (["Agree", "Neither agree nor disagree", "Not sure", "Disagree"], (1, 2, -1, 3)),
        (["Very good", "Good", "Can't say", "Bad", "Very bad"], (1, 2, -1, 3, 4)),
        (["Not applicable", "0", "1", "2", "3"], (-1, 1, 2, 3, 4)),
        (["bad", "2", "3", "5", "good"], (1, 2, 3, 5, 6)),
    ],
)
def test_off_the_scale_wherever_it_stands(options: list[str], expected: tuple[int, ...]) -> None:
    found = detect_scale(options).ordinal
    if expected is None:
        assert -1 not in found
    else:
        assert found == tuple(map(float, expected))


@pytest.mark.parametrize(
    ("text", "point"),
    [
        *(("7", 7), ("0 - Not at all", 0), ("10 (best)", 10), ("-5", -5), ("5 = agree", 5)),
        *((text, None) for text in ("4 or more", "2-3 times", "1 hour", "1.5", "good")),
    ],
)
def test_what_a_point_is(text: str, point: int | None) -> None:
    assert point_of(text) == point


def test_numbers_of_any_length_are_no_points() -> None:
    assert point_of("9" * 5000) is None
    endless = Variable("q", "", "W", (float("inf"), 1.0, 2.0), ("inf", "1", "2"))
    assert complete_points(endless, [False] * 3) is endless
    far = Variable("q", "", "W", (1.0, 2.0, 3e12), ("1", "2", "3e+12"))
    assert complete_points(far, [False] * 3) is far  # no list of 3e12 numbers is made
