"""``read_wave``: one microdata file, with its codebook and conventions, as a Wave."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import DataError, OpinioncastError
from opinioncast.files import checksum
from opinioncast.readers import spss_stata, tabular
from opinioncast.readers.codebook import Code, Entry, load_codebook, load_wording
from opinioncast.readers.conventions import PLAIN, Conventions
from opinioncast.readers.describe import Flags, describe
from opinioncast.readers.file_design import check_ids, file_weight, unnamed_design
from opinioncast.readers.file_labels import FileLabels
from opinioncast.readers.labels import clean_label, folded, reading
from opinioncast.readers.missing_answers import MissingRule, summaries
from opinioncast.readers.raw import RawFile, check_kind, check_names
from opinioncast.readers.response_sets import mark_sets
from opinioncast.readers.text_codes import (
    Numbered,
    by_codebook,
    by_labels,
    number_of,
    resolve,
    with_options,
)
from opinioncast.survey.wave import Design, Variable, Wave


def read_wave(
    path: str | Path,
    *,
    family: str,
    wave: str,
    columns: Sequence[str] | None = None,
    codebook: str | Path | None = None,
    corrections: Mapping[str, Mapping[str, Any]] | None = None,
    wording: str | Path | None = None,
    design: Design | None = None,
    respondent_id: str | None = None,
    conventions: Conventions = PLAIN,
    encoding: str | None = None,
    missing: MissingRule | None = None,
    decimal: str | None = None,
    id_within: Sequence[str] = (),
) -> Wave:
    """Read an institution's file: SPSS, Stata, SAS, CSV or parquet, told by its ending.

    Args:
        family, wave: who fielded it and which wave or year.
        columns: variables wanted; weights, strata, PSU and respondent id are read besides. None
            reads all. Codebook entries for other variables are then not looked at.
        codebook: overrides what the file says (:mod:`opinioncast.readers.codebook`).
        corrections: variable -> fields that replace those of the codebook's entry.
        wording: questions as asked, for variables the codebook has no question for.
        design: columns of weight, strata and PSU. Without a weight, an SPSS file's own (WEIGHT BY)
            is taken, and a note says so; ``UNWEIGHTED`` for none.
        conventions: the institution's missing codes and layout (``gss.CONVENTIONS``, ...).
        encoding: of the file's text; None: as the file says, else Windows-1252 with a note.
        missing: a person's word on labels that read like missing answers.
        decimal: "," or "." in the numbers of a CSV file; None: as the numbers themselves show.
        id_within: columns within whose values a respondent id is unique (the year of a file of
            several years).

    Returns:
        A wave whose ``meta`` has file (name only), sha256, reader, conventions, respondents, notes
        (one line per kind of finding), flags (kind -> every variable concerned),
        missing_decisions (one per code whose label reads like a missing answer that nobody
        declared), design_in_file (columns that look like a design nobody named) and design_notes
        (the notes on them). Weights are not checked here.

    Raises:
        DataError: the file is absent, empty, encrypted, cut short or not what its name says; a
            variable asked for, or named by the codebook, is not in it; the layout is not the
            conventions'; two codes are one value; a respondent id is there twice; the wording file
            is of another file.
    """
    path = Path(path)
    try:
        return _read_wave(
            path,
            family=family,
            wave=wave,
            columns=columns,
            entries=load_codebook(Path(codebook) if codebook else None, corrections),
            wording=Path(wording) if wording else None,
            design=design or Design(),
            respondent_id=respondent_id,
            conventions=conventions,
            encoding=encoding,
            missing=missing or MissingRule(),
            decimal=decimal,
            id_within=id_within,
        )
    except OpinioncastError as error:
        if error.where and (path.name in error.where or str(codebook) in error.where):
            raise
        raise error.at(path.name) from error


def column_names(path: str | Path, encoding: str | None = None) -> list[str]:
    """The variables of a microdata file, in order, without reading its data where it can be helped.

    Raises:
        DataError: as :func:`read_wave`.
    """
    path = Path(path)
    return list(_format(path).column_names(path, encoding))


_SHEET = "save the sheet as CSV (UTF-8), in a spreadsheet program"
_OF_R = "save it from R: haven::write_sav(data, 'file.sav'), or write.csv(data, 'file.csv')"
_FIXED = (
    "if its columns are of fixed width, read it with the setup file beside it in SPSS, Stata or R, "
    "and save it as .sav or .dta"
)
_OTHER_KINDS = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys((".rds", ".rda", ".rdata"), _OF_R),
    **dict.fromkeys((".dat", ".asc"), _FIXED),
}


def _format(path: Path) -> ModuleType:
    """The module that reads this ending; both have ``column_names`` and ``read_raw``."""
    suffix = path.suffix.casefold()
    known = (*spss_stata.SUFFIXES, *tabular.SUFFIXES)
    if suffix not in known:
        raise DataError(
            "A survey file is of an unknown kind",
            where=path.name,
            expected=", ".join(known),
            found=suffix or "no ending",
            hint=_OTHER_KINDS.get(suffix, "unpack it first if it is an archive"),
        )
    check_kind(path)
    return spss_stata if suffix in spss_stata.SUFFIXES else tabular


def _read_wave(
    path: Path,
    *,
    family: str,
    wave: str,
    columns: Sequence[str] | None,
    entries: Mapping[str, Entry],
    wording: Path | None,
    design: Design,
    respondent_id: str | None,
    conventions: Conventions,
    encoding: str | None,
    missing: MissingRule,
    decimal: str | None,
    id_within: Sequence[str],
) -> Wave:
    reader = _format(path)
    if conventions.layout is not None:
        names = reader.column_names(path, encoding)
        design, key = conventions.layout(names, wave, design)
        respondent_id = respondent_id or key
    wanted = None
    flags = Flags()
    design, said = file_weight(path, design)
    if columns is not None:
        entries = _as_spelt(entries, columns, flags)
        entries = {name: entries[name] for name in columns if name in entries}
        weights = [e.weight for e in entries.values()]
        extra = [design.weight, design.strata, design.psu, respondent_id, *id_within, *weights]
        wanted = list(dict.fromkeys([*columns, *(c for c in extra if c)]))
    elif reader is tabular and entries:
        # a codebook may name columns by their position: ask for all, those under its names
        present = tabular.column_names(path, encoding)
        entries = _as_spelt(entries, present, flags)
        wanted = _all_by_name(present, entries)
    raw: RawFile = (
        tabular.read_raw(path, wanted, encoding, decimal)
        if reader is tabular
        else reader.read_raw(path, wanted, encoding)
    )
    if not raw.frame.height:
        raise DataError(
            "A survey file has no respondents",
            where=path.name,
            expected="a row per respondent below the header",
            found=f"{raw.frame.width} columns, no row",
        )
    if reader is not tabular:
        entries = _as_spelt(entries, raw.frame.columns, flags)
    names = list(reader.column_names(path, encoding)) if wording else []
    frame, variables = build(
        raw,
        entries,
        _wording(wording, names, flags) if wording else {},
        conventions,
        flags,
        rule=missing,
    )
    _unmet_labels(raw, missing, flags)
    frame, variables = mark_sets(frame, variables, raw, flags)
    if respondent_id is not None:
        check_ids(frame, respondent_id, id_within)
    if said and design.weight is not None:
        # as SPSS does: whoever has no weight counts nothing
        frame = frame.with_columns(pl.col(design.weight).fill_null(0.0))
    seen = unnamed_design(frame, variables, raw.labels, design)
    return Wave(
        family=family,
        wave=wave,
        respondents=frame,
        variables=variables,
        design=design,
        respondent_id=respondent_id,
        meta={
            "file": path.name,
            "sha256": checksum(path),
            "reader": reader.__name__.rpartition(".")[2],
            "conventions": conventions.name,
            "respondents": frame.height,
            "notes": [
                *raw.notes,
                *said,
                *seen.notes,
                *flags.notes(),
                *summaries([d.row() for d in flags.decisions]),
            ],
            "flags": {kind: list(lines) for kind, lines in flags.found.items()},
            "missing_decisions": [d.row() for d in flags.decisions],
            "design_in_file": seen.columns,
            "design_notes": list(seen.notes),
        },
    )


def _as_spelt(entries: Mapping[str, Entry], names: Sequence[str], flags: Flags) -> dict[str, Entry]:
    """Entries of an archive's list by the file's spelling, where one variable alone is so spelt."""
    if not any(entry.any_case for entry in entries.values()):
        return dict(entries)
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    present = set(names)
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        near = alike.get(name.casefold(), [])
        if entry.any_case and name not in present and len(near) == 1 and near[0] not in entries:
            flags.add("codebook entries taken though the case differs", near[0], name)
            name, entry = near[0], replace(entry, variable=near[0])
        found[name] = entry
    return found


def _wording(path: Path, names: Sequence[str], flags: Flags) -> dict[str, tuple[str, str]]:
    """Variable -> (source, question) of a wording file, by the file's spelling of the variable.

    Raises:
        DataError: no variable of the wording file is in the data.
    """
    asked = {name: text for name, (_, text) in load_wording(path).items()}
    present = set(names)
    if asked and not present & set(asked):
        check = {n.casefold() for n in names}
        if not any(a.casefold() in check for a in asked):
            check_names(list(asked), names, where=f"wording file {path.name}")
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(name)
    found: dict[str, tuple[str, str]] = {}
    for name, text in asked.items():
        if name in present:
            found[name] = (path.name, text)
            continue
        near = [n for n in alike.get(name.casefold(), []) if n not in asked]
        if len(near) == 1:
            found[near[0]] = (path.name, text)
            flags.add("questions of the wording file taken though the case differs", near[0], name)
        else:
            flags.add("questions of the wording file whose variable the data lack", name)
    return found


def _unmet_labels(raw: RawFile, rule: MissingRule, flags: Flags) -> None:
    """Flag labels of a person's rule on missing answers that stand nowhere in the file."""
    if not rule.labels:
        return
    labels = raw.everywhere()[0] if raw.everywhere else raw.value_labels
    known = {folded(clean_label(t, c)) for each in labels.values() for c, t in each.items()}
    known |= {folded(t) for each in raw.text_labels.values() for t in each.values()}
    for label in rule.labels:
        if label not in known:
            near = difflib.get_close_matches(label, known, n=1)
            like = f'like it: "{near[0]}"' if near else ""
            flags.add("labels of `missing` in the recipe that the file does not have", label, like)


