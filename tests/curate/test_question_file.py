"""Question files: layouts, and options matched to codes without guessing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opinioncast.curate.question_file import ChosenQuestion, match_options, read_questions
from opinioncast.errors import InputError
from opinioncast.survey import Variable

LIFE = Variable("life", codes=(1.0, 2.0, 3.0), options=("Exciting", "Routine", "Dull"))


def write(tmp_path: Path, text: str, name: str = "q.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_own_layout(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "2018:\n  a: Is it so?\n"
        "  b: {text: 'How?', options: [x, y], codes: [5, 4], ordinal: [1, 2]}\n",
    )
    assert read_questions(path, "2018") == {
        "a": ChosenQuestion("Is it so?"),
        "b": ChosenQuestion("How?", ("x", "y"), (1.0, 2.0), (5.0, 4.0)),
    }
    with pytest.raises(InputError, match="no question for this wave"):
        read_questions(path, "2016")


def test_published_layout_leaves_refused_out(tmp_path: Path) -> None:
    entry = {"refined_qbody": "Q?", "option_list": ["a", "b", "Refused"], "ordinal": [1.0, 2.0]}
    path = write(tmp_path, json.dumps({"v": entry}), "q.json")
    assert read_questions(path, "any") == {"v": ChosenQuestion("Q?", ("a", "b"), (1.0, 2.0))}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "unknown layout"),
        ("'1':\n  v: {text: Q, colour: red}\n", "A question cannot be read"),
        ("'1':\n  v: {text: Q, options: [a, b], ordinal: [1]}\n", "not one code and scale"),
        ("'1':\n  v: {text: Q, options: [a, b], codes: [one, two]}\n", "codes and ordinal as"),
        ("'1':\n  v: {text: Q, options: [a, b], codes: [1, 2], labels: [x, y]}\n", ""),
        ("'1':\n  v: {text: Q, options: [a, b], labels: [x]}\n", ""),
        ("'1':\n  v: {text: Q, options: yes-no}\n", "lists: options and labels as texts"),
        ("'1':\n  v:\n", "A question cannot be read"),
        ("v: {refined_qbody: Q, ordinal: [1, 2]}\n", "has no options"),
        ("a: b: c\n", "question file is not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said) as caught:
        read_questions(write(tmp_path, text), "1")
    assert "q.yaml" in str(caught.value)


def test_options_in_another_order_go_by_label() -> None:
    match = match_options(LIFE, ChosenQuestion("Q", ("dull.", "Exciting", "Routine")))
    assert match.places == (2, 0, 1)
    assert not match.note


def test_an_option_worded_otherwise_goes_by_its_words_and_is_said() -> None:
    match = match_options(LIFE, ChosenQuestion("Q", ("It is dull", "Routine", "Exciting life")))
    assert match.places == (2, 1, 0)
    assert '"It is dull" is "Dull"; "Exciting life" is "Exciting"' in match.note


def test_what_is_left_over_is_not_matched_to_what_is_left_over() -> None:
    chosen = ChosenQuestion("Q", ("Exciting", "Humdrum", "Dull"))
    match = match_options(LIFE, chosen)
    assert not match.places
    assert 'not told by its text: "Humdrum"' in match.note
    assert '2 "Routine"' in match.note
    assert "give `codes`" in match.note
    confirmed = ChosenQuestion("Q", chosen.options, labels=("exciting", "Routine", "Dull"))
    assert match_options(LIFE, confirmed).places == (0, 1, 2)
    wrong = ChosenQuestion("Q", chosen.options, labels=("Exciting", "Routine", "Boring"))
    assert 'labels "Boring"' in match_options(LIFE, wrong).note


@pytest.mark.parametrize(
    "options",
    [
        ("Dull", "Humdrum", "Exciting"),
        ("Dull", "Not exciting", "Exciting"),
        ("Great", "So-so", "Bad"),  # nothing matches: may well be reversed
        ("Exciting", "Dull"),
    ],
)
def test_an_order_that_may_be_wrong_is_refused(options: tuple[str, ...]) -> None:
    match = match_options(LIFE, ChosenQuestion("Q", options))
    assert not match.places
    assert "Exciting" in match.note


def test_codes_settle_it() -> None:
    chosen = ChosenQuestion("Q", ("Bad", "Great"), codes=(3.0, 1.0))
    match = match_options(LIFE, chosen)
    assert match.places == (2, 0)
    assert match.options == ("Bad", "Great")
    assert "Routine" in match.note
    assert not match_options(LIFE, ChosenQuestion("Q", codes=(1.0, 9.0))).places
    assert match_options(LIFE, ChosenQuestion("Q", codes=(3.0, 1.0))).options == (
        "Dull",
        "Exciting",
    )


def test_codes_that_exchange_the_labels_of_the_file_are_refused() -> None:
    labels = LIFE.options
    exchanged = ChosenQuestion("Q", (labels[2], labels[1], labels[0]), codes=(1.0, 2.0, 3.0))
    match = match_options(LIFE, exchanged)
    assert not match.places
    assert f'"{labels[2]}" is given the code of "{labels[0]}"' in match.note


def test_a_variable_without_labels_fits_nothing() -> None:
    assert not match_options(Variable("age"), ChosenQuestion("Q")).places
