"""Predictions as charts, with what people answered below where that is known."""

from __future__ import annotations

from pathlib import Path

from opinioncast.report.report import Report, ReportFormat


def write(report: Report, folder: Path) -> list[Path]:
    """The first charts of :func:`opinioncast.report.chart.draw_charts`."""
    from opinioncast.report.chart import draw_charts  # matplotlib: not for who lists formats

    return draw_charts(report.table, folder, observed=report.observed, progress=report.progress)


FORMAT = ReportFormat("chart", "A chart of the first 18 questions by group.", write, order=40)
