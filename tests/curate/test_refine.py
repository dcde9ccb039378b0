"""Refinement: fielded wordings and what should come of them; review files; a model's answers."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.curate.refine import (
    MARKER,
    RawQuestion,
    refine,
    refine_prompt,
    refine_rules,
    refine_with_model,
)
from opinioncast.curate.review import ReviewRow, read_review, write_review
from opinioncast.errors import InputError, ModelError

YES_NO = ("Yes", "No")


@pytest.mark.parametrize(
    ("raw", "options", "expected"),
    [
        (
            "Do you think this is [a good thing or a bad thing] for our society?",
            ("Good", "Bad"),
            "Do you think this is a good thing or a bad thing for our society?",
        ),
        (
            "On a different subject...How much, if at all, do you worry?",
            ("A lot", "Not at all"),
            "How much, if at all, do you worry?",
        ),
        ("(READ EACH CATEGORY) Do you agree?", YES_NO, "Do you agree?"),
        (
            "HAND CARD A2. Do you like NASA and the U.S. Congress? CIRCLE ONE CODE.",
            YES_NO,
            "Do you like NASA and the U.S. Congress?",
        ),
        ("Is (HE/SHE) happy? PROBE: anything else?", YES_NO, "Is he/she happy?"),
        ("Is this fair? [RANDOMIZE]", YES_NO, "Is this fair?"),
        ("[ASK IF Q3=1:] Is this fair?\n1 Yes\n2 No", YES_NO, "Is this fair?"),
        (
            "<p>Is &quot;this&quot;<br/>fair&nbsp;at AT&amp;T?</p>",
            YES_NO,
            'Is "this" fair at AT&T?',
        ),
        ("Is it “fair” or isn’t it?", YES_NO, 'Is it "fair" or isn\'t it?'),
        (
            "A cross // Do you have any of the following?",
            YES_NO,
            "Do you have any of the following? A cross",
        ),
        (
            "Tell me whether we spend too much on each of these problems. a. Foreign aid.",
            YES_NO,
            "Tell me whether we spend too much on each of these problems: Foreign aid.",
        ),
        (
            "Should it be legal if . . .READ EACH STATEMENT.\nB. If she is not married?",
            YES_NO,
            "Should it be legal if she is not married?",
        ),
        (
            "To what extent are you religious? Are you . . .",
            ("Very religious", "Not religious"),
            "To what extent are you religious?",
        ),
        (
            "A. What about premarital sex, is it...",
            ("Always wrong", "Not wrong at all"),
            "What about premarital sex, is it always wrong or not wrong at all?",
        ),
        ("Do you AGREE that it is fine?", YES_NO, "Do you AGREE that it is fine?"),
    ],
)
def test_rules(raw: str, options: tuple[str, ...], expected: str) -> None:
    refined = refine_rules(raw, options)
    assert refined.text == expected
    assert refined.decided_by == "rules"
    assert refined.changed == (" ".join(raw.split()) != expected)


def test_a_wording_of_instructions_only_is_kept_with_a_note() -> None:
    refined = refine_rules("INTERVIEWER ONLY, DO NOT ASK R", YES_NO)
    assert refined.text == "INTERVIEWER ONLY, DO NOT ASK R"
    assert not refined.changed
    assert "no wording" in refined.notes[0]


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=10), max_size=5))
def test_rules_never_fail_and_leave_one_line(raw: str, options: list[str]) -> None:
    text = refine_rules(raw, options).text
    assert text == " ".join(text.split())


@given(
    st.lists(st.sampled_from(["you", "think", "the", "government", "helps", "people"]), min_size=6)
)
def test_a_clean_question_stays_as_it_is(words: list[str]) -> None:
    distinct = list(dict.fromkeys(words))
    raw = " ".join(["Do you agree that", *distinct]) + "?"
    assert refine_rules(raw, YES_NO).text == raw


def test_prompt_is_figure_6_and_ends_with_the_question() -> None:
    prompt = refine_prompt(RawQuestion("Q", "Is it\nfair", YES_NO))
    assert prompt.startswith("Instruction: Refine the question with a minimal change")
    assert prompt.count("\nRefined question:") == 5
    assert prompt.endswith("Question: Is it fair\nA. Yes\nB. No\nRefined question:")


ITEM = RawQuestion("Q", "Do you think this is [a good thing or a bad thing] for us?", YES_NO)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (f"{MARKER} Do you think this is a good or a bad thing for us?", ""),
        (" Do you think this is a good thing or a bad thing?\n\nQuestion: next", ""),
        (f"{MARKER} Is this a good thing or a bad thing for us?\nA. Yes\nB. No", ""),
        (f"{MARKER} Is this a good thing or a bad thing for us?\nA. Yes\nB. Maybe", "options"),
        (f"{MARKER}", "empty"),
        ("", "empty"),
        (f"{MARKER} " + "Do you think this is a good thing for us? " * 5, "too long"),
        (f"{MARKER} What did the president eat yesterday evening?", "another question"),
        ("Instruction: Refine the question", "no refined question"),
    ],
)
def test_a_models_answer_is_used_only_if_it_fits(answer: str, problem: str) -> None:
    got = refine_with_model([ITEM], lambda prompts: [answer] * len(prompts))
    if problem:
        assert problem in got.fallbacks["Q"]
        assert got.refined["Q"].decided_by == "rules"
        assert got.refined["Q"].text == refine_rules(ITEM.raw, ITEM.options).text
    else:
        assert not got.fallbacks
        assert got.refined["Q"].decided_by == "model"
        assert MARKER not in got.refined["Q"].text


def test_a_model_must_answer_every_prompt() -> None:
    with pytest.raises(ModelError, match="every prompt"):
        refine_with_model([ITEM], lambda prompts: [])


def test_review_before_model_before_rules_and_stale_rows_are_named() -> None:
    items = [RawQuestion(n, f"Is {n} [good or bad]?", YES_NO) for n in ("A1", "B2", "C3")]
    review = [
        ReviewRow("A1", "Is A1  [good or bad]?", "Is A1 fine?", "reviewed", "ok"),
        ReviewRow("B2", "An older wording?", "Is B2 fine?", "reviewed"),
        ReviewRow("Z9", "Gone?", "Gone?", "reviewed"),
    ]
    asked: list[str] = []

    def generate(prompts: list[str]) -> list[str]:
        asked.extend(prompts)
        return [f"{MARKER} Is B2 good or bad?", ""]

    got = refine(items, review, generate)
    assert [got.refined[n].decided_by for n in ("A1", "B2", "C3")] == ["reviewed", "model", "rules"]
    assert got.refined["A1"].text == "Is A1 fine?"
    assert (got.stale, got.unused, list(got.fallbacks)) == (("B2",), ("Z9",), ["C3"])
    assert len(asked) == 2
    assert [r.decided_by for r in got.review_rows(items)] == ["reviewed", "model", "rules"]


TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n\t"),
    max_size=60,
)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".csv", ".yaml"])
@given(rows=st.lists(st.builds(ReviewRow, TEXT, TEXT, TEXT.filter(str.strip), TEXT, TEXT),
                     max_size=5, unique_by=lambda r: r.variable))  # fmt: skip
def test_review_files_are_lossless(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, rows: list[ReviewRow]
) -> None:
    path = tmp_path_factory.mktemp("review") / f"review{suffix}"
    write_review(path, rows)
    assert read_review(path) == rows


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.csv", "variable,original\nQ,x\n", "lacks a column"),
        ("r.csv", "variable,original,refined,decided_by,note\nQ,x,,rules,\n", "no refined wording"),
        ("r.yaml", "a: 1", "not a list"),
        ("r.yaml", "[", "is not valid YAML"),
        (
            "r.csv",
            "variable,original,refined,decided_by,note\nQ,x,y,rules,\nQ,x,z,rules,\n",
            "twice",
        ),
    ],
)
def test_bad_review_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_review(tmp_path / name)
    assert name in str(caught.value)


def test_published_refined_wordings(shared_data: Path) -> None:
    """Of the paper's 89 visible refined wordings nine in ten come out word for word."""
    raw = json.loads((shared_data / "gss/subpop_eval_questions.json").read_text())

    def words(text: str) -> list[str]:
        return re.findall(r"\w+", text.casefold())

    pairs = [
        (
            words(refine_rules(e["original_qbody"], e["option_list"][:-1]).text),
            words(e["refined_qbody"]),
        )
        for e in raw.values()
    ]
    assert sum(a == b for a, b in pairs) / len(pairs) > 0.9
    ratios = [difflib.SequenceMatcher(None, a, b, autojunk=False).ratio() for a, b in pairs]
    assert sum(ratios) / len(ratios) > 0.99


@pytest.mark.parametrize("lost", ["toï¿½. ", "to~. ", "to\ufffd "])
def test_an_ellipsis_lost_on_the_way_is_put_back(lost: str) -> None:
    raw = f"Who would you turn to first {lost}Help you if you were sick?"
    assert refine_rules(raw, ()).text == (
        "Who would you turn to first to... Help you if you were sick?"
    )
