"""``opinioncast methods``."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from opinioncast.backends.catalogue import CATALOGUE
from opinioncast.backends.declaration import backend_kinds
from opinioncast.methods.declaration import method_kinds
from opinioncast.questionnaires.declaration import instrument_formats
from opinioncast.report.report import report_formats

_console = Console()


def methods() -> None:
    """List methods, backends, models that ship, and formats, with the options each takes."""
    _show("method", [(k.name, k.help, _flags(k)) for k in method_kinds()])
    _show("backend", [(k.name, k.help, _flags(k)) for k in backend_kinds()])
    _show(
        "model",
        [
            (m.name, f"{m.label}, {m.licence}", "here" if m.installed else m.how_to_get)
            for m in CATALOGUE.values()
        ],
    )
    _show("questionnaire", [(k.name, k.help, " ".join(k.endings)) for k in instrument_formats()])
    _show("--write", [(k.name, k.help, "") for k in report_formats()])


def _flags(kind: Any) -> str:
    return " ".join(option.flag for option in kind.options.values())


def _show(what: str, rows: list[tuple[str, str, str]]) -> None:
    grid = Table(box=None, pad_edge=False)
    for column in (what, "what it is", "options"):
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    _console.print(grid)
    _console.print()
