"""What an error carries, and that it is not lost on the way up."""

from __future__ import annotations

import pytest

from opinioncast.errors import (
    DataError,
    InputError,
    NoScoresError,
    OpinioncastError,
    ServiceError,
)


def test_a_place_put_before_an_error_loses_nothing_of_it() -> None:
    error = ServiceError("refused", where="model m", expected="a", found="b", hint="c")
    error.status, error.answered, error.lost = 503, False, True
    moved = error.at("question 3")
    assert type(moved) is ServiceError
    assert moved.where == "question 3, model m"
    assert (moved.status, moved.answered, moved.lost) == (503, False, True)
    assert (moved.title, moved.expected, moved.found, moved.hint) == ("refused", "a", "b", "c")
    assert moved.args == error.args
    assert error.where == "model m"  # the first is as it was


@pytest.mark.parametrize("kind", [OpinioncastError, InputError, DataError, NoScoresError])
def test_every_kind_stays_itself(kind: type[OpinioncastError]) -> None:
    moved = kind("wrong").at("row 1")
    assert type(moved) is kind
    assert moved.where == "row 1"


def test_what_was_found_is_cut_to_one_line() -> None:
    error = InputError("wrong", found="a\n b " + "x" * 500)
    assert error.found is not None
    assert error.found.startswith("a b x")
    assert len(error.found) == 200
    assert error.found.endswith("…")
    assert InputError("wrong", found=KeyError("k")).found == "KeyError: 'k'"
