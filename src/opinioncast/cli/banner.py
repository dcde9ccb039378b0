"""``opinioncast banner``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from opinioncast.banners.settings import COMPARISONS, CORRECTIONS, BannerSettings
from opinioncast.banners.table import PREDICTION
from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.jobs.banner import FORMATS, BannerRequest, banner_to_files
from opinioncast.report.disclosure import Parties
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.workbook import WorkbookSettings

_console = Screen()
_DEFAULT = BannerSettings()


def banner(
    source: Annotated[
        str,
        typer.Argument(
            help="Parquet of predictions or opinions, the folder of one, or a curation recipe."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/banner"
    ),
    observed: Annotated[
        Path | None, typer.Option(help="What people answered, beside predictions.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--groups", "-g", help="Columns, in this order (default: the table's)."),
    ] = None,
    question: Annotated[
        list[str] | None, typer.Option("--question", "-q", help="Id; repeat (default: all).")
    ] = None,
    write: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(FORMATS)}. Repeat; default: all.")
    ] = None,
    compare: Annotated[
        str, typer.Option(help=f"What is tested: {', '.join(COMPARISONS)}.")
    ] = _DEFAULT.compare,
    correction: Annotated[
        str, typer.Option(help=f"For many comparisons: {', '.join(CORRECTIONS)}.")
    ] = _DEFAULT.correction,
    level: Annotated[float, typer.Option(help="Level of capital letters.")] = _DEFAULT.level,
    low_level: Annotated[
        float, typer.Option(help="Level of small letters; 0: none.")
    ] = _DEFAULT.low_level or 0.0,
    small_base: Annotated[int, typer.Option(help="Bases below are starred.")] = _DEFAULT.small_base,
    suppress_base: Annotated[
        int, typer.Option(help="Columns of fewer respondents are not shown.")
    ] = _DEFAULT.suppress_base,
    nets: Annotated[
        int, typer.Option(help="Options at each end of a scale that make a net; 0: none.")
    ] = _DEFAULT.nets,
    decimals: Annotated[int, typer.Option(help="Of percentages.")] = _DEFAULT.decimals,
    stacked: Annotated[
        bool, typer.Option("--stacked", help="All tables on one sheet, not a sheet each.")
    ] = False,
    title: Annotated[str, typer.Option(help="Of workbook and page.")] = "",
    sponsor: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    conducted_by: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    reviewed_by: Annotated[
        str, typer.Option(help="Who looked at the results: for the disclosure card.")
    ] = "",
    contact: Annotated[str, typer.Option(help="For the disclosure card.")] = "",
    data: Annotated[
        list[Path] | None, typer.Option("--data", "-d", help="Folder of a recipe's files.")
    ] = None,
) -> None:
    """Toplines and banner tables: a workbook, a page, CSV and parquet, with a disclosure card."""
    settings = BannerSettings(
        level=level,
        low_level=low_level or None,
        correction=correction,  # type: ignore[arg-type]  # checked by the settings
        compare=compare,  # type: ignore[arg-type]
        small_base=small_base,
        suppress_base=suppress_base,
        decimals=decimals,
        nets=nets,
    )
    request = BannerRequest(
        observed=observed,
        groups=tuple(groups or ()),
        questions=tuple(question or ()),
        formats=tuple(write or FORMATS),
        layout=WorkbookSettings(stacked=stacked, title=title),
        parties=Parties(sponsor, conducted_by, reviewed_by, contact),
        folders=tuple(data or ()),
    )
    with progress_bar("waves") as progress:
        run = banner_to_files(source, settings, out, request, progress=progress)
    tables, columns = len(run.banner.tables), len(run.banner.columns)
    what = MODEL_OUTPUT if run.banner.kind == PREDICTION else "Survey results"
    _console.heading(what, f": {tables} tables of {columns} columns")
    for note in run.notes:
        _console.say(f"note: {note}")
    for line in run.banner.footer:
        _console.say(line)
    _console.wrote(run.files)
