"""Another population than the paper's is named in every prompt; the paper's is where it was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from opinioncast.prompts import Format, Layout, Prompting, build_prompt
from opinioncast.prompts.few_shot import few_shot_prompt
from opinioncast.prompts.pluralism import choice_prompt, comment_prompt, passage_prompt
from opinioncast.survey import Population, Question, load_groups

PERSON = "an adult living in Berlin"
US = Question("q", "Is it so?", ("Yes", "No"))
BERLIN = replace(US, population=Population("adults in Berlin", PERSON))
SCHEME = load_groups("SEX=Female", "total")
FEMALE, TOTAL = SCHEME


@pytest.mark.parametrize(
    ("layout", "format", "female", "total"),
    [
        (
            "question-first",
            "qa",
            "Asked of: adults in Berlin; sex: ",
            "Asked of: all adults in Berlin",
        ),
        ("question-first", "bio", f"I am {PERSON}. I ", f"I am {PERSON}."),
        ("question-first", "portray", f"as if you are {PERSON} and ", f"as if you are {PERSON}."),
        ("paper", "qa", "Asked of adults in Berlin.\n\nQ", "Asked of adults in Berlin.\n\nQ"),
        ("paper", "bio", f"I am {PERSON}. I ", f"I am {PERSON}.\n\n"),
        ("paper", "portray", f"as if you are {PERSON} and ", f"as if you are {PERSON}.\n\n"),
    ],
)
def test_zero_shot(layout: str, format: str, female: str, total: str) -> None:
    put = Prompting(Layout(layout), Format(format))
    for group, says in ((FEMALE, female), (TOTAL, total)):
        text = build_prompt(BERLIN, group, SCHEME, put).text
        assert says in text
        assert "United States" not in text
        usual = build_prompt(US, group, SCHEME, put).text
        assert ("United States" in usual) == (
            group is TOTAL and not (layout == "paper" and format == "qa")
        )


def test_prompts_that_are_written() -> None:
    for group in SCHEME:
        texts = [
            few_shot_prompt(BERLIN, group, SCHEME, [], refusal=None).text,
            comment_prompt(BERLIN, group, SCHEME),
            choice_prompt(["a", "b"], group, SCHEME, population=BERLIN.population),
            passage_prompt(BERLIN, group, SCHEME, "Well.").text,
        ]
        for text in texts:
            assert "Berlin" in text
            assert "United States" not in text


def test_a_person_needs_no_words_of_their_own() -> None:
    question = replace(US, population=Population("readers of the Gazette"))
    text = build_prompt(question, TOTAL, SCHEME, Prompting(format=Format.BIO)).text
    assert "I am one of the readers of the Gazette." in text
