"""OpinionQA's public folders: one per wave, with ``info.csv``, ``metadata.csv``, ``responses.csv``.

``info.csv`` has a question per row (``key, question, references, option_mapping, option_ordinal``),
``metadata.csv`` an attribute per row with its groups in order (``key, options``),
``responses.csv`` a respondent per row: answers and groups as texts, weights as ``WEIGHT...``;
an empty cell was not asked. Its group-level rows are in SubPOP's layout
(:mod:`opinioncast.readers.subpop`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from opinioncast.errors import DataError
from opinioncast.files import checksum
from opinioncast.readers import tabular
from opinioncast.readers.codebook import Entry
from opinioncast.readers.describe import Flags
from opinioncast.readers.institutions.atp import CONVENTIONS, only_weight
from opinioncast.readers.microdata import build
from opinioncast.readers.raw import check_kind, check_names
from opinioncast.readers.subpop import literal
from opinioncast.survey.wave import Design, Wave

OPINIONQA = "opinionqa"
"""The name of this layout, a folder, in a recipe's ``conventions``."""

REFUSED = "Refused"
_FILES = ("info.csv", "metadata.csv", "responses.csv")
_GROUP_MISSING: Mapping[float | str, str] = {
    REFUSED: REFUSED,
    "DK/REF": "DK/REF",
    "Don't know/Refused": "DK/REF",
}


def read_opinionqa(
    folder: str | Path, *, columns: Sequence[str] | None = None, weight: str | None = None
) -> Wave:
    """Read one wave's folder (``American_Trends_Panel_W34``) as a wave of family ATP.

    Args:
        columns: question keys and attributes wanted; None: all that info.csv and metadata.csv list.
        weight: weight variable; None: the only one there is.

    Returns:
        A wave whose answers have the codes of ``option_mapping`` and whose attributes' groups are
        numbered from 1 in the order of metadata.csv, as options.

    Raises:
        DataError: a file absent or unreadable, a question listed but not in responses.csv, several
            weights and none named.
    """
    folder = Path(folder)
    match = re.search(r"_W(\d+)$", folder.name)
    if match is None:
        raise DataError(
            "A folder of OpinionQA does not name its wave",
            where=folder.name,
            expected="a name that ends in the wave, like American_Trends_Panel_W34",
            found=folder.name,
        )
    for name in _FILES:
        check_kind(folder / name)
    entries, code_of = _questions(folder / "info.csv")
    for entry, codes in _attributes(folder / "metadata.csv"):
        entries[entry.variable], code_of[entry.variable] = entry, codes
    names = tabular.column_names(folder / "responses.csv")
    weight = weight or only_weight(names)
    if columns is not None:
        check_names(columns, list(entries), where=f"{folder.name}/info.csv and metadata.csv")
        entries = {name: entries[name] for name in columns}
    key = next((n for n in names if n.startswith("QKEY")), None)
    wanted = dict.fromkeys([*entries, weight, *([key] if key else [])])
    raw = tabular.read_raw(folder / "responses.csv", list(wanted))
    flags = Flags()
    frame, variables = build(raw, entries, {}, CONVENTIONS, flags, code_of)
    return Wave(
        family="ATP",
        wave=match[1],
        respondents=frame,
        variables=variables,
        design=Design(weight=weight),
        respondent_id=key,
        meta={
            "file": folder.name,
            "sha256": {name: checksum(folder / name) for name in _FILES},
            "reader": OPINIONQA,
            "conventions": CONVENTIONS.name,
            "respondents": frame.height,
            "notes": [*raw.notes, *flags.notes()],
            "flags": {kind: list(lines) for kind, lines in flags.found.items()},
        },
    )


def _questions(path: Path) -> tuple[dict[str, Entry], dict[str, dict[str, float]]]:
    entries: dict[str, Entry] = {}
    code_of: dict[str, dict[str, float]] = {}
    for number, row in enumerate(
        _rows(path, ("key", "question", "option_mapping", "option_ordinal")), start=1
    ):
        key = row["key"]
        where = f"{path.name}, row {number}, {key}"
        mapping = literal(row["option_mapping"], where)
        codes = {str(text): float(code) for code, text in mapping.items()}
        options = tuple(text for text in codes if text != REFUSED)
        ordinal = tuple(float(v) for v in literal(row["option_ordinal"], where))
        if len(ordinal) != len(options):
            raise DataError(
                "A question does not have one scale position per option",
                where=where,
                expected=f"{len(options)} positions, for {options}",
                found=ordinal,
            )
        entries[key] = Entry(
            variable=key,
            question=row["question"].strip(),
            codes=options,
            options=options,
            ordinal=ordinal,
            missing_codes={REFUSED: REFUSED} if REFUSED in codes else {},
            wording_source="verbatim: OpinionQA info.csv",
        )
        code_of[key] = codes
    return entries, code_of


def _attributes(path: Path) -> list[tuple[Entry, dict[str, float]]]:
    out = []
    for number, row in enumerate(_rows(path, ("key", "options")), start=1):
        groups = tuple(
            str(g) for g in literal(row["options"], f"{path.name}, row {number}") if g != REFUSED
        )
        codes = {group: float(i) for i, group in enumerate(groups, start=1)}
        codes |= {str(text): 99.0 - i for i, text in enumerate(_GROUP_MISSING)}
        out.append(
            (
                Entry(
                    variable=row["key"], codes=groups, options=groups, missing_codes=_GROUP_MISSING
                ),
                codes,
            )
        )
    return out


def _rows(path: Path, needed: Sequence[str]) -> list[Mapping[str, str]]:
    names = tabular.column_names(path)
    check_names(needed, names, where=path.name)
    raw = tabular.read_raw(path, list(needed))
    return list(raw.frame.iter_rows(named=True))
