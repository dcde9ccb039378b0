"""A user's questionnaire: YAML, CSV or XLSX -> questions, and observed distributions if given.

YAML::

    family: MYPOLL            # optional
    wave: "2026"              # optional
    questions:
      - id: guns              # optional; else q1, q2, ...
        question: Would you favor or oppose ...?
        options: [Favor, Oppose, Not sure]
        scale: [1, 2, -1]     # optional; -1 is off the scale
        observed:             # optional; shares of the options, or percentages
          POLPARTY=Democrat: [0.8, 0.15, 0.05]
          TOTAL: {shares: [0.6, 0.35, 0.05], n: 1004}

CSV and XLSX have one row a question and the columns ``question`` and ``options`` (separated by
``|``), and, if wanted, ``id``, ``scale`` (also ``|``) and a column ``observed: POLPARTY=Democrat``
for each group.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.documents import Items, parse_yaml
from opinioncast.errors import InputError
from opinioncast.survey import (
    GroupScheme,
    OpinionTable,
    Question,
    Subpopulation,
    load_groups,
    opinion_row,
)
from opinioncast.survey.question import check_distribution

SEPARATOR = "|"
_FIELDS = {"id", "question", "options", "scale", "observed"}
_OBSERVED_FIELDS = {"shares", "n", "n_eff", "refusal_rate"}


@dataclass(frozen=True)
class Questionnaire:
    """What a questionnaire file holds.

    Attributes:
        questions: in file order.
        observed: distributions the file gives, or None if it gives none.
        sha256: of the file.
    """

    name: str
    questions: tuple[Question, ...]
    observed: OpinionTable | None
    sha256: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One question as text fields, and where it stands."""

    where: str
    fields: Mapping[str, Any]
    observed: Mapping[str, Any]


def read_questionnaire(path: str | Path, groups: GroupScheme | None = None) -> Questionnaire:
    """Read a questionnaire by its ending (.yaml, .yml, .csv, .xlsx).

    Args:
        groups: scheme that knows the groups named under ``observed``; the standard attributes when
            left out.

    Raises:
        InputError: a file that is missing, in another format or encoding, or a question,
            distribution or group that cannot be used, with the line or row it stands in.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            "Questionnaire not found",
            where=str(path),
            expected="a .yaml, .csv or .xlsx file",
            found="a folder" if path.is_dir() else "no such file",
        )
    readers = {".yaml": _from_yaml, ".yml": _from_yaml, ".csv": _from_csv, ".xlsx": _from_xlsx}
    reader = readers.get(path.suffix.casefold())
    if reader is None:
        raise InputError(
            "A questionnaire of this kind cannot be read",
            where=str(path),
            expected=", ".join(readers),
            found=path.suffix or "no file ending",
            hint="save it as CSV (UTF-8) or XLSX",
        )
    content = path.read_bytes()
    head, entries = reader(path, content)
    questions: list[Question] = []
    rows: list[dict[str, Any]] = []
    seen: dict[str, str] = {}
    scheme = groups or load_groups("total")
    for number, entry in enumerate(entries, start=1):
        question = _question(entry, number, head)
        first = seen.setdefault(question.question_id, entry.where)
        if first != entry.where:
            raise InputError(
                "Two questions have one id",
                where=f"{first} and {entry.where}",
                expected="different ids",
                found=question.question_id,
            )
        questions.append(question)
        rows.extend(_observed(entry, question, scheme))
    if not questions:
        raise InputError(
            "The questionnaire has no questions",
            where=str(path),
            expected="at least one question",
            found="none",
        )
    observed = None
    if rows:
        observed = OpinionTable.from_rows(rows, {"source": path.name, "kind": "user's observed"})
    return Questionnaire(path.stem, tuple(questions), observed, hashlib.sha256(content).hexdigest())


def _question(entry: _Entry, number: int, head: Mapping[str, str]) -> Question:
    fields = entry.fields
    for needed in ("question", "options"):
        if not fields.get(needed):
            raise InputError(
                f"A question has no {needed}",
                where=entry.where,
                expected=f"`{needed}`",
                found=", ".join(k for k, v in fields.items() if v) or "nothing",
            )
    scale = fields.get("scale") or []
    try:
        positions = tuple(_number(v, entry.where, "scale position") for v in _listed(scale))
        return Question(
            question_id=str(fields.get("id") or f"q{number}"),
            text=str(fields["question"]),
            options=tuple(str(o) for o in _listed(fields["options"])),
            ordinal=positions,
            family=head.get("family", ""),
            wave=head.get("wave", ""),
        )
    except InputError as error:
        raise (error if error.where == entry.where else error.at(entry.where)) from None


def _observed(entry: _Entry, question: Question, scheme: GroupScheme) -> Iterator[dict[str, Any]]:
    done: dict[Subpopulation, str] = {}
    for expression, given in entry.observed.items():
        where = f"{entry.where}, observed {expression}"
        more: dict[str, Any] = {}
        shares = given
        if isinstance(given, Mapping):
            unknown = set(given) - _OBSERVED_FIELDS
            if unknown or "shares" not in given:
                raise InputError(
                    "An observed distribution cannot be read",
                    where=where,
                    expected="a list of shares, or `shares` with "
                    + ", ".join(sorted(_OBSERVED_FIELDS - {"shares"})),
                    found=dict(given),
                )
            shares = given["shares"]
            more = {k: _number(v, where, k) for k, v in given.items() if k != "shares"}
            if "n" in more:
                more["n"] = round(more["n"])
        try:
            group = scheme.parse(expression)
        except InputError as error:
            raise error.at(where) from None
        if group in done:
            raise InputError(
                "A group has two observed distributions",
                where=where,
                expected="one per group",
                found=f"{done[group]} and {expression}",
            )
        done[group] = expression
        values = [_number(v, where, "share") for v in _listed(shares)]
        distribution = check_distribution(values, len(question.options), where=where)
        yield opinion_row(question, group, distribution, **more)


def _listed(value: Any) -> Sequence[Any]:
    """A list as it is; text split at ``|``."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(SEPARATOR)]
    return value if isinstance(value, Sequence) else [value]


