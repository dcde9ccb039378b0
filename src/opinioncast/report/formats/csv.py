"""Predictions as CSV, one row an option, for R, SPSS, Stata and Excel."""

from __future__ import annotations

from pathlib import Path

from opinioncast.csv_files import write_csv
from opinioncast.report.report import Report, ReportFormat


def write(report: Report, folder: Path) -> list[Path]:
    """``predictions.csv``; each row says that it is model output."""
    return [write_csv(report.table.long(), folder / "predictions.csv", decimals=6)]


FORMAT = ReportFormat("csv", "One row an option, for R, SPSS, Stata and Excel.", write, order=20)
