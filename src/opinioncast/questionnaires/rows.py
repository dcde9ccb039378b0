"""Questionnaires as rows, in CSV and Excel: one row a question, or one row an option.

Columns are ``question`` and ``options`` (separated by ``|``) and, if wanted, ``id``, ``scale``
(also ``|``), the other fields of a question, and a column ``observed: POLPARTY=Democrat`` or
``known: TOTAL`` for each group. With one row an option, ``option`` may head its column, and codes,
positions and shares stand beside each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import FIELDS, Entry, Head, Instrument
from opinioncast.questionnaires.entry_question import SEPARATOR
from opinioncast.questionnaires.numbered_text import found_in
from opinioncast.questionnaires.option_rows import OptionColumns, Row, questions_of
from opinioncast.questionnaires.text_layouts import rows_of_layout
from opinioncast.questionnaires.text_lines import Grid

_BY_GROUP = ("observed", "known")
"""Columns that say of whom, in the order of the entry's attributes."""
_OF_ONE = {"option": "options", "code": "codes"}
"""Heads of columns where a row has one option."""
_KNOWN = set(FIELDS) - set(_BY_GROUP)


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
    names = set(_names(rows[0][1])) if rows else set()
    ours = {"question", "options"} <= names
    if rows and (not ours or (_is_singular(rows[0][1]) and not _by_option(rows))):
        grid = Grid("table", tuple(tuple(cells) for _, cells in rows))
        if lines := rows_of_layout(grid, [w.removeprefix(f"{path}, ") for w, _ in rows]):
            return assembled(path, kind, found_in(lines), Head())
    return Instrument(Head(), entries_of_rows(path, rows))


def has_questions(rows: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Whether rows are headed as questions with their options, by our heads or others'."""
    if not rows:
        return False
    grid = Grid("table", tuple(tuple(cells) for _, cells in rows))
    return {"question", "options"} <= set(_names(rows[0][1])) or rows_of_layout(grid) is not None


def entries_of_rows(path: Path, rows: Sequence[tuple[str, Sequence[str]]]) -> list[Entry]:
    """Entries of a header row and one row per question or per option."""
    if not rows:
        raise InputError(
            "A questionnaire is empty",
            where=str(path),
            expected="a header row with `question` and `options`",
            found="no rows",
        )
    header = [cell.strip() for cell in rows[0][1]]
    names, unknown = _names(header), _unknown(header)
    if unknown or not {"question", "options"} <= set(names):
        raise InputError(
            "A questionnaire's columns do not fit",
            where=rows[0][0],
            expected="question, options and, if wanted, "
            + ", ".join(f for f in FIELDS if f in _KNOWN - {"question", "options"})
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
    for where, cells in _one_a_question(rows[1:], names):
        row = {n: c for n, c in zip(names, cells, strict=True) if n and c}
        entries.append(
            Entry(
                where,
                {k: v for k, v in row.items() if k in _KNOWN},
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


def _names(header: Sequence[str]) -> list[str]:
    """Fields that the columns are of."""
    names: list[str] = []
    for cell in header:
        kind, colon, group = (part.strip() for part in cell.partition(":"))
        if colon and kind.casefold() in _BY_GROUP:
            names.append(f"{kind.casefold()}:{group}")
        else:
            name = cell.strip().casefold()
            names.append(_OF_ONE.get(name, name))
    return names


def _unknown(header: Sequence[str]) -> set[str]:
    """Columns that are of no field."""
    by_group = tuple(f"{kind}:" for kind in _BY_GROUP)
    return {
        shown.strip()
        for name, shown in zip(_names(header), header, strict=True)
        if name and name not in _KNOWN and not name.startswith(by_group)
    }


def _is_singular(header: Sequence[str]) -> bool:
    """Whether a head of ours is written as for one option: it may be another one's sheet."""
    return any(cell.strip().casefold() in _OF_ONE for cell in header)


def _one_a_question(
    rows: Sequence[tuple[str, Sequence[str]]], names: Sequence[str]
) -> Iterator[Row]:
    """The rows with their cells stripped, those of one question together.

    Raises:
        InputError: a row with more cells than the header; several options in one cell beside
            others in rows of their own; rows of one question that are not told to be.
    """
    columns = _columns(names)
    alone: dict[str, Row] = {}
    for group in questions_of(_even(rows, len(names)), columns):
        (where, first), odd = group[0], columns.several(group)
        if odd is None and first[columns.question]:
            _refuse_apart(alone, group, columns)
        if odd is not None and len(group) > 1:
            raise InputError(
                "Options stand in one cell and in rows of their own",
                where=odd[0],
                expected="all options of a question in one cell, or each in a row",
                found=odd[1][columns.option],
                hint="if the row below begins another question, write its wording there",
            )
        yield columns.joined(group) if len(group) > 1 else (where, first)


def _refuse_apart(alone: dict[str, Row], group: Sequence[Row], columns: OptionColumns) -> None:
    """Rows of one option with one wording that do not follow on each other, or differ otherwise."""
    (where, first), wording = group[0], group[0][1][columns.question].casefold()
    before = alone.setdefault(wording, group[0])
    if before is group[0]:
        return
    option = columns.option
    same = [
        (a, b)
        for k, (a, b) in enumerate(zip(before[1], first, strict=True))
        if k not in (option, *columns.beside) and a and b and a != b
    ]
    raise InputError(
        "Rows with one option each have one wording and are not one question",
        where=where,
        expected=f"the rows of a question below each other, alike but for the option ({before[0]})",
        found=" and ".join(f"{a}, {b}" for a, b in same) or "other rows in between",
        hint="sort the sheet by question and give a question's rows one id, or write all options "
        "into one cell: Yes|No",
    )


def _even(rows: Sequence[tuple[str, Sequence[str]]], width: int) -> list[Row]:
    """The rows with their cells stripped, as many in each.

    Raises:
        InputError: a row with more cells than the header.
    """
    even: list[Row] = []
    for where, cells in rows:
        if any(c.strip() for c in cells[width:]):
            raise InputError(
                "A row has more cells than the header",
                where=where,
                expected=f"{width} cells",
                found=f"{len(cells)}: {list(cells)}",
                hint="put text that holds the separator in quotation marks",
            )
        stripped = [c.strip() for c in cells[:width]]
        even.append((where, (*stripped, *[""] * (width - len(stripped)))))
    return even


def _columns(names: Sequence[str]) -> OptionColumns:
    by_group = tuple(f"{kind}:" for kind in _BY_GROUP)
    return OptionColumns(
        question=names.index("question"),
        option=names.index("options"),
        beside=[
            k for k, n in enumerate(names) if n in ("codes", "scale") or n.startswith(by_group)
        ],
        is_one=lambda cell: SEPARATOR not in cell and "\n" not in cell,
        between=SEPARATOR,
    )


def _by_option(rows: Sequence[tuple[str, Sequence[str]]]) -> bool:
    """Whether columns that are all ours hold one option a row."""
    names = _names(rows[0][1])
    if _unknown(rows[0][1]):
        return False
    found = questions_of(_even(rows[1:], len(names)), _columns(names))
    return any(len(group) > 1 for group in found)