def _all_by_name(names: Sequence[str], entries: Mapping[str, Entry]) -> list[str]:
    """Every column, those that the codebook gives by position under the codebook's name."""
    absent = [name for name in entries if name not in set(names)]
    by_place = {tabular.position(name): name for name in absent}
    named = [by_place.get(i, name) for i, name in enumerate(names, start=1)]
    return named + [name for name in absent if name not in named]


def build(
    raw: RawFile,
    entries: Mapping[str, Entry],
    wording: Mapping[str, tuple[str, str]],
    conventions: Conventions,
    flags: Flags,
    code_of: Mapping[str, Mapping[str, float]] | None = None,
    rule: MissingRule | None = None,
) -> tuple[pl.DataFrame, dict[str, Variable]]:
    """Respondents and variables of a raw file.

    Args:
        wording: variable -> (source, question as asked).
        code_of: variable -> code of each answer text, for text columns whose codes are known.
        rule: a person's word on labels that read like missing answers.

    Raises:
        DataError: the codebook names a variable that is not there, or two of its codes are one.
    """
    check_names(list(entries), raw.frame.columns, where="codebook")
    entries = dict(entries)
    rule = rule or MissingRule()

    @cache
    def file() -> FileLabels:
        """Asked for only where a label needs it: it may take another read of the dictionary."""
        whole = raw.everywhere() if raw.everywhere else (raw.value_labels, raw.declared)
        return FileLabels.of(*whole)

    columns = []
    numbered: dict[str, Numbered] = {}
    for column in raw.frame.get_columns():
        name = column.name
        entry = entries.get(name)
        if column.dtype == pl.String:
            found = _number(column, entry, raw, (code_of or {}).get(name), flags)
            if found is not None:
                column, numbered[name] = found.column, found
                if found.entry is not None:
                    entries[name] = found.entry
        elif entry is not None:
            texts = raw.value_labels.get(name, {})
            cleaned = {c: clean_label(t, c) for c, t in texts.items() if t.strip()}
            entries[name] = resolve(entry, cleaned)
        columns.append(column)
    frame = pl.DataFrame(columns)
    variables = {}
    for column in columns:
        name = column.name
        label = raw.labels.get(name, "")
        source, asked = wording.get(name, ("", ""))
        if not asked and conventions.question_in_label is not None:
            source, asked = "variable label", conventions.question_in_label(label)
        if column.dtype == pl.String:
            variables[name] = Variable(
                name=name,
                label=label,
                wording=asked,
                system_missing=conventions.system_missing,
                wording_source=f"verbatim: {source}" if asked else "",
            )
            continue
        values = column.to_numpy()
        values = values[~np.isnan(values)]
        codes, tally = np.unique(values, return_counts=True)
        counts: dict[float, int] = dict(zip(codes.tolist(), tally.tolist(), strict=True))
        variables[name] = describe(
            name,
            counts,
            n_empty=len(column) - len(values),
            label=label,
            value_labels=numbered[name].labels
            if name in numbered
            else raw.value_labels.get(name, {}),
            declared=numbered[name].declared if name in numbered else raw.declared.get(name, ()),
            entry=entries.get(name),
            wording=(source, asked),
            conventions=conventions,
            flags=flags,
            file=file,
            rule=rule,
            strays=numbered[name].strays if name in numbered else None,
        )
        if name in numbered:
            variables[name] = replace(variables[name], texts=numbered[name].texts)
    return frame, variables


def _number(
    column: pl.Series,
    entry: Entry | None,
    raw: RawFile,
    code_of: Mapping[str, float] | None,
    flags: Flags,
) -> Numbered | None:
    """A text column as codes, by the codebook or the file's labels; None: it stays text."""
    labels = raw.text_labels.get(column.name, {})
    declared = raw.text_declared.get(column.name, ())
    if entry is None or entry.codes is None:
        return by_labels(column, labels, declared, entry, flags) if labels else None
    if labels:
        entry = with_options(entry, labels)
        listed = {str(c) for c in (*(entry.codes or ()), *entry.missing_codes)}
        listed |= {f"{c:g}" for c in (*(entry.codes or ()), *entry.missing_codes) if c != str(c)}
        more: dict[Code, str] = {
            text.strip(): label
            for text, label in labels.items()
            if text.strip() not in listed
            and (reading(label) is not None or any(low <= text <= high for low, high in declared))
            and (number_of(text) is None or f"{number_of(text):g}" not in listed)
        }
        entry = replace(entry, missing_codes={**entry.missing_codes, **more})
    return by_codebook(column, entry, code_of, flags)
