"""Every prompt format, character by character.

The golden files hold what the prompts are; ``OPINIONCAST_GOLDEN=write`` writes them anew after a
change that is meant. A change of a prompt changes predictions and invalidates adapters.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from opinioncast.prompts import Format, Layout, Prompt, PromptStyle, build_prompt, steering_line
from opinioncast.prompts.steering import steering_text
from opinioncast.survey.groups import GroupScheme, Subpopulation, load_groups, standard_attributes
from opinioncast.survey.question import Question

GOLDEN = Path(__file__).parent / "golden"

MILITARY = Question(
    "conarmy",
    "I am going to name some institutions in this country. As far as the people running these "
    "institutions are concerned, would you say you have a great deal of confidence, only some "
    "confidence, or hardly any confidence at all in them? Military",
    ("A great deal", "Only some", "Hardly any"),
    (1, 2, 3),
)
AFTERLIFE = Question("postlife", "Do you believe there is a life after death?", ("Yes", "No"))

FIGURE_14_FIRST = """\
Question: Which part of the United States do you currently live in?
A. Northeast
B. Midwest
C. South
D. West

Answer: A. Northeast

Answer the following question keeping in mind your previous answers.
Question: I am going to name some institutions in this country. As far as the people running these \
institutions are concerned, would you say you have a great deal of confidence, only some \
confidence, or hardly any confidence at all in them? Military
A. A great deal
B. Only some
C. Hardly any
D. Refused
Answer as a choice between A.,B.,C.,D.

Answer:"""

FIGURE_14_SECOND = """\
Question: What is your present religion, if any?
A. Protestant
B. Roman Catholic
C. Mormon
D. Orthodox
E. Jewish
F. Muslim
G. Buddhist
H. Hindu
I. Atheist
J. Agnostic
K. Other
L. Nothing in particular

Answer: I. Atheist

Answer the following question keeping in mind your previous answers.
Question: Do you believe there is a life after death?
A. Yes
B. No
C. Refused
Answer as a choice between A.,B.,C.

Answer:"""

GROUPS = {
    "one": "CREGION=South",
    "two": "SEX=Female & RELIG=Nothing in particular",
    "everyone": "total",
}


def chat(message: str) -> str:
    return f"<start>user\n{message}<end>\n<start>model\n"


def one(expression: str) -> tuple[Subpopulation, GroupScheme]:
    scheme = load_groups(expression)
    return scheme.subpopulations[0], scheme


def matches(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("OPINIONCAST_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", "utf-8")
    assert path.read_text("utf-8") == text + "\n"


@pytest.mark.parametrize(
    ("question", "group", "printed"),
    [
        (MILITARY, "CREGION=Northeast", FIGURE_14_FIRST),
        (AFTERLIFE, "RELIG=Atheist", FIGURE_14_SECOND),
    ],
)
def test_qa_in_the_papers_layout_is_figure_14(question: Question, group: str, printed: str) -> None:
    prompt = build_prompt(question, *one(group), PromptStyle(Layout.PAPER, Format.QA))
    assert prompt.text == printed


def test_bio_and_portray_are_section_41s_sentences() -> None:
    south, scheme = one("CREGION=South")
    assert steering_text(south, scheme, Format.BIO) == "I currently reside in the South.\n\n"
    assert steering_text(south, scheme, Format.PORTRAY) == (
        "Answer the following question as if you currently reside in the South.\n\n"
    )


def build(
    question: Question, group: str, layout: Layout, format: Format, chatty: bool, refusal: bool
) -> Prompt:
    style = PromptStyle(layout, format, "Refused" if refusal else None)
    return build_prompt(question, *one(group), style, chat_template=chat if chatty else None)


@pytest.mark.parametrize(("layout", "format"), list(product(Layout, Format)))
@pytest.mark.parametrize("chatty", [False, True])
def test_every_format_is_pinned(layout: Layout, format: Format, chatty: bool) -> None:
    shown = [
        f"##### {group}, {'with' if refusal else 'without'} refusal #####\n"
        + build(AFTERLIFE, expression, layout, format, chatty, refusal).text
        for (group, expression), refusal in product(GROUPS.items(), (True, False))
    ]
    matches(f"{format}_{layout}_{'chat' if chatty else 'base'}", "\n".join(shown))


def test_every_groups_steering_question_is_pinned() -> None:
    scheme = load_groups("all")
    last = {a.name: a.groups[-1] for a in standard_attributes().values()}
    shown = [steering_text(s, scheme, Format.QA) for s in scheme if last[s.attribute] == s.group]
    assert len(shown) == 12
    matches("steering_qa", "\n".join(shown))


@pytest.mark.parametrize("format", list(Format))
def test_every_groups_line_is_pinned(format: Format) -> None:
    scheme = load_groups("all", "total")
    shown = [f"{s}\t{steering_line(s, scheme, format)}" for s in scheme]
    assert len(shown) == 62
    matches(f"lines_{format}", "\n".join(shown))


@pytest.mark.parametrize("format", [Format.BIO, Format.PORTRAY])
def test_sentences_are_sentences(format: Format) -> None:
    scheme = load_groups("all", "total")
    lines = [steering_line(s, scheme, format) for s in scheme]
    assert len(set(lines)) == len(lines)
    for line in lines:
        assert line[0].isupper()
        assert line.endswith(".")
        assert not set("{}") & set(line)
        assert "  " not in line


def test_without_a_group_qa_has_no_steering() -> None:
    prompt = build(AFTERLIFE, "total", Layout.PAPER, Format.QA, False, True)
    assert prompt.text.startswith("Question: Do you believe")


def test_a_chat_prompt_leaves_the_answer_to_the_models_turn() -> None:
    prompt = build(AFTERLIFE, "CREGION=South", Layout.PAPER, Format.QA, True, True)
    assert prompt.text.endswith("Answer as a choice between A.,B.,C.<end>\n<start>model\n")
    assert prompt.text.startswith("<start>user\nQuestion: Which part")
