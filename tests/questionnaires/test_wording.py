"""Texts as people read them."""

from __future__ import annotations

import pytest

from opinioncast.questionnaires.wording import (
    from_markdown,
    option_text,
    piped,
    plain,
    without_instructions,
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("<p>Are <b>rents</b>&nbsp;too high?</p>", "Are rents too high?"),
        ("&lt;span style=&quot;x&quot;&gt;Snack&amp;nbsp;bar&lt;/span&gt;", "Snack bar"),
        ("under <5 and > 3, <none> & co", "under <5 and > 3, <none> & co"),
        ("a<br/>b<div>c</div>", "a b c"),
        ("<style>p {x}</style>Text<!-- no -->", "Text"),
        ("<script>alert(1)</script>Hi", "Hi"),
        ("tab\there\x00\u200b", "tab here"),
        ("  R&D  ", "R&D"),
        ("Fu\u0308r 👩‍👩‍👧 مرحبا", "Für 👩‍👩‍👧 مرحبا"),
        (None, ""),
    ],
)
def test_plain(text: str | None, read: str) -> None:
    assert plain(text) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("**Q1_Direction** - _How_ is it?", "Q1_Direction - How is it?"),
        ("See [here](https://x.org) now", "See here now"),
        ("5 * 3 and snake_case_name", "5 * 3 and snake_case_name"),
        ("## Title", "Title"),
        (r"a\_b \*c\*", "a_b *c*"),
    ],
)
def test_markdown(text: str, read: str) -> None:
    assert from_markdown(text) == read


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("Dear {TOKEN:FIRSTNAME}", "{TOKEN:FIRSTNAME}"),
        ("You said ^f('q1')^.", "^f('q1')^"),
        ("You chose [pipe: q1]", "[pipe: q1]"),
        ("Is [Q5 ANSWER] right?", "[Q5 ANSWER]"),
        ("Is {{ Q1 }} right?", "{{ Q1 }}"),
        ("Do you agree [strongly] or {} not, at 2^3?", ""),
    ],
)
def test_piped(text: str, fragment: str) -> None:
    assert piped(text) == fragment


@pytest.mark.parametrize(
    ("text", "kept", "taken"),
    [
        ("How? [ROTATE 1-4]", "How?", ("ROTATE 1-4",)),
        ("How? (Please select all that apply.)", "How? (Please select all that apply.)", ()),
        ("How? (SELECT ALL THAT APPLY)", "How?", ("SELECT ALL THAT APPLY",)),
        ("Would you say (if at all) yes?", None, ()),
        ("Which is it? (IF Q5=1)", "Which is it?", ("IF Q5=1",)),
        ("Is [INSERT NAME] right?", None, ()),
        ("Look: [INSERT IMAGE 1] Nice?", "Look: Nice?", ("INSERT IMAGE 1",)),
        ("NATO [the North Atlantic Treaty Organization]", None, ()),
        ("Do you (or anyone) work?", None, ()),
    ],
)
def test_instructions(text: str, kept: str | None, taken: tuple[str, ...]) -> None:
    assert without_instructions(text) == (kept or text, taken)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Other (Please specify):  ____________", "Other"),
        ("Other, specify", "Other"),
        ("⊗None of the above", "None of the above"),
        ("Prefer to self-describe:", "Prefer to self-describe"),
        ("DK [DO NOT READ]", "DK"),
        ("Specify", "Specify"),
    ],
)
def test_options(text: str, read: str) -> None:
    assert option_text(text) == read
