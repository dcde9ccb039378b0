"""Questions: what is accepted, what is refused and how the refusal reads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.survey.question import Question, check_distribution, label

OPTIONS = ("A great deal", "Only some", "Hardly any")


def refused(match: str, **changed: object) -> InputError:
    parts: dict[str, object] = {"question_id": "confed", "text": "How much?", "options": OPTIONS}
    with pytest.raises(InputError, match=match) as caught:
        Question(**(parts | changed))  # type: ignore[arg-type]
    return caught.value


def test_a_question_without_a_scale_has_none() -> None:
    question = Question(" q ", " How much? ", (" Yes", "No "))
    assert (question.question_id, question.text, question.options) == (
        "q",
        "How much?",
        ("Yes", "No"),
    )
    assert question.ordinal == (0.0, 0.0)
    assert not question.has_scale
    assert (question.family, question.wave) == ("", "")


def test_the_scale_leaves_out_options_off_it() -> None:
    question = Question("q", "How?", ("Low", "High", "Not sure"), (1, 4, -1))
    assert question.scale_range == 3
    assert question.has_scale
    assert not Question("q", "How?", ("Yes", "No", "?"), (2, 2, -1)).has_scale


@pytest.mark.parametrize("options", [(), ("Only",), tuple(f"option {i}" for i in range(27))])
def test_two_to_26_options(options: tuple[str, ...]) -> None:
    error = refused("between 2 and 26 options", options=options)
    assert error.where == 'question "confed"'
    assert error.expected
    assert error.found is not None
    assert f"{len(options)} option(s)" in error.found
    assert error.hint


def test_26_options_are_accepted() -> None:
    assert len(Question("q", "Which?", tuple(f"option {i}" for i in range(26))).options) == 26


def test_an_empty_option_is_named() -> None:
    error = refused("An option is empty", options=("Yes", "  ", "No"))
    assert error.where == 'question "confed", option 2'


@pytest.mark.parametrize("twin", ["Only some", " only SOME "])
def test_duplicate_options_are_named(twin: str) -> None:
    error = refused("An option appears twice", options=(*OPTIONS, twin))
    assert error.where == 'question "confed", options 2 and 4'
    assert error.hint


@pytest.mark.parametrize("ordinal", [(1, 2), (1, 2, 3, 4)])
def test_a_scale_of_the_wrong_length(ordinal: tuple[float, ...]) -> None:
    error = refused("one position per option", ordinal=ordinal)
    assert error.expected is not None
    assert error.expected.startswith("3 numbers")
    assert error.found is not None
    assert error.found.startswith(f"{len(ordinal)} numbers")


@pytest.mark.parametrize("value", [-2, -0.5, math.nan, math.inf, "high", None])
def test_a_scale_position_that_is_no_position(value: object) -> None:
    error = refused("scale position is not usable", ordinal=(1, value, 3))
    assert error.where == 'question "confed", option 2'


@pytest.mark.parametrize(("part", "match"), [("question_id", "no id"), ("text", "no wording")])
def test_id_and_wording_are_needed(part: str, match: str) -> None:
    refused(match, **{part: "  "})


def test_the_error_fits_one_screen() -> None:
    error = refused(
        "between 2 and 26", options=tuple("long option " * 20 + str(i) for i in range(90))
    )
    text = str(error.at("questions.yaml, line 3"))
    assert 'questions.yaml, line 3, question "confed"' in text
    assert len(text.splitlines()) <= 6
    assert max(map(len, text.splitlines())) < 240


def test_labels_are_the_alphabet() -> None:
    assert "".join(label(i) for i in range(26)) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for index in (-1, 26):
        with pytest.raises(InputError, match="no letter"):
            label(index)


@given(st.lists(st.floats(0, 1000), min_size=2, max_size=26).filter(lambda v: sum(v) > 1e-3))
def test_any_shares_scaled_to_one_or_to_a_hundred_are_accepted(raw: list[float]) -> None:
    shares = [v / sum(raw) for v in raw]
    for scale in (1, 100):
        checked = check_distribution([scale * v for v in shares], len(raw), where="row 1")
        assert sum(checked) == pytest.approx(1, abs=1e-12)
        assert checked == pytest.approx(shares, abs=1e-9)


def test_rounded_percentages_are_accepted() -> None:
    assert check_distribution([33.3, 33.3, 33.3], 3, where="row 1") == pytest.approx([1 / 3] * 3)
    assert check_distribution([1, 0], 2, where="row 1") == (1.0, 0.0)


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=8).filter(
        lambda v: abs(sum(v) - 1) > 0.006 and abs(sum(v) - 100) > 0.6
    )
)
def test_other_sums_are_refused(shares: list[float]) -> None:
    with pytest.raises(InputError, match="does not sum to one") as caught:
        check_distribution(shares, len(shares), where="poll.csv, row 7")
    assert caught.value.where == "poll.csv, row 7"
    assert caught.value.hint


@pytest.mark.parametrize("bad", [-0.1, math.nan, math.inf, "half", None])
def test_a_share_that_is_none(bad: object) -> None:
    with pytest.raises(InputError, match="negative or not a number") as caught:
        check_distribution([0.5, bad], 2, where="row 2")  # type: ignore[list-item]
    assert str(bad) in str(caught.value.found)


def test_a_distribution_of_the_wrong_length() -> None:
    with pytest.raises(InputError, match="one share per option") as caught:
        check_distribution([0.5, 0.5], 3, where="row 2")
    assert caught.value.expected == "3 shares"
