"""Skip patterns: who is asked a question, by what they answered before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opinioncast.errors import InputError
from opinioncast.survey import Question
from opinioncast.synthesis.answers import Answers, answers_of
from opinioncast.synthesis.conditions import Condition, Gave, read_condition


@dataclass(frozen=True, slots=True)
class AskIf:
    """A question is asked of those for whom a condition on other answers holds."""

    question_id: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class Placed:
    """What a questionnaire says of a question that was predicted.

    Attributes:
        routing: who is asked it, as the questionnaire has it.
        codes: of its options in data; empty where it gives none.
        part_of: id of the select-all question it is one option of, "" for others.
        item: that option.
    """

    question_id: str
    routing: str = ""
    codes: tuple[str, ...] = ()
    part_of: str = ""
    item: str = ""


@dataclass(frozen=True)
class Routing:
    """Skip patterns of a questionnaire.

    Attributes:
        routes: those that are followed.
        followed: question -> routing as the questionnaire has it.
        unread: question -> routing and why it is not followed.
    """

    routes: tuple[AskIf, ...]
    followed: Mapping[str, str]
    unread: Mapping[str, tuple[str, str]]


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
        given = tuple((name, options[a.casefold()]) for a in wanted)
        routes.append(AskIf(asked, Gave(given)))
    if circle := _circle(routes):
        raise InputError("Skip patterns go round in a circle", where="--ask-if", found=circle)
    return tuple(routes)


def routing_of(
    placed: Sequence[Placed], questions: Sequence[Question], typed: Sequence[AskIf] = ()
) -> Routing:
    """The skip patterns that a questionnaire states for questions that were predicted.

    What cannot be read, names a question that was not predicted or leads in a circle is not
    followed, and told.

    Args:
        typed: patterns of the user's, which take the place of the questionnaire's for a question.
    """
    known = {q.question_id: q for q in questions}
    answers = _answers(placed, known)
    routes, taken = list(typed), {r.question_id for r in typed}
    followed: dict[str, str] = {}
    unread: dict[str, tuple[str, str]] = {}
    for one in placed:
        if not one.routing or one.question_id not in known or one.question_id in taken:
            continue
        try:
            condition = read_condition(one.routing, answers)
        except InputError as error:
            unread[one.question_id] = (one.routing, f"{error.title}: {error.found}")
            continue
        if condition is None:
            continue
        route = AskIf(one.question_id, condition)
        if _circle([*routes, route]):
            unread[one.question_id] = (one.routing, "it waits for its own answer")
            continue
        routes.append(route)
        followed[one.question_id] = one.routing
    return Routing(tuple(routes), followed, unread)


def _answers(placed: Sequence[Placed], known: Mapping[str, Question]) -> dict[str, Answers]:
    """Case-folded name -> what can be answered to it."""
    made: dict[str, Answers] = {}
    items: dict[str, list[Placed]] = {}
    for one in placed:
        question = known.get(one.question_id)
        if question is None:
            continue
        places = [(one.question_id, i) for i in range(len(question.options))]
        codes = one.codes if len(one.codes) == len(places) else ()
        made[one.question_id.casefold()] = answers_of(question.options, places, codes)
        if one.part_of:  # LimeSurvey asks whether an item is "Y", others whether it is 1
            yes = {"y": places[0], "1": places[0]}
            mine = made[one.question_id.casefold()]
            made[one.question_id.casefold()] = Answers({**yes, **mine.by_word})
            items.setdefault(one.part_of, []).append(one)
    for name, parts in items.items():
        keys = [p.question_id.removeprefix(f"{name}_") for p in parts]
        firsts = [(p.question_id, 0) for p in parts]
        made[name.casefold()] = answers_of([p.item for p in parts], firsts, keys)
    short: dict[str, list[str]] = {}
    for name in made:  # "Q12_Turnout" is called Q12, where no other begins like it
        short.setdefault(name.partition("_")[0], []).append(name)
    return {s: made[names[0]] for s, names in short.items() if len(names) == 1} | made


def _circle(routes: Sequence[AskIf]) -> str:
    """A question that decides on itself by way of others, "" where none does."""
    decides: dict[str, set[str]] = {}
    for route in routes:
        decides.setdefault(route.question_id, set()).update(route.condition.questions)
    for start in decides:
        seen: set[str] = set()
        open_ = set(decides[start])
        while open_:
            name = open_.pop()
            if name == start:
                return start
            if name not in seen:
                seen.add(name)
                open_ |= decides.get(name, set())
    return ""


def order_of(question_ids: Sequence[str], routes: Sequence[AskIf]) -> list[str]:
    """Questions so that each comes after those that decide on it."""
    before: Mapping[str, list[str]] = {
        q: sorted({d for r in routes if r.question_id == q for d in r.condition.questions})
        for q in question_ids
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
