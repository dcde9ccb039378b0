"""Questions that are no single choice: asked as items, put right, or refused with the way out."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.survey.question import OFF_SCALE, Question, check_distribution
from opinioncast.survey.question_kind import (
    YES_NO,
    as_asked,
    is_no_answer,
    item_shares,
    rounding_tolerance,
    substantive_scale,
    takes_several,
)


def question(text: str, *options: str, scale: tuple[float, ...] = ()) -> Question:
    return Question("q", text, options, scale)


@pytest.mark.parametrize(
    "instruction",
    [
        "Select all that apply.",
        "Please check all that apply",
        "(Mark any that apply)",
        "Choose up to three.",
        "Pick your top 3.",
        "You may select more than one answer; tick as many as apply.",
        "Please select one or more.",
        "Multiple answers possible",
        "(Mehrfachnennungen möglich)",
        "Plusieurs réponses possibles.",
        "Marque todas las que correspondan.",
        "（可多选）",
        "（複数回答可）",
        "(복수 응답 가능)",
        "Отметьте несколько вариантов.",
    ],
)
def test_several_answers_become_yes_no_items(instruction: str) -> None:
    asked = as_asked(question(f"Which did you use last week? {instruction}", "TV", "Radio", "None"))
    assert asked.several
    assert [q.text for q in asked.questions] == [
        f"Which did you use last week? - {o}" for o in ("TV", "Radio", "None")
    ]
    assert {q.options for q in asked.questions} == {YES_NO}
    assert [q.question_id for q in asked.questions] == ["q_1", "q_2", "q_3"]
    assert "3 yes/no items" in asked.note


@pytest.mark.parametrize(
    "text",
    [
        "Which of the following comes closest to your view?",
        "Choose one.",
        "Please select only one answer.",
        "Which one applies to you?",
        "How important is each of the following? - Taxes",
        "Do you choose three meals a day yourself?",
        "Should government check all imports that apply for a licence?",
        "Do you agree that all rules apply to everybody?",
        "Do you rank among the top earners?",
    ],
)
def test_single_choice_stays(text: str) -> None:
    asked = as_asked(question(text, "Yes", "No"))
    assert asked.questions == (question(text, "Yes", "No"),)
    assert not asked.note


@pytest.mark.parametrize(
    ("text", "options", "says"),
    [
        ("Rank the following issues.", ("Jobs", "Crime"), "most important"),
        ("List them in order of importance.", ("Jobs", "Crime"), "most important"),
        ("Please distribute 100 points among these.", ("Jobs", "Crime"), "bands"),
        ("How many children do you have?", ("[number]", "None"), "bands"),
        ("On a scale from 0 to 100, how warm do you feel?", ("0", "100"), "0 to 20, 21 to 40"),
        ("From 0 to 100, where 0 is cold?", ("0 (cold)", "50", "100 (warm)"), "0 to 20"),
        ("Feeling thermometer: labor unions", ("0", "50", "100"), "bands"),
        ("How many hours do you work a week?", ("10", "20", "40"), "bands"),
        ("On a scale of 1 to 7, how happy are you?", ("1", "7"), "1 to 2, 3 to 4, 5 to 6, 7"),
    ],
)
def test_what_is_no_choice_is_refused(text: str, options: tuple[str, ...], says: str) -> None:
    with pytest.raises(InputError) as caught:
        as_asked(question(text, *options))
    assert says in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("On a scale from 0 to 10, how happy?", tuple(map(str, range(11)))),
        ("On a scale from 0 to 100, how warm?", ("0 to 20", "21 to 60", "61 to 100")),
        ("How many children do you have?", ("0", "1", "2", "3 or more")),
        ("In what year were you born?", ("1960 or before", "1961 to 1990", "1991 or later")),
        ("How would you rate it from 1 to 5?", ("1 Bad", "2", "3", "4", "5 Good", "Don't know")),
        ("Is it 5 or 10?", ("5", "10")),
    ],
)
def test_numbers_that_people_can_choose_among_stay(text: str, options: tuple[str, ...]) -> None:
    assert as_asked(question(text, *options)).questions[0].options == options


@pytest.mark.parametrize(
    "option",
    [
        "Don't know", "Don’t know", "DK", "Not sure", "Not sure / no opinion", "No opinion",
        "Prefer not to say", "Refused", "N/A", "Undecided", "No answer", "Can't say",
        "Haven't heard enough to say", "weiß nicht", "Keine Angabe", "Ne sait pas", "No sabe",
        "不知道", "わからない", "모름", "Затрудняюсь ответить",
    ],
)  # fmt: skip
@pytest.mark.parametrize("code", [9, 99, 6, 8, 0])
def test_no_answer_is_off_the_scale_whatever_its_code(option: str, code: int) -> None:
    options = ("Very bad", "Bad", "Fair", "Good", "Very good", option)
    asked = as_asked(question("Rate the economy.", *options, scale=(1, 2, 3, 4, 5, code)))
    assert asked.questions[0].ordinal == (1, 2, 3, 4, 5, OFF_SCALE)
    assert option in asked.note


@pytest.mark.parametrize(
    "option",
    ["No", "None", "Neither", "Never", "Not at all", "Not important", "No change", "Don't care",
     "Not too sure about that policy", "Know a lot", "Not satisfied", "Unlikely"],
)  # fmt: skip
def test_answers_that_only_sound_so_stay(option: str) -> None:
    assert not is_no_answer(option)


def test_in_the_middle_somebody_put_it_there() -> None:
    asked = as_asked(question("Favor?", "Favor", "Not sure", "Oppose", scale=(1, 2, 3)))
    assert asked.questions[0].ordinal == (1, 2, 3)
    assert not asked.several


@pytest.mark.parametrize("code", [8, 9, 99, 998, 9999])
def test_another_option_with_a_missing_code_is_asked_about(code: int) -> None:
    options = ("Very bad", "Bad", "Fair", "Good", "Very good", "Other")
    with pytest.raises(InputError, match="code of a missing answer") as caught:
        as_asked(question("Rate it.", *options, scale=(1, 2, 3, 4, 5, code)))
    assert "-1" in str(caught.value.hint)


@pytest.mark.parametrize("scale", [(0, 1, 12, 52, 365), (1, 2, 4, 8, 16), (1, 2, 3, 4, 6)])
def test_uneven_scales_stay(scale: tuple[float, ...]) -> None:
    options = ("Never", "Once", "Monthly", "Weekly", "Daily")
    assert as_asked(question("How often?", *options, scale=scale)).questions[0].ordinal == scale


@settings(max_examples=300, deadline=None, database=None)
@given(
    st.integers(2, 9),
    st.sampled_from(["Don't know", "Not sure", "DK/REF", "Prefer not to answer"]),
    st.sampled_from([-1, 0, 8, 9, 88, 99, 999]),
    st.data(),
)
def test_taking_no_answer_off_changes_nothing_else(
    k: int, option: str, code: int, data: st.DataObject
) -> None:
    """Wherever it stands in the list, and twice is as once."""
    at = data.draw(st.integers(0, k))
    options = [f"Step {i}" for i in range(1, k + 1)]
    scale: list[float] = [float(i) for i in range(1, k + 1)]
    options.insert(at, option)
    scale.insert(at, code)
    off, _ = substantive_scale(options, scale)
    assert off[at] == OFF_SCALE or min(scale[:at] + scale[at + 1 :]) < code < k
    assert [v for i, v in enumerate(off) if i != at] == list(range(1, k + 1))
    assert substantive_scale(options, off) == (off, ())


def test_shares_of_people_who_named_each() -> None:
    assert item_shares([60, 40, 25], "x") == [
        pytest.approx((0.6, 0.4)),
        pytest.approx((0.4, 0.6)),
        pytest.approx((0.25, 0.75)),
    ]
    with pytest.raises(InputError, match="sum to one"):
        item_shares([50, 30, 20], "x")
    with pytest.raises(InputError, match="share is none"):
        item_shares([50, 130], "x")


@pytest.mark.parametrize(
    ("shares", "rounded"),
    [
        ([31, 30, 27, 11], True),
        ([33, 33, 33, 0], True),
        ([51, 50], True),
        ([0.31, 0.30, 0.27, 0.11], True),
        ([33.3, 33.3, 33.3], True),
        ([14] * 7, True),
        ([31, 30, 27, 10], False),
        ([0.5, 0.6], False),
        ([98, 4], False),
        ([33.3, 33.3, 33.0], False),
        ([60, 55, 40], False),
    ],
)
def test_toplines_that_rounding_explains(shares: list[float], rounded: bool) -> None:
    tolerance = rounding_tolerance(shares)
    if rounded:
        found = check_distribution(shares, len(shares), where="x", tolerance=tolerance)
        assert sum(found) == pytest.approx(1)
    else:
        with pytest.raises(InputError, match="sum"):
            check_distribution(shares, len(shares), where="x", tolerance=tolerance)


@pytest.mark.parametrize("shares", [[], [math.nan, 50], [40, math.inf, 60]])
def test_shares_that_are_no_numbers_have_no_rounding(shares: list[float]) -> None:
    assert rounding_tolerance(shares) == 0


@pytest.mark.slow
@settings(max_examples=500, deadline=None, database=None)
@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=6), st.sampled_from([0, 1]))
def test_rounded_distributions_are_rarely_refused(weights: list[float], places: int) -> None:
    """A published topline of a real distribution, in whole percentages or with one decimal."""
    total = math.fsum(weights)
    shares = [round(100 * w / total, places) for w in weights]
    off = abs(math.fsum(shares) - 100) / 100
    unit = 10.0 ** -(places + 2)
    texts = [f"{s:.{places}f}%" for s in shares]
    assert off <= rounding_tolerance(shares, texts) or off > unit * math.sqrt(len(shares) / 2)


def test_a_wording_is_read_in_any_width() -> None:
    assert takes_several("Ｓｅｌｅｃｔ　ａｌｌ　ｔｈａｔ　ａｐｐｌｙ")
