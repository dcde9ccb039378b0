"""``opinioncast groups``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from opinioncast.survey import standard_attributes
from opinioncast.survey.groups import builtin_schemes

_console = Console()


def groups() -> None:
    """List the attributes and groups that --groups knows."""
    grid = Table(box=None, pad_edge=False)
    for column in ("attribute", "meaning", "groups"):
        grid.add_column(column, overflow="fold")
    for attribute in standard_attributes().values():
        grid.add_row(attribute.name, attribute.label, "; ".join(attribute.groups))
    _console.print(grid)
    _console.print(f"\nschemes: {', '.join(builtin_schemes())}, total")
