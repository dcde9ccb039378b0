"""Skip patterns: who is asked a question, by what they answered before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opinioncast.errors import InputError
from opinioncast.survey import Question


@dataclass(frozen=True, slots=True)
class AskIf:
    """A question is asked of those who gave one of some answers to another.

    Attributes:
        question_id: who is asked this.
        condition: id of the question that decides.
        options: places of the answers that lead on.
    """

    question_id: str
    condition: str
    options: tuple[int, ...]


def read_routes(expressions: Sequence[str], questions: Sequence[Question]) -> tuple[AskIf, ...]:
    """Skip patterns as typed: ``rent_why: rent=Favor|Oppose``.

    Raises:
        InputError: another form, a question or option that is not there, a question that decides
            on itself by way of others.
    """
    known = {q.question_id: q for q in questions}
    routes = []
    for text in expressions:
        asked, colon, condition = text.partition(":")
        name, equals, answers = condition.partition("=")
        asked, name = asked.strip(), name.strip()
        if not (colon and equals and answers.strip()):
            raise InputError(
                "A skip pattern cannot be read",
                where="--ask-if",
                expected="QUESTION: OTHER=Option|Option",
                found=text,
            )
        for each in (asked, name):
            if each not in known:
                raise InputError(
                    "A skip pattern names a question that was not predicted",
                    where=f"--ask-if {text}",
                    expected=", ".join(known),
                    found=each,
                )
        options = {o.casefold(): i for i, o in enumerate(known[name].options)}
        wanted = [a.strip() for a in answers.split("|")]
        strange = [a for a in wanted if a.casefold() not in options]
        if strange:
            raise InputError(
                "A skip pattern names an option that its question does not have",
                where=f"--ask-if {text}",
                expected=" | ".join(known[name].options),
                found=" | ".join(strange),
            )
        routes.append(AskIf(asked, name, tuple(options[a.casefold()] for a in wanted)))
    _in_order(routes)
    return tuple(routes)


def _in_order(routes: Sequence[AskIf]) -> None:
    decides: dict[str, set[str]] = {}
    for route in routes:
        decides.setdefault(route.question_id, set()).add(route.condition)
    for start in decides:
        seen: set[str] = set()
        open_ = set(decides[start])
        while open_:
            name = open_.pop()
            if name == start:
                raise InputError(
                    "Skip patterns go round in a circle", where="--ask-if", found=start
                )
            if name not in seen:
                seen.add(name)
                open_ |= decides.get(name, set())


def order_of(question_ids: Sequence[str], routes: Sequence[AskIf]) -> list[str]:
    """Questions so that each comes after those that decide on it."""
    before: Mapping[str, list[str]] = {
        q: [r.condition for r in routes if r.question_id == q] for q in question_ids
    }
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in done:
            for other in before[name]:
                visit(other)
            done[name] = None

    for name in question_ids:
        visit(name)
    return list(done)
