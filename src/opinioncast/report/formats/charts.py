"""Predictions as charts, every question, for who asks for them: a sheet takes seconds."""

from __future__ import annotations

from pathlib import Path

from opinioncast.report.report import Report, ReportFormat


def write(report: Report, folder: Path) -> list[Path]:
    """All charts of :func:`opinioncast.report.chart.draw_charts`."""
    from opinioncast.report.chart import draw_charts  # matplotlib: not for who lists formats

    return draw_charts(
        report.table, folder, observed=report.observed, most=None, progress=report.progress
    )


FORMAT = ReportFormat(
    "charts", "A chart of every question by group, six to a sheet.", write, usual=False, order=41
)
