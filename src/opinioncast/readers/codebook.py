"""Codebooks and wording files (JSON, YAML, CSV): what the microdata file itself does not say.

JSON and YAML hold a list of entries, or a mapping with ``questions``, or entries by variable name.
An entry: ``variable``; ``question``; ``options`` and ``codes`` (numbers, or the
answers' texts in text columns); ``ordinal`` (null: no scale); ``missing_codes`` (code -> reason, or
a list of codes); ``answers`` (codes that are answers though their label reads like a missing one);
``relabel`` (true: the texts stand though the file gives them to other codes);
``system_missing`` (a reason, or the count to check); ``weight``; ``wording``
("verbatim", "from_label"), ``wording_source``; ``variable_label``; ``n_unweighted`` (a count to
check). An entry as archives list a study's items says the same as ``text``, ``desc`` and ``n``,
with options that begin with their codes ("1. Favor"). CSV holds one row per code:
``variable, code, option`` and, where there are any, ``question``, ``ordinal``, ``missing`` (the
reason, empty for an answer), ``weight``, ``variable_label``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from opinioncast.csv_files import text_table
from opinioncast.documents import parse_json, parse_yaml, texts_of
from opinioncast.errors import DataError
from opinioncast.readers.dialect import decode
from opinioncast.readers.labels import folded
from opinioncast.readers.raw import check_kind
from opinioncast.survey.wave import Missing

_TABLES = (".csv", ".tsv")
_CODED = re.compile(r"\s*(-?\d+)(?:\s*[.:)]\s*|\s+|$)(.*)", re.DOTALL)
_PATTERN = re.compile(r"[*?\[]")
_OF_ITEMS = {"text": "question", "desc": "variable_label", "n": "n_unweighted"}

Code = float | str
"""A number, or a text as it is written: "01" and "1" may be two codes of a text column."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a codebook says about one variable; None (or empty) where it says nothing.

    ``ordinal`` is all zeros where the codebook says that there is no scale (``ordinal: null``);
    ``any_case``: an archive's list, which writes every name in capitals.
    """

    variable: str
    question: str = ""
    label: str = ""
    codes: tuple[Code, ...] | None = None
    options: tuple[str, ...] | None = None
    ordinal: tuple[float, ...] | None = None
    missing_codes: Mapping[Code, str] = field(default_factory=dict)
    answers: tuple[Code, ...] = ()
    system_missing: Missing | int | None = None
    weight: str | None = None
    wording_source: str = ""
    n_unweighted: int | None = None
    relabel: bool = False
    any_case: bool = False


def crossed(texts: Sequence[str], labels: Sequence[str]) -> tuple[str, str] | None:
    """A text of a codebook that the file has as the label of another code, and the label it has.

    Args:
        texts, labels: of the same codes, by the codebook and by the file ("" for none).
    """
    own = [folded(t) for t in labels]
    for text, label in zip(map(folded, texts), own, strict=True):
        if text and label and text != label and text in own:
            at = own.index(label)
            return texts[at], labels[at]
    return None


def load_codebook(
    path: Path | None, corrections: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Entry]:
    """Entries by variable.

    Args:
        path: the codebook; None: there is none, only corrections.
        corrections: variable -> fields that replace the codebook's (the same names); a variable it
            does not have is added. A name with ``*`` (any text), ``?`` or ``[ab]`` (one letter) is
            for every entry that it fits, before what is said of one by its name.

    Raises:
        DataError: unreadable, an entry without a variable, a variable twice, or an entry whose
            options, codes and scale are of different lengths.
    """
    entries: dict[str, Entry] = {}
    corrections = dict(corrections or {})
    of_many = {name: corrections.pop(name) for name in list(corrections) if _PATTERN.search(name)}
    met: set[str] = set()
    for number, item in enumerate(_raw_entries(path) if path else [], start=1):
        where = f"{path.name if path else ''}, entry {number}"
        if not isinstance(item, Mapping) or not item.get("variable"):
            raise DataError(
                "A codebook entry names no variable",
                where=where,
                expected="`variable` and what is known about it",
                found=item,
            )
        where = f"{where}, variable {item['variable']}"
        item = _of_items(item)
        name = str(item["variable"])
        fits = [pattern for pattern in of_many if fnmatchcase(name, pattern)]
        met.update(fits)
        changes = [of_many[pattern] for pattern in fits]
        if name in corrections:
            changes.append(corrections.pop(name))
        for change in changes:
            item, where = {**item, **change}, f"{where}, as corrected"
        entry = _entry(item, where)
        if entry.variable in entries:
            raise DataError(
                "A codebook describes a variable twice",
                where=where,
                expected="one entry per variable",
                found=entry.variable,
            )
        entries[entry.variable] = entry
    unmet = [pattern for pattern in of_many if pattern not in met]
    if unmet:
        raise DataError(
            "A correction fits no entry of the codebook",
            where=path.name if path else "no codebook",
            expected="names of its variables, with * for any text, ? or [ab] for one letter",
            found=", ".join(unmet),
        )
    for name, fields in corrections.items():
        entries[name] = _entry({"variable": name, **fields}, f"correction of variable {name}")
    return entries


def _of_items(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry of an archive's list of items in the terms of a codebook; any other as it is."""
    options = item.get("options")
    if "codes" in item or "text" not in item or not isinstance(options, list):
        return item
    parts = [_CODED.fullmatch(option) if isinstance(option, str) else None for option in options]
    if not all(parts):
        return item
    codes = [int(part[1]) for part in parts if part]
    texts = [" ".join(part[2].split()) or str(int(part[1])) for part in parts if part]
    renamed = {_OF_ITEMS.get(key, key): value for key, value in item.items()}
    renamed |= {"codes": codes, "options": texts, "any_case": True}
    return {"wording": "verbatim"} | renamed


