"""Conditions on earlier answers, as questionnaires write them, and whom they hold for.

One grammar reads what programs and pollsters write: ``Q1=1,2``, ``IF Q1 = Yes AND NOT Q2 = 3``,
XLSForm's ``selected(${q1}, 'a')``, LimeSurvey's ``((q1.NAOK == "A1"))``, Decipher's ``Q1.r1 and not
Q2.r3``, Triple-S's ``age = 2 or age = 3``. What it does not read is refused with the piece: nothing
is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.errors import InputError
from opinioncast.synthesis.answers import Answers, number_of

Codes = Mapping[str, npt.NDArray[np.int16]]
"""Question -> answers, 1 for the first option; codes of missing answers are none of them."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gave:
    """One of some answers was given; ``answers`` are (question, place of the option)."""

    answers: tuple[tuple[str, int], ...]

    def holds(self, given: Codes, size: int) -> Mask:
        """Of each person; shape (size,)."""
        made = np.zeros(size, bool)
        for question_id, place in self.answers:
            made |= given[question_id] == place + 1
        return made

    @property
    def questions(self) -> frozenset[str]:
        """Those that decide."""
        return frozenset(q for q, _ in self.answers)


@dataclass(frozen=True, slots=True)
class Not:
    """A condition does not hold: also of those who were not asked."""

    part: Condition

    def holds(self, given: Codes, size: int) -> Mask:
        """Of each person; shape (size,)."""
        return ~self.part.holds(given, size)

    @property
    def questions(self) -> frozenset[str]:
        """Those that decide."""
        return self.part.questions


@dataclass(frozen=True, slots=True)
class Joined:
    """All of some conditions hold, or one of them does (``any_of``)."""

    parts: tuple[Condition, ...]
    any_of: bool = False

    def holds(self, given: Codes, size: int) -> Mask:
        """Of each person; shape (size,)."""
        masks = [p.holds(given, size) for p in self.parts]
        joined = np.logical_or if self.any_of else np.logical_and
        made: Mask = joined.reduce(masks)
        return made

    @property
    def questions(self) -> frozenset[str]:
        """Those that decide."""
        return frozenset().union(*(p.questions for p in self.parts))


Condition = Gave | Not | Joined


