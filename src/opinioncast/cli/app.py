"""``opinioncast app``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def app(
    folder: Annotated[
        Path | None,
        typer.Option(help="Where projects are kept (default: in the user's data folder)."),
    ] = None,
    port: Annotated[int, typer.Option(help="Of this machine.", min=1024, max=65535)] = 8501,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
) -> None:
    """Open the page: an instrument in, predictions to look at, a workbook out."""
    from opinioncast.jobs.serve_page import serve_page

    serve_page(folder, port=port, browser=browser)
