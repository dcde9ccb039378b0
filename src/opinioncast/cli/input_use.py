"""``opinioncast input-use``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from opinioncast.cli.progress import progress_bar
from opinioncast.errors import InputError
from opinioncast.jobs.evaluation_inputs import read_opinions
from opinioncast.jobs.input_use import input_use_to_files
from opinioncast.jobs.methods import DEFAULT_METHOD, LANGUAGE_MODEL_METHODS
from opinioncast.jobs.predict import PredictSettings, raise_for_problems
from opinioncast.prompts import Layout
from opinioncast.report.chart import MODEL_OUTPUT

_console = Console()


def input_use(
    opinions: Annotated[
        Path, typer.Argument(help="What people answered: parquet, or SubPOP's layout.")
    ],
    method: Annotated[
        str | None, typer.Option(help="As in predict; zero-shot where a model is named.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="A folder, or a hub name.")] = None,
    adapter: Annotated[str | None, typer.Option(help="PEFT adapter of that model.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Of a language model's prompts.")] = None,
    orders: Annotated[
        str | None, typer.Option(help="Option orders averaged, as in predict.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the shuffled options.")] = 0,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/input-use"
    ),
) -> None:
    """How much worse a method is without the group, without the question, with shuffled options."""
    language_model = {"model": model, "adapter": adapter, "layout": layout, "orders": orders}
    given: dict[str, Any] = {k: v for k, v in language_model.items() if v is not None}
    if method is None:
        method = "zero-shot" if model or adapter else DEFAULT_METHOD
    if given and method not in LANGUAGE_MODEL_METHODS:
        raise InputError(
            f"The method {method} uses no language model",
            expected=f"no {', '.join('--' + n for n in given)}",
            found=f"--method {method}",
            hint="add --method zero-shot, or leave the option out",
        )
    settings = PredictSettings(method=method, **given)
    with progress_bar("prompts") as progress:
        run = input_use_to_files(
            read_opinions(opinions), settings, out, seed=seed, progress=progress
        )
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold], compared with survey data\n")
    columns = ("input", "wd", "worse_by", "low", "high", "p_value", "moved", "cells")
    grid = Table(box=None, pad_edge=False)
    for column in columns:
        grid.add_column(column, justify="left" if column == "input" else "right")
    for row in run.table.select(columns).iter_rows():
        grid.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v or "-") for v in row))
    _console.print(grid)
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.problems)
