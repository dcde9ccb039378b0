"""Questionnaires as rows, in CSV and Excel: one row a question.

Columns are ``question`` and ``options`` (separated by ``|``) and, if wanted, ``id``, ``scale``
(also ``|``), the other fields of a question, and a column ``observed: POLPARTY=Democrat`` or
``known: TOTAL`` for each group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import FIELDS, Entry, Head, Instrument
from opinioncast.questionnaires.numbered_text import found_in
from opinioncast.questionnaires.text_layouts import rows_of_layout
from opinioncast.questionnaires.text_lines import Grid

_BY_GROUP = ("observed", "known")
"""Columns that say of whom, in the order of the entry's attributes."""


def instrument_of_rows(
    path: Path, rows: Sequence[tuple[str, Sequence[str]]], kind: str
) -> Instrument:
    """Rows by our columns, or as other people head them ("No", "Question text", "Answers").

    Args:
        rows: place in the file and cells of each, those of the header first.
        kind: of the file, for the check list of what was imported.

    Raises:
        InputError: columns that are neither.
    """
    names = {c.strip().casefold() for c in rows[0][1]} if rows else set()
    if rows and not {"question", "options"} <= names:
        grid = Grid("table", tuple(tuple(cells) for _, cells in rows))
        if lines := rows_of_layout(grid, [w.removeprefix(f"{path}, ") for w, _ in rows]):
            return assembled(path, kind, found_in(lines), Head())
    return Instrument(Head(), entries_of_rows(path, rows))


def entries_of_rows(path: Path, rows: Sequence[tuple[str, Sequence[str]]]) -> list[Entry]:
    """Entries of a header row and one row per question."""
    if not rows:
        raise InputError(
            "A questionnaire is empty",
            where=str(path),
            expected="a header row with `question` and `options`",
            found="no rows",
        )
    header = [cell.strip() for cell in rows[0][1]]
    names: list[str] = []
    for cell in header:
        kind, colon, group = cell.partition(":")
        if colon and kind.strip().casefold() in _BY_GROUP:
            names.append(f"{kind.strip().casefold()}:{group.strip()}")
        else:
            names.append(cell.casefold())
    known = set(FIELDS) - set(_BY_GROUP)
    unknown = {
        shown
        for name, shown in zip(names, header, strict=True)
        if name and name not in known and not name.startswith(tuple(f"{k}:" for k in _BY_GROUP))
    }
    if unknown or not {"question", "options"} <= set(names):
        raise InputError(
            "A questionnaire's columns do not fit",
            where=rows[0][0],
            expected="question, options and, if wanted, "
            + ", ".join(f for f in FIELDS if f in known - {"question", "options"})
            + ", observed: ATTRIBUTE=Group, known: ATTRIBUTE=Group",
            found=", ".join(header),
            hint=f"columns not known: {', '.join(sorted(unknown))}" if unknown else None,
        )
    if len(set(filter(None, names))) != len(list(filter(None, names))):
        raise InputError(
            "A questionnaire has two columns of one name",
            where=rows[0][0],
            expected="different names",
            found=", ".join(header),
        )
    entries = []
    for where, cells in rows[1:]:
        if len(cells) > len(names) and any(c.strip() for c in cells[len(names) :]):
            raise InputError(
                "A row has more cells than the header",
                where=where,
                expected=f"{len(names)} cells",
                found=f"{len(cells)}: {list(cells)}",
                hint="put text that holds the separator in quotation marks",
            )
        row = {n: c.strip() for n, c in zip(names, cells, strict=False) if n and c.strip()}
        entries.append(
            Entry(
                where,
                {k: v for k, v in row.items() if k in known},
                *(
                    {
                        k.removeprefix(f"{kind}:"): v
                        for k, v in row.items()
                        if k.startswith(f"{kind}:")
                    }
                    for kind in _BY_GROUP
                ),
            )
        )
    return entries
