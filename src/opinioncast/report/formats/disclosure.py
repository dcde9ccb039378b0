"""The disclosure card of predictions: AAPOR's eleven items, ESOMAR's questions."""

from __future__ import annotations

from pathlib import Path

from opinioncast.report.disclosure import disclosure_card, write_card
from opinioncast.report.report import Report, ReportFormat

NAME = "disclosure.md"


def write(report: Report, folder: Path) -> list[Path]:
    """``disclosure.md``; none where nothing was predicted."""
    if not len(report.table):
        return []
    return [write_card(disclosure_card(report.table), folder / NAME)]


FORMAT = ReportFormat(
    "disclosure", "What to tell with results, in AAPOR's and ESOMAR's order.", write, usual=False,
    order=60,
)  # fmt: skip
