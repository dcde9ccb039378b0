"""``read_wave``: one microdata file, with its codebook and conventions, as a Wave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl

from opinioncast.errors import DataError, OpinioncastError
from opinioncast.files import checksum
from opinioncast.readers import spss_stata, tabular
from opinioncast.readers.codebook import Entry, load_codebook, load_wording
from opinioncast.readers.conventions import PLAIN, Conventions
from opinioncast.readers.describe import Flags, describe, encode
from opinioncast.readers.raw import RawFile, check_kind, check_names
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
) -> Wave:
    """Read an institution's file: SPSS, Stata, SAS, CSV or parquet, told by its ending.

    Args:
        family, wave: who fielded it and which wave or year.
        columns: variables wanted; weights, strata, PSU and respondent id are read besides. None
            reads all. Codebook entries for other variables are then not looked at.
        codebook: overrides what the file says (:mod:`opinioncast.readers.codebook`).
        corrections: variable -> fields that replace those of the codebook's entry.
        wording: questions as asked, for variables the codebook has no question for.
        design: columns of weight, strata and PSU.
        conventions: the institution's missing codes and layout (``gss.CONVENTIONS``, ...).
        encoding: of the file's text; None: as the file says, else Windows-1252 with a note.

    Returns:
        A wave whose ``meta`` has file (name only), sha256, reader, conventions, respondents, notes
        (one line per kind of finding) and flags (kind -> every variable concerned). Weights are
        not checked here.

    Raises:
        DataError: the file is absent, empty, cut short or not what its name says; a variable asked
            for, or named by the codebook, is not in it; the layout is not the conventions'.
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
            hint="unpack it first if it is an archive",
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
) -> Wave:
    reader = _format(path)
    if conventions.layout is not None:
        names = reader.column_names(path, encoding)
        design, key = conventions.layout(names, wave, design)
        respondent_id = respondent_id or key
    wanted = None
    if columns is not None:
        entries = {name: entries[name] for name in columns if name in entries}
        weights = [e.weight for e in entries.values()]
        extra = [design.weight, design.strata, design.psu, respondent_id, *weights]
        wanted = list(dict.fromkeys([*columns, *(c for c in extra if c)]))
    elif reader is tabular and entries:
        # a codebook may name columns by their position: ask for all, those under its names
        wanted = _all_by_name(tabular.column_names(path, encoding), entries)
    raw: RawFile = reader.read_raw(path, wanted, encoding)
    questions = load_wording(wording) if wording else {}
    flags = Flags()
    frame, variables = build(
        raw,
        entries,
        {name: (wording.name, text) for name, (_, text) in questions.items()} if wording else {},
        conventions,
        flags,
    )
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
            "notes": [*raw.notes, *flags.notes()],
            "flags": {kind: list(lines) for kind, lines in flags.found.items()},
        },
    )


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
) -> tuple[pl.DataFrame, dict[str, Variable]]:
    """Respondents and variables of a raw file.

    Args:
        wording: variable -> (source, question as asked).
        code_of: variable -> code of each answer text, for text columns whose codes are known.
    """
    check_names(list(entries), raw.frame.columns, where="codebook")
    entries = dict(entries)
    columns = []
    for column in raw.frame.get_columns():
        entry = entries.get(column.name)
        if entry is not None and entry.codes is not None and column.dtype == pl.String:
            known = (code_of or {}).get(column.name)
            column, entries[column.name] = encode(column, entry, known, flags)
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
        codes, counts = np.unique(values, return_counts=True)
        variables[name] = describe(
            name,
            dict(zip(codes.tolist(), counts.tolist(), strict=True)),
            n_empty=len(column) - len(values),
            label=label,
            value_labels=raw.value_labels.get(name, {}),
            declared=raw.declared.get(name, ()),
            entry=entries.get(name),
            wording=(source, asked),
            conventions=conventions,
            flags=flags,
        )
    return frame, variables
