"""Every prompt format, character by character.

The golden files hold what the prompts are; ``OPINIONCAST_GOLDEN=write`` writes them anew after a
change that is meant. A change of a prompt changes predictions and invalidates adapters.
"""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import pytest

from opinioncast.prompts import Format, Layout, Prompt, Prompting, build_prompt, steering_line
from opinioncast.prompts.few_shot import Example, few_shot_prompt
from opinioncast.prompts.pluralism import choice_prompt, comment_prompt, passage_prompt
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
    prompt = build_prompt(question, *one(group), Prompting(Layout.PAPER, Format.QA))
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
    style = Prompting(layout, format, refusal=refusal)
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


WELL = ("Very well", "Somewhat well", "Not too well", "Not at all well", "Not sure")
AHEAD = Question(
    "ahead",
    "Overall, how does being Asian affect people's ability to get ahead in our country these days?",
    ("Helps a lot", "Helps a little", "Hurts a little", "Hurts a lot", "Neither helps nor hurts"),
)
ALONG = Question(
    "along",
    "Thinking again about race and race relations in the U.S. in general, how well, if at all, do "
    "you think each of these groups get along with each other in our society these days? "
    "Hispanics and Asians",
    ("Very well", "Pretty well", *WELL[2:]),
)
FIGURE_15 = """\
Predict the answer distribution of the following questions for people whose race or ethnicity is \
White.

Question: Overall, how does being Asian affect people's ability to get ahead in our country these \
days?
A. Helps a lot
B. Helps a little
C. Hurts a little
D. Hurts a lot
E. Neither helps nor hurts
F. Refused
Answer distribution: {"A": 0.050, "B": 0.208, "C": 0.238, "D": 0.034, "E": 0.460, "F": 0.010}

Question: Thinking again about race and race relations in the U.S. in general, how well, if at \
all, do you think each of these groups get along with each other in our society these days? \
Hispanics and Asians
A. Very well
B. Pretty well
C. Not too well
D. Not at all well
E. Not sure
F. Refused
Answer distribution:"""


def test_few_shot_is_figure_15() -> None:
    """The first example of the figure; its shares, made to sum to one, as JSON."""
    shares = [s / 0.99 for s in (0.050, 0.208, 0.238, 0.034, 0.460)]
    example = Example(AHEAD, tuple(shares), 0.010)
    group, scheme = one("RACE=White")
    prompt = few_shot_prompt(ALONG, group, scheme, [example], refusal="Refused")
    assert prompt.text == FIGURE_15
    assert prompt.labels == tuple("ABCDEF")
    assert prompt.options[-1] == "Refused"


def test_few_shot_is_pinned() -> None:
    known = Example(AHEAD, (0.05, 0.21, 0.24, 0.03, 0.47), 0.01)
    unknown = Example(AFTERLIFE, (2 / 3, 1 / 3))  # no refusal rate: no refusal among its options
    shown = [
        f"##### {group}, {'chat' if chatty else 'base'}, refusal {refusal} #####\n"
        + few_shot_prompt(
            ALONG,
            *one(expression),
            [unknown, known],
            refusal=refusal,
            chat_template=chat if chatty else None,
        ).text
        for group, expression in GROUPS.items()
        for chatty in (False, True)
        for refusal in ("Refused", None)
    ]
    matches("few_shot", "\n".join(shown))


GUN = Question(
    "gun",
    "Please indicate whether the following is a major reason, a minor reason, or not a reason why "
    "you own a gun. As part of a gun collection",
    ("Major reason", "Minor reason", "Not a reason"),
)
FIGURE_16_FIRST = """\
In terms of political party, you are Republican. Please respond to the following question with \
explanation.

Question: Please indicate whether the following is a major reason, a minor reason, or not a reason \
why you own a gun. As part of a gun collection
A. Major reason
B. Minor reason
C. Not a reason

Answer:"""
FIGURE_16_SECOND = """\
Which of the following comments best reflect the people of Republican in terms of political party?

Comment 1: One.
Comment 2: Two.

Please select one comment number from 1 to 2.

Answer:"""


def test_pluralism_is_figure_16() -> None:
    group, scheme = one("POLPARTY=Republican")
    assert comment_prompt(GUN, group, scheme) == FIGURE_16_FIRST
    assert choice_prompt(("One.", "Two."), group, scheme) == FIGURE_16_SECOND
    passage = passage_prompt(GUN, group, scheme, "One.")
    assert passage.text == FIGURE_16_FIRST.replace(
        "with explanation.\n", "with the help of a passage.\n\nPassage: One.\n"
    )


def test_pluralism_is_pinned() -> None:
    shown = []
    for group, expression in GROUPS.items():
        for chatty in (False, True):
            template = chat if chatty else None
            who, scheme = one(expression)
            passage = passage_prompt(
                GUN, who, scheme, "Two.", order=(2, 1, 0), chat_template=template
            )
            assert passage.labels == ("C", "B", "A")
            shown += [
                f"##### {group}, {'chat' if chatty else 'base'} #####",
                comment_prompt(GUN, who, scheme, chat_template=template),
                choice_prompt(("One.", "Two."), who, scheme, chat_template=template),
                passage.text,
            ]
    matches("pluralism", "\n".join(shown))
