from __future__ import annotations

import pytest

from opinioncast.errors import InputError
from opinioncast.survey import Question
from opinioncast.synthesis.routing import order_of, read_routes

QUESTIONS = [Question(i, f"{i}?", ("Yes", "No", "Maybe")) for i in ("a", "b", "c")]


def test_patterns_are_read_and_put_in_order() -> None:
    routes = read_routes(["a: c=yes|Maybe", "c : b = No"], QUESTIONS)
    assert [(r.question_id, r.condition, r.options) for r in routes] == [
        ("a", "c", (0, 2)),
        ("c", "b", (1,)),
    ]
    assert order_of(["a", "b", "c"], routes) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a if b=Yes", "cannot be read"),
        ("a: b", "cannot be read"),
        ("a: b=", "cannot be read"),
        ("a: x=Yes", "not predicted"),
        ("x: a=Yes", "not predicted"),
        ("a: b=Never", "does not have"),
        ("a: a=Yes", "circle"),
    ],
)
def test_what_cannot_be_followed_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_routes([text], QUESTIONS)


def test_circles_of_several_are_found() -> None:
    with pytest.raises(InputError, match="circle"):
        read_routes(["a: b=Yes", "b: c=Yes", "c: a=Yes"], QUESTIONS)