_LEAD = re.compile(
    r"^(?:[\s\W_]*?\b(?:ask(?:ed)?|show|display|this|question|only|filter|base|universe|relevant|all|"
    r"to|of|those|who|whom|respondents?|if|when|wenn|falls|si|als|programmer)\b[\s:]*)+",
    re.I,
)
_EVERYONE = re.compile(
    r"[\s\W_]*(?:(?:ask(?:ed)?|base|universe|filter|of|to)[\s:=]*)*"
    r"(?:all(?:\s+(?:respondents|adults|asked|people))?|every(?:one|body)|1|true)?[\s\W_]*",
    re.I,
)
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<quoted>"[^"]*"|'[^']*'|“[^”]*”|‘[^’]*’)
    |(?P<name>\$\{[^}]+\}|\{[^}]+\}|[^\W\d][\w.-]*(?<![.-]))
    |(?P<range>\d{1,4}\s*(?:-|–|to)\s*\d{1,4}(?!\w))
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<compare><=|>=|==|!=|<>|≠|≤|≥|=|<|>)
    |(?P<both>&&?)|(?P<either>\|\|?)|(?P<not>!)
    |(?P<open>\()|(?P<close>\))|(?P<comma>[,/])
    )""",
    re.X,
)
_WORDS = {
    **dict.fromkeys(("and", "und", "et", "y"), "both"),
    **dict.fromkeys(("or", "oder", "ou", "o"), "either"),
    **dict.fromkeys(("not", "nicht"), "not"),
    **dict.fromkeys(("is", "eq", "equals", "in", "ist"), "compare"),
    **dict.fromkeys(("ne", "lt", "le", "gt", "ge"), "compare"),
}
_SAME = {
    **dict.fromkeys(("==", "is", "eq", "equals", "in", "ist"), "="),
    **dict.fromkeys(("<>", "≠", "ne"), "!="),
    **dict.fromkeys(("≤", "le"), "<="),
    **dict.fromkeys(("≥", "ge"), ">="),
    "lt": "<",
    "gt": ">",
}
_ORDER: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}


def read_condition(text: str, answers: Mapping[str, Answers]) -> Condition | None:
    """Whom a question is asked of; None for everyone.

    Args:
        text: as the questionnaire has it; parts between semicolons all hold.
        answers: name -> what can be answered, names case-folded.

    Raises:
        InputError: it cannot be read, or names a question or answer that is not there.
    """
    parts: list[Condition] = []
    for piece in re.split(r"\s*;\s*(?!\s*(?:and|or)\b)", text, flags=re.I):
        if _EVERYONE.fullmatch(piece):
            continue
        reader = _Reader(_tokens(_LEAD.sub("", piece.replace(";", " ")), text), answers, text)
        parts.append(reader.whole())
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else Joined(tuple(parts))


def _tokens(piece: str, text: str) -> list[tuple[str, str]]:
    """(kind, text) of each word and sign."""
    made: list[tuple[str, str]] = []
    place = 0
    piece = piece.strip().rstrip(".]")
    while place < len(piece):
        found = _TOKEN.match(piece, place)
        if found is None:
            raise _unread(text, piece[place : place + 30])
        kind = str(found.lastgroup)
        said = found[kind]
        if kind == "name":
            kind = _WORDS.get(said.casefold(), "name")
        made.append((kind, said))
        place = found.end()
    return made


def _unread(text: str, piece: str) -> InputError:
    return InputError(
        "A condition cannot be read",
        expected='answers to earlier questions, such as Q1 = 1,2 and not Q2 = "Yes"',
        found=f"{piece!r} in {text!r}",
    )


class _Reader:
    """Reads tokens from left to right: "not" before "and" before "or"."""

    def __init__(
        self, tokens: list[tuple[str, str]], answers: Mapping[str, Answers], text: str
    ) -> None:
        self.tokens, self.answers, self.text = tokens, answers, text
        self.place = 0
        self.last: Answers | None = None

    def whole(self) -> Condition:
        """The condition that all the tokens are."""
        made = self._either()
        if self.place < len(self.tokens):
            raise _unread(self.text, self._ahead()[1])
        return made

    def _ahead(self, more: int = 0) -> tuple[str, str]:
        at = self.place + more
        return self.tokens[at] if at < len(self.tokens) else ("end", "its end")

    def _take(self, kind: str) -> str:
        found, said = self._ahead()
        if found != kind:
            raise _unread(self.text, said)
        self.place += 1
        return said

    def _either(self) -> Condition:
        return self._joined("either", self._both)

    def _both(self) -> Condition:
        return self._joined("both", self._one)

    def _joined(self, kind: str, inner: Callable[[], Condition]) -> Condition:
        parts = [inner()]
        while self._ahead()[0] == kind:
            while self._ahead()[0] == kind:  # Qualtrics says "And And"
                self.place += 1
            parts.append(inner())
        return parts[0] if len(parts) == 1 else Joined(tuple(parts), kind == "either")

    def _one(self) -> Condition:
        kind, said = self._ahead()
        if kind == "not":
            self.place += 1
            return Not(self._one())
        if kind == "open":
            self.place += 1
            made = self._either()
            self._take("close")
            return made
        if kind == "name" and said.casefold() == "selected" and self._ahead(1)[0] == "open":
            self.place += 2
            asked = self._named(self._take("name"))
            self._take("comma")
            made = self._matching(asked, "=", [self._value()])
            self._take("close")
            return made
        if kind == "compare" and self.last is not None:  # "Q13 < 95 or == 96"
            return self._compared(self.last)
        if kind == "number" and self._ahead(1)[0] == "compare":  # "1=2": question 1
            self.tokens[self.place] = ("name", f"Q{said}")
        name = self._take("name")
        found = self._known(name)
        if found is None and (row := self._row_of(name)) is not None:
            return row
        answers = self._named(name)
        self.last = answers
        if self._ahead()[0] not in ("compare", "not"):
            return self._yes(answers, name)
        return self._compared(answers)

    def _known(self, name: str) -> Answers | None:
        plain = name.strip("${} ").casefold()
        for ending in ("", ".naok", ".value", ".shown"):
            found = self.answers.get(plain.removesuffix(ending))
            if found is not None:
                return found
        return None

    def _named(self, name: str) -> Answers:
        found = self._known(name)
        if found is None:
            raise InputError(
                "A condition names a question that was not predicted",
                expected=", ".join(list(self.answers)[:30]),
                found=f"{name} in {self.text!r}",
            )
        return found

    def _row_of(self, name: str) -> Condition | None:
        """Decipher's ``Q1.r2``: the row was chosen."""
        question, dot, row = name.rpartition(".")
        found = self.answers.get(question.casefold()) if dot else None
        number = re.fullmatch(r"[A-Za-z]+(\d+)", row)
        if found is None:
            return None
        words = [row, *([number[1]] if number else [])]
        word = next((w for w in words if w.casefold() in found.by_word), None)
        if word is None:
            raise self._no_answer(found, row)
        return Gave((found.by_word[word.casefold()],))

    def _yes(self, answers: Answers, name: str) -> Condition:
        """A name alone: that the answer is yes."""
        places = {v for k, v in answers.by_word.items() if k in ("yes", "ja", "oui", "sí", "si")}
        if len(places) != 1 or len(set(answers.by_word.values())) > 2:
            raise _unread(self.text, f"{name} alone")
        return Gave((places.pop(),))

    def _compared(self, answers: Answers) -> Condition:
        said = self._take("compare").casefold() if self._ahead()[0] == "compare" else "="
        sign = _SAME.get(said, said)
        if sign == "=" and self._ahead()[0] == "not":
            self.place += 1
            sign = "!="
        bracket = self._ahead()[0] == "open"
        self.place += bracket
        values = [self._value()]
        while self._more(answers):
            self.place += 1
            values.append(self._value())
        if bracket:
            self._take("close")
        return self._matching(answers, sign, values)

    def _more(self, answers: Answers) -> bool:
        """Whether another value of the same question follows: "1, 2", "1/2", "Yes or No"."""
        kind, after = self._ahead()[0], self._ahead(1)
        if kind == "comma":
            return True
        follows = self._ahead(2)[0] not in ("compare", "not")
        if kind != "either" or not follows:
            return False
        if after[0] in ("number", "range", "quoted"):
            return True
        return (
            after[0] == "name"
            and self._known(after[1]) is None
            and (after[1].casefold() in answers.by_word)
        )

    def _value(self) -> str:
        """A code or wording; words without quotation marks go on as long as words follow."""
        kind, said = self._ahead()
        if kind == "quoted":
            self.place += 1
            return said[1:-1].strip()
        if kind in ("number", "range"):
            self.place += 1
            return said
        words = []
        while self._ahead()[0] in ("name", "number"):
            words.append(self._ahead()[1])
            self.place += 1
        if not words:
            raise _unread(self.text, said)
        return " ".join(words)

    def _matching(self, answers: Answers, sign: str, values: Sequence[str]) -> Condition:
        if sign in _ORDER:
            limit = number_of(values[0])
            if len(values) > 1 or limit is None or not answers.numbers:
                raise _unread(self.text, f"{sign} {', '.join(values)}")
            reached = _ORDER[sign]
            return Gave(tuple(a for n, a in answers.numbers if reached(n, limit)))
        given: list[tuple[str, int]] = []
        for value in values:
            ends = re.fullmatch(r"(\d+)\s*(?:-|–|to)\s*(\d+)", value)
            if value.casefold() in answers.by_word:
                given.append(answers.by_word[value.casefold()])
            elif ends:
                low, high = float(ends[1]), float(ends[2])
                within = [a for n, a in answers.numbers if low <= n <= high]
                if not within:
                    raise self._no_answer(answers, value)
                given += within
            elif (number := number_of(value)) is not None and (
                same := [a for n, a in answers.numbers if n == number]
            ):
                given += same
            else:
                raise self._no_answer(answers, value)
        made = Gave(tuple(dict.fromkeys(given)))
        return Not(made) if sign == "!=" else made

    def _no_answer(self, answers: Answers, value: str) -> InputError:
        return InputError(
            "A condition names an answer that its question does not have",
            expected=" | ".join(list(answers.by_word)[:20]),
            found=f"{value} in {self.text!r}",
        )
