"""Conditions as programs and pollsters write them, against truth tables by hand."""

from __future__ import annotations

import numpy as np
import pytest

from opinioncast.errors import InputError
from opinioncast.synthesis.answers import answers_of
from opinioncast.synthesis.conditions import read_condition

A = answers_of(["Yes", "No", "Don't know"], [("a", 0), ("a", 1), ("a", 2)], ["1", "2", "98"])
B = answers_of(["Low", "Middle", "High"], [("b", 0), ("b", 1), ("b", 2)], ["1", "2", "3"])
MANY = answers_of(["TV", "Radio"], [("m_1", 0), ("m_2", 0)], ["1", "2"])
NAMES = {"a": A, "b": B, "m": MANY, "q1": A}

PEOPLE = [(a, b, m, n) for a in (1, 2, 3, 98) for b in (1, 2, 3) for m in (1, 2) for n in (1, 2)]
GIVEN = {
    name: np.array([p[i] for p in PEOPLE], np.int16)
    for i, name in enumerate(("a", "b", "m_1", "m_2"))
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a=1", lambda a, b, m, n: a == 1),
        ("ASK IF A = Yes", lambda a, b, m, n: a == 1),
        ("Ask if: a=1,2", lambda a, b, m, n: a in (1, 2)),
        ("IF a=1/2 AND b=3", lambda a, b, m, n: a in (1, 2) and b == 3),
        ("a=1 or b=2 and b=3", lambda a, b, m, n: a == 1 or (b == 2 and b == 3)),
        ("(a=1 or b=2) and m=1", lambda a, b, m, n: (a == 1 or b == 2) and m == 1),
        ("a=1 or 2", lambda a, b, m, n: a in (1, 2)),
        ("b = Low or High", lambda a, b, m, n: b in (1, 3)),
        ("b=1-2", lambda a, b, m, n: b in (1, 2)),
        ("b in (1, 3)", lambda a, b, m, n: b in (1, 3)),
        ("b <= 2", lambda a, b, m, n: b <= 2),
        ("a < 95 or ==98", lambda a, b, m, n: a in (1, 2, 3)),  # 98 is the code of Don't know
        ("a is not 1", lambda a, b, m, n: a != 1),  # also who was not asked
        ("NOT a = 1; b != 3", lambda a, b, m, n: a != 1 and b != 3),
        ("selected(${m}, '2')", lambda a, b, m, n: n == 1),
        ("not(selected(${m}, '2')) and ${b} = '1'", lambda a, b, m, n: n != 1 and b == 1),
        ('((a.NAOK == "1"))', lambda a, b, m, n: a == 1),
        ("a.r1 and not m.r2", lambda a, b, m, n: a == 1 and n != 1),
        ('If a = "Don\'t know" And And b != "High"', lambda a, b, m, n: a == 3 and b != 3),
        ("m = Radio", lambda a, b, m, n: n == 1),
        ("m = 1, 2", lambda a, b, m, n: 1 in (m, n)),
        ("wenn 1=2", lambda a, b, m, n: a == 2),
    ],
)
def test_who_is_asked(text: str, holds) -> None:
    condition = read_condition(text, NAMES)
    assert condition is not None
    found = condition.holds(GIVEN, len(PEOPLE)).tolist()
    assert found == [bool(holds(*p)) for p in PEOPLE]
    assert 0 < sum(found) < len(PEOPLE)


@pytest.mark.parametrize("text", ["", "ASK ALL", "Base: all respondents", "1", "All"])
def test_everyone(text: str) -> None:
    assert read_condition(text, NAMES) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ASK ALL WHO VOTED", "not predicted"),
        ("z=1", "not predicted"),
        ("a=7", "does not have"),
        ("a=1-2,7", "does not have"),
        ("a.r7", "does not have"),
        ("a=1 and", "cannot be read"),
        ("(a=1", "cannot be read"),
        ("a = ", "cannot be read"),
        ("b", "cannot be read"),
        ("m > Radio", "cannot be read"),
        ("a=1 b=2", "cannot be read"),
        ("Do you vote? Yes Is Selected", "cannot be read"),
        ("then skip: to the end", "cannot be read"),
        ("count(a) % 2", "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read_condition(text, NAMES)
