"""``opinioncast groups``."""

from __future__ import annotations

from rich.table import Table

from opinioncast.cli.screen import Screen
from opinioncast.survey import standard_attributes
from opinioncast.survey.groups import builtin_schemes

_console = Screen()


def groups() -> None:
    """List the attributes and groups that --groups knows."""
    grid = Table(box=None, pad_edge=False)
    for column in ("attribute", "meaning", "groups"):
        grid.add_column(column, overflow="fold")
    for attribute in standard_attributes().values():
        grid.add_row(attribute.name, attribute.label, "; ".join(attribute.groups))
    _console.print(grid)
    _console.say(f"\nschemes: {', '.join(builtin_schemes())}, total")
