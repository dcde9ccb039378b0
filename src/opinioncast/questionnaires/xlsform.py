"""XLSForms (ODK, KoboToolbox): workbooks with the sheets survey, choices and settings.

Conditions and calculations are kept as text or passed over; nothing is evaluated.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.limits import check_zip
from opinioncast.questionnaires.wording import from_markdown
from opinioncast.questionnaires.xlsx_file import WORKBOOK, sheets
from opinioncast.texts import whole_number

Row = Mapping[str, str]

_SELECT = re.compile(
    r"(?P<how>select[ _]one|select1|select[ _]multiple|select[ _]all[ _]that[ _]apply|select|rank)"
    r"(?P<external>_external|[ _]from[ _](?:external[ _])?file)?\s+(?:from\s+)?(?P<list>\S+)"
    r"(?P<other>\s+or[ _](?:specify[ _])?other)?",
    re.I,
)
_KINDS = {
    **dict.fromkeys(("text", "string"), Kind.OPEN),
    **dict.fromkeys(("integer", "int", "decimal"), Kind.NUMBER),
    **dict.fromkeys(("date", "time", "datetime"), Kind.DATE),
    **dict.fromkeys(
        (
            *("image", "photo", "audio", "video", "file", "barcode", "geopoint", "geotrace"),
            *("geoshape", "location", "gps", "background-audio", "osm", "signature"),
        ),
        Kind.UPLOAD,
    ),
    **dict.fromkeys(
        (
            *("calculate", "hidden", "start", "end", "today", "deviceid", "username", "audit"),
            *("email", "phonenumber", "phone number", "simserial", "subscriberid", "imei"),
            *("start-geopoint", "xml-external", "csv-external", "entity", "start time"),
            *("end time", "uri", "uri:deviceid"),
        ),
        Kind.COMPUTED,
    ),
    "note": Kind.TEXT,
}


@dataclass(frozen=True)
class _Group:
    """A group that is open: its label and condition."""

    label: str
    relevant: str
    repeat: bool


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a form in its default language.

    Raises:
        InputError: no workbook, no survey sheet with types, or no closed question.
    """
    check_zip(path, content, WORKBOOK, "xl/workbook.xml")
    found = {name.strip().casefold(): rows for name, rows in sheets(path, content).items()}
    settings = _rows(found.get("settings", []), "settings")
    said = settings[0] if settings else {}
    survey = _rows(found.get("survey", []), "survey")
    if not survey or "type" not in survey[0]:
        raise InputError(
            "An XLSForm has no questions",
            where=f"{path}, sheet survey",
            expected="a row of column names with type, name and label, and rows below it",
            found=list(survey[0])[:10] if survey else "an empty sheet",
        )
    language = _language(survey[0], said.get("default_language", ""))
    form = _Form(_lists(_rows(found.get("choices", []), "choices"), language), language)
    head = Head(title=said.get("form_title", ""), language=language)
    others = sorted(
        {k.split("::")[-1] for k in survey[0] if k.startswith("label::")} - {language.casefold()}
    )
    notes = (f"other languages in the file, not read: {', '.join(others)}",) if others else ()
    return assembled(path, "XLSForm", form.found(survey), head, notes)


def _rows(cells: Sequence[Sequence[str]], sheet: str) -> list[dict[str, str]]:
    """Rows under the first filled one, by its names in lower case; of two the first counts."""
    filled = [(n, [c.strip() for c in r]) for n, r in enumerate(cells, start=1) if any(r)]
    if not filled:
        return []
    header = [
        re.sub(r"\s*::?\s*", "::", h.casefold()).replace("list name", "list_name")
        for h in filled[0][1]
    ]
    made = []
    for number, row in filled[1:]:
        if not any(row):
            continue
        named: dict[str, str] = {"": f"sheet {sheet}, row {number}"}
        for name, cell in zip(header, row, strict=False):
            if name and not named.get(name):
                named[name] = cell
        made.append(named)
    return made


def _language(header: Mapping[str, str], default: str) -> str:
    """The language whose labels are read."""
    named = [k.split("::", 1)[1] for k in header if k.startswith("label::")]
    if default.casefold() in named:
        return default
    return "" if "label" in header or not named else named[0]


def _label(row: Row, language: str) -> str:
    own = row.get(f"label::{language.casefold()}") or row.get("label", "")
    return from_markdown(
        own or next((v for k, v in row.items() if k.startswith("label::") and v), "")
    )


def _lists(rows: Sequence[Row], language: str) -> dict[str, list[Choice]]:
    made: dict[str, list[Choice]] = {}
    for row in rows:
        name = row.get("name") or row.get("value", "")
        if row.get("list_name") and name:
            choice = Choice(_label(row, language) or name, name)
            made.setdefault(row["list_name"], []).append(choice)
    return made


