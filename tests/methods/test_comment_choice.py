"""What a community's text is cut to, and which comment a chooser's answer names."""

from __future__ import annotations

import pytest

from opinioncast.backends.protocol import GeneratedText
from opinioncast.methods.comment_choice import clean_comment, scored_choice, written_choice


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  Answer: A. Because\nof this.\n\nQuestion: Next?", "A. Because of this."),
        ("One line", "One line"),
        ("First.\nComment 2: second", "First."),
        (" \n ", ""),
    ],
)
def test_comments_are_one_line_without_what_is_invented(text: str, cleaned: str) -> None:
    assert clean_comment(text) == cleaned


@pytest.mark.parametrize(
    ("said", "picked"),
    [
        ("Comment 2", 4),
        ("2", 4),
        ("I would pick comment #1 of the 2 comments", 1),
        ("Comment 1 or comment 2", None),
        ("3", None),  # only two were shown
        ("1.5", None),
        ("neither", None),
    ],
)
def test_the_one_number_that_an_answer_names(said: str, picked: int | None) -> None:
    choice = written_choice(("", "a", "", "", "b"), [1, 4], GeneratedText(said, 1, 1))
    assert choice.picked == picked
    assert bool(choice.wrong) == (picked is None)


def test_no_answer_picks_nothing() -> None:
    assert written_choice(("a", "b"), [0, 1], None).picked is None
    assert "no usable probabilities" in scored_choice(("a", "b"), [0, 1], None).wrong
