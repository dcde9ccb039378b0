"""Distributions in words: what is read, what is put right, what is refused and why."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.methods.verbalised import (
    NEXT_QUESTION,
    Unreadable,
    Verbalised,
    parse_shares,
    repair_counts,
    share_schema,
)
from opinioncast.prompts.multiple_choice import question_block

LABELS = ("A", "B", "C")
OPTIONS = ("Yes", "No", "Don't know")


def read(answer: str) -> Verbalised | Unreadable:
    return parse_shares(answer, LABELS, OPTIONS)


@pytest.mark.parametrize(
    ("answer", "repairs"),
    [
        ('{"A": 0.2, "B": 0.3, "C": 0.5}', ()),
        ('{"C": 0.5, "A": 0.2, "B": 0.3}', ()),
        ('{"Yes": 0.2, "no": 0.3, "Don\'t know": 0.5}', ()),
        ('```json\n{"A": 0.2, "B": 0.3, "C": 0.5}\n```', ("code fence",)),
        ('Sure: {"A": 0.2, "B": 0.3, "C": 0.5}', ("text before the object",)),
        (
            '{"A": 0.2, "B": 0.3, "C": 0.5}\n\nQuestion: {"A": 1}',
            ("text after the object",),
        ),
        (  # a model that goes on with the prompt answers the next question too
            ' {"A": 0.2, "B": 0.3, "C": 0.5}\n\nQuestion: Why?\n{"A": 1, "B": 0, "C": 0}',
            ("text after the object",),
        ),
        (  # said twice, and an object that is no answer
            '{"A": 0.2, "B": 0.3, "C": 0.5} {"A":0.2, "B": 0',
            ("text after the object",),
        ),
        (
            '{"A": 0.2, "B": 0.3, "C": 0.5} = {"A": 20%, "B": 30%, "C": 50%} {"A": 1}',
            ("text after the object",),
        ),
        ('```JSON\n{"A": 0.2, "B": 0.3, "C": 0.5}\n```', ("code fence",)),
        ("{'A': 0.2, 'B': 0.3, 'C': 0.5}", ("single quotes",)),
        ('{"A": 0.2, "B": 0.3, "C": 0.5,}', ("trailing comma",)),
        ('{"A": 20, "B": 30, "C": 50}', ("percent",)),
        ('{"A": 20%, "B": 30 %, "C": 50.0%}', ("percent",)),
        ('{"A": "20%", "B": "30%", "C": "50%"}', ("percent",)),
    ],
)
def test_what_is_read(answer: str, repairs: tuple[str, ...]) -> None:
    found = read(answer)
    assert isinstance(found, Verbalised), found
    assert found.shares == pytest.approx((0.2, 0.3, 0.5))
    assert found.repairs == repairs


@pytest.mark.parametrize(
    "answer",
    [
        'For example {"A": 1, "B": 0, "C": 0}. My answer: {"A": 0.2, "B": 0.3, "C": 0.5}',
        '{"A": 1, "B": 0, "C": 0}\nNo, rather:\n```json\n{"A": 20, "B": 30, "C": 50}\n```',
        'As {"A": 1, "B": 0, "C": 0}.\nQuestion: Why?\n{"A": 0.2, "B": 0.3, "C": 0.5}',
        '{"A": 1, "B": 0, "C": 0} {"A": 1} {"A": 0.2, "B": 0.3, "C": 0.5}',
    ],
)
def test_of_two_different_answers_none_is_chosen(answer: str) -> None:
    assert read(answer) == Unreadable("two objects with different shares")


def test_the_next_question_is_told_as_the_prompt_writes_it() -> None:
    written = question_block("Why?", OPTIONS, force_choice=False)
    assert f"\n\n{written}".startswith(f"\n{NEXT_QUESTION}")


def test_a_sum_off_by_rounding_is_put_right() -> None:
    # The first example that Figure 15 prints: it sums to 1.019.
    printed = "{'A': 0.050, 'B': 0.210, 'C': 0.241, 'D': 0.034, 'E': 0.474, 'F': 0.010}"
    found = parse_shares(printed, "ABCDEF", [f"option {i}" for i in range(6)])
    assert isinstance(found, Verbalised)
    assert found.repairs == ("single quotes", "sum off by rounding")
    assert found.shares[4] == pytest.approx(0.474 / 1.019)
    assert sum(found.shares) == pytest.approx(1)


@pytest.mark.parametrize("last", [0.45, 0.55])
def test_the_ends_of_what_rounding_may_do_are_in(last: float) -> None:
    found = read(f'{{"A": 0.2, "B": 0.3, "C": {last}}}')
    assert isinstance(found, Verbalised)
    assert found.shares[2] == pytest.approx(last / (0.5 + last))


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "no JSON object"),
        ("A: 20%, B: 30%, C: 50%", "no JSON object"),
        ('{"A": 0.2, "B": 0.3', "not closed"),
        ('{"A": 0.2, "B": 0.3, "C": 0.5} Correction: {"A": 0.5, "B"', "second object is not"),
        ('{"A": 0.5, "B": 0.5}', "no share for C"),
        ('{"A": 0.2, "B": 0.3, "C": 0.5, "D": 0}', '"D" is not an option'),
        ('{"A": 0.2, "B": 0.3, "Don\'t know": 0.5}', "is not an option"),
        ('{"A": 0.2, "A": 0.3, "B": 0, "C": 0.5}', "named twice"),
        ('{"A": 0.2, "B": 0.3, "C": 0.4}', "sum to 0.9"),
        ('{"A": 0, "B": 0, "C": 0}', "sum to 0"),
        ('{"A": -0.2, "B": 0.7, "C": 0.5}', "-0.2 is not a share"),
        ('{"A": NaN, "B": 0.5, "C": 0.5}', "nan is not a share"),
        ('{"A": 1e999, "B": 0.5, "C": 0.5}', "inf is not a share"),
        (f'{{"A": {"9" * 400}, "B": 0.5, "C": 0.5}}', "inf is not a share"),
        ('{"A": true, "B": 0, "C": 0}', "is not a share"),
        ('{"A": null, "B": 0.5, "C": 0.5}', "is not a share"),
        ('{"A": "0.2", "B": 0.3, "C": 0.5}', "is not a share"),
        ('{"A": "half", "B": 0.3, "C": 0.5}', "is not a share"),
        ('{"A": {"x": 1}, "B": 0, "C": 0}', "is not a share"),
        ('{"A": 20%, "B": 0.3, "C": 0.5}', "some have none"),
        ("{A: 0.2, B: 0.3, C: 0.5}", "no JSON that can be put right"),
        ('{"A": 0.2; "B": 0.3; "C": 0.5}', "no JSON that can be put right"),
        ("{}", "no share for A, B, C"),
    ],
)
def test_what_is_refused(answer: str, reason: str) -> None:
    found = read(answer)
    assert isinstance(found, Unreadable), found
    assert reason in found.reason


@st.composite
def distributions(draw: st.DrawFn) -> list[float]:
    counts = draw(st.lists(st.integers(0, 1000), min_size=2, max_size=26).filter(any))
    return [c / sum(counts) for c in counts]


@given(distributions(), st.sampled_from(["exact", "three", "percent", "python", "text"]))
def test_any_distribution_written_as_json_is_read_back(shares: list[float], form: str) -> None:
    labels = [chr(ord("A") + i) for i in range(len(shares))]
    options = [f'it\'s “{i}” {{}}, "quoted"' for i in range(len(shares))]
    written = json.dumps(dict(zip(labels, shares, strict=True)))
    close = 1e-9
    if form == "three":
        written = json.dumps({k: round(s, 3) for k, s in zip(labels, shares, strict=True)})
        close = 0.02
    elif form == "percent":
        written = json.dumps({k: 100 * s for k, s in zip(labels, shares, strict=True)})
    elif form == "python":
        written = repr(dict(zip(labels, shares, strict=True))) + "\n"
    elif form == "text":
        written = f"```json\n{json.dumps(dict(zip(options, shares, strict=True)))}\n```"
    found = parse_shares(written, labels, options)
    assert isinstance(found, Verbalised), found
    assert found.shares == pytest.approx(shares, abs=close)
    assert sum(found.shares) == pytest.approx(1)


@given(st.text(), st.text())
def test_nothing_makes_the_parser_fall_over(before: str, inside: str) -> None:
    found = read(f"{before}{{{inside}}}")
    assert isinstance(found, Unreadable) or sum(found.shares) == pytest.approx(1)


def test_repairs_are_counted_and_the_schema_names_every_label() -> None:
    read_ = [read("{'A': 0.2, 'B': 0.3, 'C': 0.5,}"), read("{'A': 20, 'B': 30, 'C': 50}"), read("")]
    assert repair_counts(read_) == {"percent": 1, "single quotes": 2, "trailing comma": 1}
    schema = share_schema(LABELS)
    assert schema["required"] == ["A", "B", "C"]
    assert schema["additionalProperties"] is False