def _number(value: Any, where: str, what: str) -> float:
    try:
        return float(str(value).strip().removesuffix("%"))
    except ValueError:
        raise InputError(
            f"A {what} is not a number", where=where, expected="a number", found=value
        ) from None


def _text(path: Path, content: bytes) -> str:
    """Decode UTF-8 (with or without a byte order mark) or Excel's UTF-16."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        bad = content[max(error.start - 20, 0) : error.start + 20]
        raise InputError(
            "A questionnaire is in the wrong encoding",
            where=f"{path}, line {line}",
            expected="UTF-8",
            found=f"byte 0x{content[error.start]:02x} in {bad.decode('latin-1')!r}",
            hint='save it as "CSV UTF-8" (Excel) or convert it: '
            f"iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ) from None


def _from_yaml(path: Path, content: bytes) -> tuple[dict[str, str], list[_Entry]]:
    raw = parse_yaml(_text(path, content), where=str(path), what="A questionnaire", only_texts=True)
    if isinstance(raw, list):
        raw = {"questions": raw}
    listed = raw.get("questions") if isinstance(raw, dict) else None
    if not isinstance(listed, Items):
        raise InputError(
            "A questionnaire lists no questions",
            where=str(path),
            expected="`questions:` with a list, or just a list",
            found=list(raw) if isinstance(raw, dict) else type(raw).__name__,
        )
    unknown = set(raw) - {"family", "wave", "questions", "title"}
    if unknown:
        raise _unknown_field(str(path), unknown, {"family", "wave", "questions", "title"})
    entries = []
    for number, item in enumerate(listed, start=1):
        if not isinstance(item, dict):
            raise InputError(
                "A question cannot be read",
                where=f"{path}, question {number}",
                expected="a mapping with `question` and `options`",
                found=item,
            )
        item = dict(item)
        where = f"{path}, line {listed.lines[number - 1]}"
        if set(item) - _FIELDS:
            raise _unknown_field(where, set(item) - _FIELDS, _FIELDS)
        observed = item.pop("observed", None) or {}
        if not isinstance(observed, dict):
            raise InputError(
                "Observed distributions cannot be read",
                where=where,
                expected="a mapping of group to shares",
                found=observed,
            )
        entries.append(_Entry(where, item, observed))
    return {k: str(raw[k]) for k in ("family", "wave") if k in raw}, entries


def _unknown_field(where: str, unknown: set[str], known: set[str]) -> InputError:
    return InputError(
        "A questionnaire has a field that is not known",
        where=where,
        expected=", ".join(sorted(known)),
        found=", ".join(sorted(unknown)),
    )


def _from_csv(path: Path, content: bytes) -> tuple[dict[str, str], list[_Entry]]:
    text = _text(path, content)
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)  # Excel writes ; in many countries
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[str, list[str]]] = []
    line = 0
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((f"{path}, line {line + 1}", row))
            line = reader.line_num
    except csv.Error as error:
        raise InputError(
            "A questionnaire is not valid CSV",
            where=f"{path}, line {reader.line_num}",
            expected=f"fields separated by {delimiter!r}, quoted where they hold one",
            found=error,
        ) from None
    return {}, _from_rows(path, rows)


def _from_xlsx(path: Path, content: bytes) -> tuple[dict[str, str], list[_Entry]]:
    try:
        sheet = pl.read_excel(
            content,
            sheet_id=1,
            has_header=False,
            infer_schema_length=0,
            drop_empty_rows=False,
        )
    except Exception as error:  # fastexcel raises classes of its own for each kind of damage
        raise InputError(
            "A questionnaire is not a readable XLSX file",
            where=str(path),
            expected="an Excel workbook with the questions on its first sheet",
            found=error,
        ) from None
    rows = [
        (f"{path}, row {i}", ["" if cell is None else str(cell) for cell in row])
        for i, row in enumerate(sheet.iter_rows(), start=1)
    ]
    return {}, _from_rows(path, [r for r in rows if any(c.strip() for c in r[1])])


def _from_rows(path: Path, rows: Sequence[tuple[str, Sequence[str]]]) -> list[_Entry]:
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
        if colon and kind.strip().casefold() == "observed":
            names.append(f"observed:{group.strip()}")
        else:
            names.append(cell.casefold())
    known = _FIELDS - {"observed"}
    unknown = {
        shown
        for name, shown in zip(names, header, strict=True)
        if name and name not in known and not name.startswith("observed:")
    }
    if unknown or not {"question", "options"} <= set(names):
        raise InputError(
            "A questionnaire's columns do not fit",
            where=rows[0][0],
            expected="question, options and, if wanted, id, scale, observed: ATTRIBUTE=Group",
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
            _Entry(
                where,
                {k: v for k, v in row.items() if k in known},
                {
                    k.removeprefix("observed:"): v
                    for k, v in row.items()
                    if k.startswith("observed:")
                },
            )
        )
    return entries
