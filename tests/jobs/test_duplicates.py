"""One question in many dresses: whoever must keep it apart, leave it out or count it does, by the
one rule (:mod:`opinioncast.survey.sameness`)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.methods.fake_encoder import FakeEncoder

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.curate.overlap import QuestionSet, find_overlap, remove_overlap
from opinioncast.curate.split import split_table
from opinioncast.errors import InputError
from opinioncast.evaluate.clusters import question_counts
from opinioncast.finetune.recipe import parse_finetune
from opinioncast.finetune.targets import training_rows
from opinioncast.jobs.training_data import _checked_apart, _held_out
from opinioncast.methods.neighbours import TrainingQuestions
from opinioncast.survey import GroupScheme, OpinionTable, Question, load_groups, opinion_row
from opinioncast.survey.sameness import asked_before, digests, find_same, repeated

GROUPS = load_groups("TOTAL", "SEX=Female")
WORDS = ("rents", "buses", "parks", "taxes", "banks", "dogs", "roads", "schools", "trees")
ENCODE = FakeEncoder().encode

DRESSES: tuple[Callable[[Question], Question], ...] = (
    lambda q: replace(q, wave="9", question_id=f"{q.question_id}_W9"),
    lambda q: replace(
        q, wave="9", question_id=q.question_id.upper(), text=f"New words on {q.question_id}"
    ),
    lambda q: replace(q, family="Other", question_id="x1", wave=""),
    lambda q: replace(q, family="Other", question_id="x2", text=q.text.upper()),
    lambda q: replace(q, family="Other", question_id="x3", text=f"12. {q.text.replace(' ', '  ')}"),
    lambda q: replace(q, family="Other", question_id="x4", text=q.text.replace("'", "&rsquo;")),
    lambda q: replace(
        q, family="Other", question_id="x5", text=f"<p>{q.text.replace('a', 'á')}</p>"
    ),
    lambda q: replace(
        q,
        family="Other",
        question_id="x6",
        options=("Agree", "Neither", "Disagree"),
        ordinal=(1, 2, 3),
    ),
)


def plain(number: int) -> Question:
    text = f"Don't you think that {WORDS[number]} are all right?"
    return Question(f"q{number}", text, ("Yes", "No"), (1, 2), "F", "1")


def table(questions: list[Question]) -> OpinionTable:
    draw = np.random.default_rng(0)
    return OpinionTable.from_rows(
        opinion_row(q, g, draw.dirichlet(np.ones(len(q.options))).tolist(), n=50)
        for q in questions
        for g in GROUPS
    )


Pick = list[tuple[int, int]]
PICKS = st.lists(
    st.tuples(st.integers(0, len(WORDS) - 1), st.integers(0, len(DRESSES) - 1)),
    min_size=1,
    max_size=5,
    unique_by=lambda pick: pick[0],
)


def dressed(picks: Pick) -> list[Question]:
    """A copy of each picked question; ids of one dress are told apart by number."""
    found = []
    for number, dress in picks:
        copy = DRESSES[dress](plain(number))
        own = copy.question_id if copy.family == "F" else f"{copy.question_id}n{number}"
        found.append(replace(copy, question_id=own))
    return found


def number_of(question: Question, numbers: dict[tuple[str, str, str], int]) -> int:
    """Which of the plain questions it is."""
    return numbers[question.family, question.wave, question.question_id]


@pytest.mark.slow
@settings(deadline=None, max_examples=4)
@given(PICKS, st.integers(0, 1000))
def test_whoever_must_sees_one_question_in_two(picks: Pick, seed: int) -> None:
    originals = [plain(i) for i in range(len(WORDS))]
    copies = dressed(picks)
    numbers = {(q.family, q.wave, q.question_id): i for i, q in enumerate(originals)}
    numbers |= {
        (q.family, q.wave, q.question_id): n for q, (n, _) in zip(copies, picks, strict=True)
    }
    both = [*originals, *copies]
    random.Random(seed).shuffle(both)
    whole = table(both)

    # splits and held-out shares: on one side
    parts = split_table(whole, by="question", fractions={"a": 0.6, "b": 0.4}, seed=seed).parts
    held = _held_out(whole, parse_finetune(RECIPE, "test").validation, None)  # type: ignore[arg-type]
    for left, right in (list(parts.values()), held):
        sides = [{number_of(q, numbers) for q in side.questions()} for side in (left, right)]
        assert not sides[0] & sides[1]

    # counts of evaluations: one question
    assert question_counts(whole.frame) == (len(originals), len(both))
    assert repeated(both) == len(copies)

    # overlap: taken out of the training, by key or wording whatever the threshold
    train, other = table(originals), table(copies)
    pairs = find_overlap(
        QuestionSet.of_table("train", train, ENCODE),
        QuestionSet.of_table("other", other, ENCODE),
        threshold=2.0,
    )
    rest, removed = remove_overlap(train, other, pairs)
    assert {number_of(q, numbers) for q in rest.questions()} == set(range(len(WORDS))) - {
        n for n, _ in picks
    }
    assert removed.height == len(picks)

    # a model knows what it was trained on, and the trainer refuses to check on it
    asked = asked_before(copies, digests(originals))
    assert asked == {"questions": len(copies), "asked_in_training_too": len(copies)}
    assert len(find_same(copies, originals).found) == len(copies)
    scheme = GroupScheme.of_standard(whole.subpopulations(), "test")
    rows, held_rows = (training_rows(t, scheme, refusal=True) for t in (train, other))
    with pytest.raises(InputError, match="ask what the training rows ask too"):
        _checked_apart(rows, held_rows, None)

    # few-shot: not its own example, nor one example twice
    known = TrainingQuestions(whole, FakeEncoder())
    for question, ranking in zip(copies, known.ranking(copies), strict=True):
        own = number_of(question, numbers)
        near = [n.example.question for n in known.nearest(ranking, next(iter(GROUPS)), len(both))]
        shown = [number_of(q, numbers) for q in near]
        assert own not in shown
        assert len(shown) == len(set(shown)) == len(WORDS) - 1
    assert known.sameness(copies).count("key") + known.sameness(copies).count("wording") == len(
        copies
    )


RECIPE = {"name": "x", "table": "t", "validation": {"fraction": 0.3}}
