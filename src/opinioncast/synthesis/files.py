"""Synthetic records on disk: SPSS, Stata, parquet and CSV, each saying what it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyreadstat

from opinioncast.csv_files import write_csv
from opinioncast.files import atomic_path
from opinioncast.synthesis.records import Records
from opinioncast.synthesis.variables import NOT_ASKED, REFUSED, codebook_rows, cut

FILE_LABEL = "SYNTHETIC: drawn from model predictions, no respondents"
"""In every file; within the 64 bytes of SPSS and the 80 of Stata."""
_SPSS_VARIABLE, _SPSS_VALUE, _STATA_VARIABLE = 256, 120, 80
_LETTERS = {NOT_ASKED: "n", REFUSED: "r"}
"""Stata's extended missing values of codes: ``.n`` and ``.r``."""


def write_sav(records: Records, path: Path) -> Path:
    """SPSS: value labels, user-missing codes 98 (not asked) and 99 (refused)."""
    labels = {
        v.name: {c: cut(t, _SPSS_VALUE) for c, t in {**v.values, **v.missing}.items()}
        for v in records.variables
        if v.values
    }
    with atomic_path(path) as temporary:
        pyreadstat.write_sav(
            records.frame,
            str(temporary),
            file_label=FILE_LABEL,
            column_labels={v.name: cut(v.label, _SPSS_VARIABLE) for v in records.variables},
            variable_value_labels=labels,
            missing_ranges={v.name: sorted(v.missing) for v in records.variables if v.missing},
            variable_measure={v.name: "nominal" for v in records.variables if v.values},
            row_compress=True,
            note=FILE_LABEL,
        )
    return path


def write_dta(records: Records, path: Path) -> Path:
    """Stata: value labels, extended missing values ``.n`` (not asked) and ``.r`` (refused)."""
    columns: list[pl.Series] = []
    labels: dict[str, dict[Any, str]] = {}
    missing: dict[str, list[str]] = {}
    for variable in records.variables:
        column = records.frame[variable.name]
        if variable.values:
            labels[variable.name] = dict(variable.values)
        if variable.missing:
            letters = {c: _LETTERS[c] for c in variable.missing}
            values: list[Any] = [letters.get(code, code) for code in column.to_list()]
            column = pl.Series(variable.name, values, dtype=pl.Object)
            missing[variable.name] = sorted(letters.values())
            labels[variable.name] |= {letters[c]: t for c, t in variable.missing.items()}
        columns.append(column)
    with atomic_path(path) as temporary:
        pyreadstat.write_dta(
            pl.DataFrame(columns),
            str(temporary),
            file_label=FILE_LABEL,
            column_labels={v.name: cut(v.label, _STATA_VARIABLE) for v in records.variables},
            variable_value_labels=labels,
            missing_user_values=missing or None,
        )
    return path


def write_parquet(records: Records, path: Path) -> Path:
    """Codes as they are; what they mean is in ``codebook.csv`` beside it."""
    with atomic_path(path) as temporary:
        records.frame.write_parquet(temporary, metadata={"label": FILE_LABEL})
    return path


def write_codes(records: Records, path: Path) -> Path:
    """CSV of codes; what they mean is in ``codebook.csv`` beside it."""
    return write_csv(records.frame, path)


def write_codebook(records: Records, path: Path) -> Path:
    """Every variable and value with its whole text, whatever another format had to cut."""
    schema = {"variable": pl.String, "label": pl.String, "question_id": pl.String,
              "code": pl.Int64, "meaning": pl.String, "missing": pl.Boolean}  # fmt: skip
    return write_csv(pl.DataFrame(codebook_rows(records.variables), schema=schema), path)


WRITERS: dict[str, Callable[[Records, Path], Path]] = {
    "sav": write_sav,
    "dta": write_dta,
    "parquet": write_parquet,
    "csv": write_codes,
}
"""By the ending of the file."""
