"""Predictions as CSV, one row an option, for R, SPSS, Stata and Excel."""

from __future__ import annotations

from pathlib import Path

from opinioncast.files import atomic_path
from opinioncast.report.report import Report, ReportFormat


def write(report: Report, folder: Path) -> list[Path]:
    """``predictions.csv``; each row says that it is model output."""
    path = folder / "predictions.csv"
    with atomic_path(path) as temporary:
        report.table.long().write_csv(temporary, include_bom=True, float_precision=6)  # for Excel
    return [path]


FORMAT = ReportFormat("csv", "One row an option, for R, SPSS, Stata and Excel.", write, order=20)