def _raw_entries(path: Path) -> list[Any]:
    if path.suffix.casefold() in _TABLES:
        return _from_rows(path)
    content = _load(path)
    if isinstance(content, Mapping) and "questions" in content:
        content = content["questions"]
    if isinstance(content, Mapping):
        content = [
            {"variable": name, **entry} if isinstance(entry, Mapping) else entry
            for name, entry in content.items()
        ]
    if not isinstance(content, list):
        raise DataError(
            "A codebook is not a list of entries",
            where=path.name,
            expected="a list, a mapping with `questions`, or entries by variable name",
            found=type(content).__name__,
        )
    return content


def load_wording(path: Path) -> dict[str, tuple[str, str]]:
    """Variable -> (label, question as asked) of a wording file; a codebook will do as well.

    JSON or YAML: variable -> question, or variable -> {label, question}. CSV: columns
    ``variable, question``.
    """
    content = None if path.suffix.casefold() in _TABLES else _load(path)
    if isinstance(content, Mapping) and all(isinstance(v, str) for v in content.values()):
        return {str(name): ("", text.strip()) for name, text in content.items()}
    if isinstance(content, Mapping) and "questions" not in content:
        return {
            str(name): (str(v.get("label") or ""), str(v.get("question") or "").strip())
            for name, v in content.items()
            if isinstance(v, Mapping)
        }
    return {e.variable: (e.label, e.question) for e in load_codebook(path).values()}


def _load(path: Path) -> Any:
    if path.suffix.casefold() not in (".json", ".yaml", ".yml"):
        raise DataError(
            "A codebook is of an unknown kind",
            where=path.name,
            expected=".json, .yaml, .yml, .csv or .tsv",
            found=path.suffix or "no ending",
        )
    if not path.is_file():
        raise DataError("A codebook is not there", where=str(path), expected="a file", found="none")
    text, _ = decode(path)
    parse = parse_json if path.suffix.casefold() == ".json" else parse_yaml
    return parse(text, where=path.name, what="A codebook", error=DataError)


