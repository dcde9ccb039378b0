"""Predictions as banner tables in an Excel workbook, with the observed answers where known."""

from __future__ import annotations

from pathlib import Path

from opinioncast.evaluate.scores import share_cells
from opinioncast.report.report import Report, ReportFormat

NAME = "predictions.xlsx"


def write(report: Report, folder: Path) -> list[Path]:
    """``predictions.xlsx``; ``opinioncast banner`` makes it with other settings."""
    from opinioncast.banners.build import prediction_banner
    from opinioncast.banners.settings import BannerSettings
    from opinioncast.report.disclosure import disclosure_card
    from opinioncast.report.workbook import write_workbook  # xlsxwriter: not for lists of formats

    path = folder / NAME
    if not len(report.table):
        return []
    observed = report.observed
    if observed is not None and not share_cells(observed, report.table):
        observed = None
    banner = prediction_banner(report.table, BannerSettings(), observed=observed)
    return [write_workbook(banner, disclosure_card(report.table), path)]


FORMAT = ReportFormat(
    "workbook",
    "Toplines and banner tables in Excel, a sheet a question.",
    write,
    usual=False,
    order=50,
)
