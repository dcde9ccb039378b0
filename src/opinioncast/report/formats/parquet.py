"""Predictions as parquet, one row a cell, with a sidecar: what every other command reads."""

from __future__ import annotations

from pathlib import Path

from opinioncast.report.report import Report, ReportFormat


def write(report: Report, folder: Path) -> list[Path]:
    """``predictions.parquet`` and its sidecar."""
    return [report.table.write(folder / "predictions.parquet")]


FORMAT = ReportFormat("parquet", "One row a cell, with its provenance.", write, order=10)