def _entry(item: Mapping[str, Any], where: str) -> Entry:
    try:
        codes = _tuple(item.get("codes"), _code)
        listed = item.get("options")
        options = None if listed is None else texts_of(listed, where, error=DataError)
        ordinal = _tuple(item.get("ordinal"), float)
        missing = item.get("missing_codes") or {}
        if not isinstance(missing, Mapping):
            missing = dict.fromkeys(missing, "")
        missing = {_code(code): str(text or "") for code, text in missing.items()}
        answers = _tuple(item.get("answers"), _code) or ()
        both = [c for c in answers if c in missing]
        if both:
            raise ValueError(f"{both[0]!r} is both among `answers` and among `missing_codes`")
        empty = item.get("system_missing")
        reason = Missing(empty) if isinstance(empty, str) else empty
        n = item.get("n_unweighted")
        n = None if n is None else int(n)
        relabel = item.get("relabel", False)
        if not isinstance(relabel, bool):
            raise TypeError(f"relabel is true or false: {relabel!r}")
    except (TypeError, ValueError) as error:
        raise DataError(
            "A codebook entry has a value of the wrong kind",
            where=where,
            expected="codes and scale positions as numbers, options and codes that are words as "
            'texts (true and false in quotes, as the file writes them: "TRUE"), system_missing as '
            f"a count or one of {', '.join(m.value for m in Missing)}",
            found=error,
        ) from error
    if "ordinal" in item and item["ordinal"] is None and codes:
        ordinal = (0.0,) * len(codes)
    for what, values in (("options", options), ("ordinal", ordinal)):
        if values is not None and len(values) != len(codes or ()):
            raise DataError(
                f"A codebook entry does not have as many {what} as codes",
                where=where,
                expected=f"{len(codes or ())} {what}, one per code",
                found=values,
            )
    kind, source = str(item.get("wording") or ""), str(item.get("wording_source") or "")
    return Entry(
        variable=str(item["variable"]),
        question=str(item.get("question") or "").strip(),
        label=str(item.get("variable_label") or item.get("label") or ""),
        codes=codes,
        options=options,
        ordinal=ordinal,
        missing_codes=missing,
        answers=answers,
        system_missing=reason,
        weight=item.get("weight") or None,
        wording_source=": ".join(part for part in (kind, source) if part),
        n_unweighted=n,
        relabel=relabel,
        any_case=item.get("any_case") is True,
    )


def _tuple(values: Any, convert: Any) -> tuple[Any, ...] | None:
    if values is None:
        return None
    if isinstance(values, str) or not isinstance(values, list | tuple):
        raise TypeError(f"a list was expected: {values!r}")
    return tuple(convert(v) for v in values)


def _code(value: Any) -> Code:
    """A number as a number, a text as it is: what it stands for depends on the column."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"a code is a number or a text: {value!r}")
    return value.strip() if isinstance(value, str) else float(value)


def _from_rows(path: Path) -> list[Any]:
    """Entries of a CSV codebook, one row per code, rows of a variable in the order of options."""
    check_kind(path)
    table = text_table(decode(path)[0], path.name, "A codebook", DataError)
    lower = {c: c.strip().casefold() for c in table.columns}
    if len(set(lower.values())) == len(lower):
        table = table.rename(lower)
    if "code" in table.columns and "option" not in table.columns:
        raise DataError(
            "A codebook has codes and no column of what they mean",
            where=path.name,
            expected="columns variable, code, option",
            found=", ".join(table.columns),
            hint="name the column of the answers' texts `option`",
        )
    if "variable" not in table.columns:
        raise DataError(
            "A codebook has no column of variables",
            where=path.name,
            expected="columns variable, code, option (or variable, question)",
            found=", ".join(table.columns),
        )
    entries: dict[str, dict[str, Any]] = {}
    first: dict[tuple[str, str], int] = {}
    for line, row in enumerate(table.iter_rows(named=True), start=2):
        name = row["variable"]
        entry = entries.setdefault(name, {"variable": name})
        for key in ("question", "weight", "variable_label", "wording", "wording_source"):
            if not row.get(key):
                continue
            if entry.setdefault(key, row[key]) != row[key]:
                raise DataError(
                    f"A codebook says something twice: the {key} of a variable",
                    where=f"{path.name}, rows {first[name, key]} and {line}, variable {name}",
                    expected=f"one {key}, in the first row of the variable or in all",
                    found=f"{entry[key]!r} and {row[key]!r}",
                    hint="delete the one that is wrong",
                )
            first.setdefault((name, key), line)
        if row.get("code") is None:
            continue
        if row.get("missing"):
            entry.setdefault("missing_codes", {})[row["code"]] = row["missing"]
            continue
        entry.setdefault("codes", []).append(row["code"])
        entry.setdefault("options", []).append(row.get("option") or "")
        if row.get("ordinal") is not None:
            entry.setdefault("ordinal", []).append(row["ordinal"])
    return list(entries.values())
