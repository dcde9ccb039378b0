"""What a questionnaire format says of itself, and what it reads a file into.

Each format is one module of this folder with one ``FORMAT``. One of another package is found by its
entry point in the group ``opinioncast.questionnaires``, or is told to :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opinioncast.declarations import Declared
from opinioncast.questionnaires.check_list import CheckList

FIELDS = (
    *("id", "block", "battery", "question", "options", "codes", "scale", "select_all"),
    *("routing", "note", "observed", "known"),
)
"""Of a question, as entries hold it, in the order they are written."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says of all its questions.

    Attributes:
        family, wave: who fields it and when; empty for a draft.
        population: whom it is put to, as :meth:`opinioncast.survey.Population.read` takes it.
        title: of the survey.
        language: of the wordings, as the file names it ("en", "DE").
    """

    family: str = ""
    wave: str = ""
    population: Any = None
    title: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question as its file has it, and where it stands.

    Attributes:
        where: file and line, row or element, for errors.
        fields: of :data:`FIELDS`: text, numbers and lists, not yet checked.
        observed: group expression -> shares, or a mapping with ``shares``; scored against.
        known: likewise; predictions start from it.
    """

    where: str
    fields: Mapping[str, Any]
    observed: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a file holds: its head and its questions in order.

    Attributes:
        check_list: of a format that is imported; None where the file was written for us, and one
            bad question refuses it.
    """

    head: Head
    entries: Sequence[Entry]
    check_list: CheckList | None = None


@dataclass(frozen=True, slots=True)
class InstrumentFormat:
    """A declaration.

    Attributes:
        name: short name.
        help: one line.
        endings: of its files, lower case with the dot.
        read: from the path and the bytes to the instrument; raises InputError with the place.
        recognises: whether a file with one of the endings is of this format, by its content; None
            for the one that takes what no other does.
        order: place in lists.
    """

    name: str
    help: str
    endings: tuple[str, ...]
    read: Callable[[Path, bytes], Instrument]
    recognises: Callable[[bytes], bool] | None = None
    order: int = 100


_declared: Declared[InstrumentFormat] = Declared(
    InstrumentFormat,
    "opinioncast.questionnaires",
    "FORMAT",
    entry_points="opinioncast.questionnaires",
)
register = _declared.register


def instrument_formats() -> tuple[InstrumentFormat, ...]:
    """Every format that is declared."""
    return _declared.in_order()
