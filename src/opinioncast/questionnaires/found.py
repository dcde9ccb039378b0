"""What a reader of a format finds in a file, before anything is decided about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a question is answered; the value is the reason it is left out, where it is."""

    SINGLE = "single choice"
    SEVERAL = "select all that apply"
    SLIDER = "slider"
    NUMBER = "open number"
    OPEN = "open answer"
    RANKING = "ranking"
    POINTS = "points to hand out"
    DATE = "date or time"
    UPLOAD = "file, picture, place or signature"
    COMPUTED = "computed or hidden, nobody is asked"
    UNKNOWN = "type of question not known"
    DELETED = "in the trash of the file"
    TEXT = "text only"


@dataclass(frozen=True, slots=True)
class Choice:
    """An option.

    Attributes:
        text: as the file has it; markup is taken out later.
        code: its code in data, "" where it has none.
        score: its place on a scale, where the file says so.
        off_scale: the file says that it is no place on the scale.
    """

    text: str
    code: str = ""
    score: float | None = None
    off_scale: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """A row of a battery, or one thing of which several can be selected.

    Attributes:
        id: of its variable; "" makes one of the battery's id and the code.
        code: its number in the battery.
        routing: who is asked it, where that differs from the battery's.
        observed: as of :class:`Found`.
    """

    text: str
    id: str = ""
    code: str = ""
    where: str = ""
    routing: str = ""
    observed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A question, a battery (``items`` with common ``options``) or a text.

    Attributes:
        where: place in the file ("paragraph 12").
        id: as the file names it, "" where it does not.
        text: wording, or the stem of a battery.
        kind: how it is answered.
        choices: options in their order.
        items: rows of a battery.
        block: part of the questionnaire it stands in.
        routing: who is asked it, as text; never evaluated.
        note: instructions that were taken out of the wording.
        why: more about why it is left out ("a ranking of 5").
        left_out: leave it out for ``why``, whatever its kind.
        ends: lowest and highest number of a slider or a numeric scale.
        end_labels: their words.
        observed: group expression -> shares, for :class:`Entry`.
        of_select_all: each item is one of a select-all question, with its own options.
        remarks: what to look at.
    """

    where: str
    id: str
    text: str
    kind: Kind = Kind.SINGLE
    choices: tuple[Choice, ...] = ()
    items: tuple[Item, ...] = ()
    block: str = ""
    routing: str = ""
    note: str = ""
    why: str = ""
    left_out: bool = False
    ends: tuple[int, int] | None = None
    end_labels: tuple[str, str] = ("", "")
    observed: Mapping[str, Any] = field(default_factory=dict)
    of_select_all: bool = False
    remarks: tuple[str, ...] = ()
