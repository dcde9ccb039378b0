from __future__ import annotations

import pytest

from opinioncast.errors import InputError
from opinioncast.survey import Question
from opinioncast.synthesis.conditions import Gave
from opinioncast.synthesis.routing import Placed, order_of, read_routes, routing_of

QUESTIONS = [Question(i, f"{i}?", ("Yes", "No", "Maybe")) for i in ("a", "b", "c")]


def test_patterns_are_read_and_put_in_order() -> None:
    routes = read_routes(["a: c=yes|Maybe", "c : b = No"], QUESTIONS)
    assert [(r.question_id, r.condition) for r in routes] == [
        ("a", Gave((("c", 0), ("c", 2)))),
        ("c", Gave((("b", 1),))),
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


def test_a_questionnaires_own_patterns() -> None:
    asked = [*QUESTIONS, *(Question(f"m_{k}", k, ("Yes", "No")) for k in ("x", "y"))]
    placed = [
        Placed("a", "ASK ALL", ("1", "2", "98")),
        Placed("b", "ask if A=1,98"),
        Placed("c", "if the weather is nice"),
        Placed("m_x", "b = Yes", part_of="m", item="Ice"),
        Placed("m_y", "m = Ice", part_of="m", item="Cream"),
        Placed("gone", "a=1"),
    ]
    routing = routing_of(placed, asked)
    assert [(r.question_id, r.condition) for r in routing.routes] == [
        ("b", Gave((("a", 0), ("a", 2)))),
        ("m_x", Gave((("b", 0),))),
        ("m_y", Gave((("m_x", 0),))),
    ]
    assert set(routing.followed) == {"b", "m_x", "m_y"}
    assert set(routing.unread) == {"c"}
    assert "the weather" in routing.unread["c"][1]
    typed = read_routes(["b: c=Yes"], asked)
    assert "b" not in routing_of(placed, asked, typed).followed


def test_a_pattern_that_waits_for_itself_is_not_followed() -> None:
    placed = [Placed("a", "b=Yes"), Placed("b", "a=Yes"), Placed("c", "c=Yes")]
    routing = routing_of(placed, QUESTIONS)
    assert set(routing.followed) == {"a"}
    assert routing.unread["b"][1] == "it waits for its own answer"
    assert set(routing.unread) == {"b", "c"}


def test_a_number_that_begins_one_name_only() -> None:
    asked = [Question(i, f"{i}?", ("Yes", "No")) for i in ("Q1_vote", "Q2_a", "Q2_b", "z")]
    others = [Placed(q.question_id) for q in asked[:3]]
    routed = routing_of([*others, Placed("z", "Q1=Yes")], asked)
    assert routed.routes[0].condition == Gave((("Q1_vote", 0),))
    unclear = routing_of(
        [*(Placed(q.question_id) for q in asked[:3]), Placed("z", "Q2=Yes")], asked
    )
    assert set(unclear.unread) == {"z"}
