"""Reading what is known of a question: ``known:`` of a questionnaire, CSV, XLSX, an OpinionTable.

``known:`` is used as evidence; ``observed:`` beside it is only scored against::

    questions:
      - id: rent
        question: Do you favor or oppose a limit on yearly rent increases?
        options: [Favor, Oppose]
        known:
          TOTAL: {shares: [58, 42], n: 1004}       # in the order of `options`, or
          POLPARTY=Democrat: {shares: {Oppose: 25, Favor: 75}}   # by the options' text

CSV and XLSX have a row per option: ``question_id`` (or ``question``), ``group`` (``TOTAL``,
``POLPARTY=Democrat``; or ``attribute`` and ``group``), ``option``, ``share`` (or ``percent``) and,
if told, ``n`` and ``n_eff``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.csv_files import read_text_table
from opinioncast.documents import parse_yaml
from opinioncast.errors import InputError
from opinioncast.evidence.matching import match_shares, plain, published_of_table
from opinioncast.evidence.observations import Cell, Published
from opinioncast.questionnaires import Questionnaire
from opinioncast.survey import GroupScheme, OpinionTable, Question, Subpopulation

_FIELDS = {"shares", "n", "n_eff"}
_COLUMNS = {"question_id", "question", "attribute", "group", "option", "share", "n", "n_eff"}


def known_cells(
    question: Question, raw: Any, scheme: GroupScheme, where: str
) -> tuple[list[Cell], list[str]]:
    """The cells under a question's ``known:``, and notes on what was done to them.

    Args:
        raw: group expression -> shares (a list in the order of the options, or option -> share),
            or ``{shares, n, n_eff}``.

    Raises:
        InputError: another shape; a group the scheme does not know; shares that do not fit.
    """
    if not isinstance(raw, Mapping) or not raw:
        raise InputError(
            "Known results cannot be read",
            where=where,
            expected="a mapping of group (TOTAL, POLPARTY=Democrat) to shares",
            found=raw,
        )
    cells: list[Cell] = []
    notes: list[str] = []
    for expression, given in raw.items():
        place = f"{where}, known {expression}"
        entry = (
            dict(given) if isinstance(given, Mapping) and "shares" in given else {"shares": given}
        )
        unknown = set(entry) - _FIELDS
        shares = entry["shares"]
        if isinstance(shares, str):
            shares = [part.strip() for part in shares.split("|")]
        if unknown or not isinstance(shares, Mapping | Sequence):
            raise InputError(
                "Known shares cannot be read",
                where=place,
                expected=f"a list, a mapping of option to share, or {', '.join(sorted(_FIELDS))}",
                found=given,
            )
        if not isinstance(shares, Mapping):
            if len(shares) != len(question.options):
                raise InputError(
                    "Known shares are not one per option",
                    where=place,
                    expected=f"{len(question.options)} shares: {'; '.join(question.options)}",
                    found=list(shares),
                )
            shares = dict(zip(question.options, shares, strict=True))
        try:
            group = scheme.parse(str(expression))
        except InputError as error:
            raise error.at(place) from None
        values = {str(k): _number(v, place, "share") for k, v in shares.items()}
        found, rounding, said = match_shares(question, values, where=place)
        base = {k: _base(entry[k], place, k) for k in ("n", "n_eff") if entry.get(k) is not None}
        cells.append(_cell(question, group, found, rounding, base))
        notes += said
    return cells, notes


def known_in_questionnaire(questionnaire: Questionnaire, scheme: GroupScheme) -> Published | None:
    """What a questionnaire's ``known:`` says; None where it says nothing.

    Raises:
        InputError: as :func:`known_cells`.
    """
    by_id = {q.question_id: q for q in questionnaire.questions}
    cells: list[Cell] = []
    notes: list[str] = []
    for known in questionnaire.known:
        found, said = known_cells(by_id[known.question_id], known.shares, scheme, known.where)
        cells += found
        notes += said
    name = f"{questionnaire.name}, known results"
    return Published(name, tuple(cells), notes=tuple(notes)) if cells else None


def read_known(path: Path, questions: Sequence[Question], scheme: GroupScheme) -> Published:
    """Published results from a file (.yaml, .csv, .xlsx, .parquet).

    Raises:
        InputError: unreadable; a question the predictions lack; options, groups or sums that do
            not fit.
    """
    suffix = path.suffix.casefold()
    if suffix == ".parquet":
        table = OpinionTable.read(path)
        return published_of_table(
            table, questions, path.name, str(table.meta.get("terms", "not told"))
        )
    if suffix in (".yaml", ".yml"):
        return _from_yaml(path, questions, scheme)
    if suffix in (".csv", ".xlsx"):
        return _from_rows(path, _table(path), questions, scheme)
    raise InputError(
        "Known results of this kind cannot be read",
        where=str(path),
        expected=".yaml, .csv, .xlsx, or .parquet of `opinioncast curate`",
        found=path.suffix or "no file ending",
    )


def _from_yaml(path: Path, questions: Sequence[Question], scheme: GroupScheme) -> Published:
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            "Known results cannot be read", where=str(path), expected="UTF-8 YAML", found=error
        ) from error
    raw = parse_yaml(text, where=str(path), what="Known results", only_texts=True)
    listed = raw.get("questions") if isinstance(raw, Mapping) else raw
    if not isinstance(listed, list):
        raise InputError(
            "Known results list no questions",
            where=str(path),
            expected="`questions:` with a list of id (or question) and `known`",
            found=type(raw).__name__,
        )
    cells, notes = [], []
    for i, item in enumerate(listed, start=1):
        if not isinstance(item, Mapping) or "known" not in item:
            continue
        where = f"{path}, question {i}"
        name = item.get("id", item.get("question", f"q{i}"))
        question = _find(questions, str(name), where)
        found, said = known_cells(question, item["known"], scheme, where)
        cells += found
        notes += said
    if not cells:
        raise InputError(
            "No question has known results", where=str(path), expected="`known:` in a question"
        )
    return Published(path.name, tuple(cells), notes=tuple(notes))


def _table(path: Path) -> pl.DataFrame:
    try:
        if path.suffix.casefold() == ".csv":
            return read_text_table(path, "A table of known results", InputError)
        return pl.read_excel(path, sheet_id=1, infer_schema_length=0)
    except InputError:
        raise
    except Exception as error:  # fastexcel raises classes of its own for each kind of damage
        raise InputError(
            "Known results cannot be read",
            where=str(path),
            expected="a UTF-8 CSV file or an Excel workbook, a row per option",
            found=error,
        ) from None


def _from_rows(
    path: Path, table: pl.DataFrame, questions: Sequence[Question], scheme: GroupScheme
) -> Published:
    table = table.rename({c: c.strip().lstrip("\ufeff").casefold() for c in table.columns})
    table = table.rename({"percent": "share"} if "percent" in table.columns else {})
    table = table.rename(
        {"id": "question_id"}
        if "id" in table.columns and "question_id" not in table.columns
        else {}
    )
    key = next((c for c in ("question_id", "question") if c in table.columns), None)
    unknown = set(table.columns) - _COLUMNS
    if key is None or unknown or not {"option", "share"} <= set(table.columns):
        raise InputError(
            "The columns of known results do not fit",
            where=str(path),
            expected="question_id (or question), group, option, share (or percent); n, n_eff",
            found=", ".join(table.columns),
            hint=f"columns not known: {', '.join(sorted(unknown))}" if unknown else None,
        )
    blocks: dict[tuple[str, str], dict[str, Any]] = {}
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        name = str(row[key] or "").strip()
        if not name:
            continue
        group = str(row.get("group") or "TOTAL").strip()
        attribute = str(row.get("attribute") or "").strip()
        where = f"{path}, row {number}"
        block = blocks.setdefault(
            (name, f"{attribute}\t{group}"), {"where": where, "shares": {}, "base": {}}
        )
        option = str(row["option"] or "").strip()
        if option in block["shares"]:
            raise InputError(
                "Known results give an option twice",
                where=f"{where}, question {name}, {group}",
                expected="one row per option",
                found=option,
            )
        block["shares"][option] = _number(row["share"], where, "share")
        for base in ("n", "n_eff"):
            if row.get(base) not in (None, ""):
                value = _base(row[base], where, base)
                if block["base"].setdefault(base, value) != value:
                    raise InputError(
                        "The rows of a cell have different bases",
                        where=where,
                        expected=f"{base} {block['base'][base]:g} in each of its rows",
                        found=value,
                    )
    cells: list[Cell] = []
    notes: list[str] = []
    for (name, place), block in blocks.items():
        where = block["where"]
        attribute, _, group_name = place.partition("\t")
        question = _find(questions, name, where)
        try:
            cell_of = (
                scheme.check(Subpopulation.from_key(attribute, group_name))
                if attribute and attribute != "TOTAL"
                else scheme.parse(group_name)
            )
        except InputError as error:
            raise error.at(where) from None
        found, rounding, said = match_shares(question, block["shares"], where=where)
        cells.append(_cell(question, cell_of, found, rounding, block["base"]))
        notes += said
    if not cells:
        raise InputError("Known results have no row", where=str(path), expected="a row per option")
    return Published(path.name, tuple(cells), notes=tuple(notes))


def _cell(
    question: Question,
    group: Subpopulation,
    shares: tuple[float, ...],
    rounding: float,
    base: Mapping[str, float],
) -> Cell:
    n = base.get("n")
    return Cell(
        question.question_id,
        group,
        shares,
        base.get("n_eff", n),
        rounding,
        None if n is None else round(n),
    )


def _find(questions: Sequence[Question], name: str, where: str) -> Question:
    for question in questions:
        if name.casefold() == question.question_id.casefold() or plain(name) == plain(
            question.text
        ):
            return question
    raise InputError(
        "Known results of a question that is not predicted",
        where=where,
        expected="one of " + ", ".join(q.question_id for q in questions[:12]),
        found=name,
        hint="predict the question first, or leave its rows out",
    )


def _number(value: Any, where: str, what: str) -> float:
    try:
        return float(str(value).strip().removesuffix("%"))
    except ValueError:
        raise InputError(
            f"A {what} is not a number", where=where, expected="a number", found=value
        ) from None


def _base(value: Any, where: str, what: str) -> float:
    number = _number(value, where, what)
    if not number >= 1 or (what == "n" and number == math.inf):
        raise InputError(
            "A base is not usable", where=where, expected=f"{what} of 1 or more", found=value
        )
    return number
