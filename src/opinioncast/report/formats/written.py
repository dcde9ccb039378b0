"""What a model wrote for each row, where the method has it write: JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

from opinioncast.files import atomic_path
from opinioncast.report.report import Report, ReportFormat

WRITTEN = "written.jsonl"


def write(report: Report, folder: Path) -> list[Path]:
    """``written.jsonl``; none where nothing was written."""
    if not report.details:
        return []
    path = folder / WRITTEN
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for detail in report.details:
            file.write(json.dumps(detail, ensure_ascii=False) + "\n")
    return [path]


FORMAT = ReportFormat("written", "What a language model wrote, row by row.", write, order=30)