class _Form:
    """The walk over the rows of a survey sheet."""

    def __init__(self, lists: Mapping[str, list[Choice]], language: str) -> None:
        self.lists, self.language = lists, language
        self.groups: list[_Group] = []

    def found(self, rows: Sequence[Row]) -> Iterator[Found]:
        header: Row | None = None  # of a table: the row that shows the options
        items: list[Row] = []
        for row in rows:
            kind = " ".join(row.get("type", "").split())
            look = row.get("appearance", "").casefold().split()
            if "list-nolabel" in look and _SELECT.fullmatch(kind):
                items.append(row)
                continue
            if items:
                yield from self._table(header, items)
                header, items = None, []
            if "label" in look and _SELECT.fullmatch(kind):
                header = row
                continue
            if header is not None:  # no table after all
                yield self._one(header, header["type"])
                header = None
            if step := re.fullmatch(r"(begin|end)[ _](group|repeat|loop)(?:\s.*)?", kind, re.I):
                self._group(step[1].casefold() == "begin", step[2].casefold() != "group", row)
            elif kind:
                yield self._one(row, kind)
        if items or header is not None:
            yield from self._table(header, items)

    def _group(self, begins: bool, repeat: bool, row: Row) -> None:
        if begins:
            label = _label(row, self.language)
            self.groups.append(_Group(label, row.get("relevant", ""), repeat))
        elif self.groups:
            self.groups.pop()

    def _common(self, row: Row) -> dict[str, Any]:
        conditions = [g.relevant for g in self.groups] + [row.get("relevant", "")]
        conditions += ["in a repeat"] * any(g.repeat for g in self.groups)
        labels = list(dict.fromkeys(g.label for g in self.groups if g.label))
        return {
            "where": row[""],
            "id": row.get("name", ""),
            "text": _label(row, self.language),
            "block": " / ".join(labels),
            "routing": "; ".join(dict.fromkeys(filter(None, conditions))),
        }

    def _one(self, row: Row, kind: str) -> Found:
        common = self._common(row)
        select = _SELECT.fullmatch(kind)
        if select:
            return self._select(row, select, common)
        name = kind.casefold()
        if name == "range":
            return Found(**common, kind=Kind.SLIDER, ends=_ends(row.get("parameters", "")))
        if name in ("acknowledge", "trigger"):
            return Found(**common, left_out=True, why="a box to acknowledge")
        known = _KINDS.get(name, Kind.UNKNOWN)
        why = kind if known in (Kind.UNKNOWN, Kind.COMPUTED) else ""
        return Found(**common, kind=known, why=why)

    def _select(
        self,
        row: Row,
        select: re.Match[str],
        common: dict[str, Any],
        items: tuple[Item, ...] = (),
    ) -> Found:
        choices = list(self.lists.get(select["list"], []))
        if select["other"]:
            choices.append(Choice("Other", "other"))
        how = select["how"].casefold().replace("_", " ")
        several = how in ("select multiple", "select all that apply", "select")
        kind = Kind.RANKING if how == "rank" else Kind.SEVERAL if several else Kind.SINGLE
        why = f"{len(choices)} options" if kind is Kind.RANKING else ""
        if not choices:
            why = (
                f"they are in another file ({select['list']})"
                if select["external"]
                else f"the sheet choices has no list {select['list']}"
            )
        filtered = row.get("choice_filter", "")
        return Found(
            **common,
            kind=kind,
            choices=tuple(choices),
            items=items,
            why=why,
            remarks=(f"options filtered by {filtered}: here all of them",) if filtered else (),
        )

    def _table(self, header: Row | None, rows: Sequence[Row]) -> Iterator[Found]:
        """A table of questions with common options; its stem is the header's or group's label."""
        first = header or rows[0]
        common = self._common(first)
        if header is None:
            common["text"] = next((g.label for g in reversed(self.groups) if g.label), "")
        items = tuple(
            Item(
                _label(r, self.language),
                id=r.get("name", ""),
                where=r[""],
                routing=self._common(r)["routing"],
            )
            for r in rows
        )
        select = _SELECT.fullmatch(" ".join(first["type"].split()))
        if select is not None:
            yield self._select(first, select, common, items)


def _ends(parameters: str) -> tuple[int, int] | None:
    said = {"start": "1", "end": "10"} | dict(re.findall(r"(\w+)\s*=\s*([^\s;,]+)", parameters))
    # left out, they are 1 and 10: pyxform's
    low, high = whole_number(said["start"]), whole_number(said["end"])
    return None if low is None or high is None else (low, high)


def recognised(content: bytes) -> bool:
    """Whether a workbook has the sheets survey and choices; a look at its list of sheets."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = archive.open("xl/workbook.xml").read(1_000_000).decode("utf-8", "ignore")
    except (zipfile.BadZipFile, KeyError, OSError, NotImplementedError, RuntimeError):
        return False
    names = {
        n.strip().casefold()
        for n in re.findall(r"<(?:\w+:)?sheet\b[^>]*?\bname=\"([^\"]*)", listed)
    }
    return {"survey", "choices"} <= names


FORMAT = InstrumentFormat(
    name="xlsform",
    help="An XLSForm (.xlsx): a workbook with the sheets survey and choices.",
    endings=(".xlsx",),
    read=read,
    recognises=recognised,
    order=31,
)
