"""Commands, and what happens to an error: one screen, a status, no traceback unless asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from opinioncast import __version__
from opinioncast.cli.progress import progress_bar
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import OpinioncastError
from opinioncast.files import atomic_path
from opinioncast.jobs.curate import bounds_of, curate_to_files, summary
from opinioncast.jobs.demo import run_demo
from opinioncast.jobs.predict import (
    EMBEDDED,
    PredictSettings,
    open_backend,
    predict_questionnaire,
    raise_for_problems,
)
from opinioncast.prompts import Format, Layout
from opinioncast.readers.questionnaire import read_questionnaire
from opinioncast.report.chart import MODEL_OUTPUT
from opinioncast.report.terminal import decimal, prediction_table, score_table
from opinioncast.survey import load_groups, standard_attributes
from opinioncast.survey.groups import builtin_schemes

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Predict how subpopulations answer a survey question. Predictions are model output; they "
    "are not survey data and do not stand for respondents.",
)
_console = Console()
_INTERRUPTED = 130  # what typer makes of Ctrl-C


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"opinioncast {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error arose.")
    ] = False,
) -> None:
    """Options before the command. ``--traceback`` is read by :func:`main`."""


@app.command()
def predict(
    questionnaire: Annotated[
        Path, typer.Argument(help="YAML, CSV or XLSX: question, options, scale, observed.")
    ],
    groups: Annotated[
        list[str],
        typer.Option(
            "--groups",
            "-g",
            help="A scheme (paper22, unseen, all, total), a group file, or an expression such as "
            "'SEX=Female & RACE=Black'. Repeat to join several.",
        ),
    ] = ["paper22"],  # noqa: B006  typer reads the default once
    model: Annotated[
        str, typer.Option("--model", "-m", help="embedded, a folder, or a hub name.")
    ] = EMBEDDED,
    adapter: Annotated[
        str | None, typer.Option("--adapter", help="Folder of a PEFT adapter.")
    ] = None,
    layout: Annotated[
        Layout, typer.Option("--layout", help="What stands first in the prompt.")
    ] = Layout.QUESTION_FIRST,
    format: Annotated[
        Format, typer.Option("--format", "-f", help="How the group is described.")
    ] = Format.QA,
    orders: Annotated[
        str,
        typer.Option("--orders", help="Option orders averaged: given, reversed, or a number."),
    ] = "reversed",
    refusal: Annotated[
        bool, typer.Option("--refusal/--no-refusal", help='Show "Refused" as the last option.')
    ] = True,
    chat: Annotated[bool, typer.Option("--chat", help="Use the model's chat template.")] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out"
    ),
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; else chosen.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16; else by device.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Reuse and keep finished rows.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of random option orders.")] = 0,
) -> None:
    """Predict a questionnaire for subpopulations."""
    scheme = load_groups(*groups)
    asked = read_questionnaire(questionnaire, scheme)
    settings = PredictSettings(
        model=model,
        adapter=adapter,
        layout=layout,
        format=format,
        orders=orders,
        refusal=refusal,
        chat=chat,
        device=device,
        dtype=dtype,
        use_cache=cache,
        seed=seed,
    )
    with progress_bar("prompts") as progress:
        run = predict_questionnaire(asked, scheme, settings, out, progress=progress)
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold] ({run.prediction.record['model']})\n")
    _console.print(prediction_table(run.prediction.table))
    if run.scores is not None:
        _console.print("Mean Wasserstein distance to the observed answers (0 to 1)")
        _console.print(score_table(run.scores, "group"))
    unused = 0 if asked.observed is None else len(asked.observed)
    unused = run.scores.unpredicted if run.scores else unused
    if unused:
        _console.print(f"{unused} observed distributions are of groups that were not asked for")
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.prediction.problems, run.files[-1])


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/demo"
    ),
) -> None:
    """Predict shipped General Social Survey questions and compare with what people answered."""
    with progress_bar("prompts") as progress:
        run = run_demo(out, progress=progress)
    means = run.scores.mean()
    low, high = run.scores.interval()
    _console.print(f"[bold]{MODEL_OUTPUT}[/bold] ({run.prediction.record['model']})\n")
    _console.print("Mean Wasserstein distance to what people answered (0 = equal)")
    _console.print(score_table(run.scores, "group"))
    _console.print(
        f"\nall {means['cells']} cells: model {decimal(means['wd'])} "
        f"(95% over questions {low:.3f} to {high:.3f}), uniform guess "
        f"{decimal(means['wd_uniform'])}, sampling noise {decimal(means['wd_noise'])}\n"
    )
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)
    raise_for_problems(run.prediction.problems, run.files[-1])


_Data = Annotated[
    list[Path], typer.Option("--data", "-d", help="Folder with the files. Repeat for several.")
]
_Partial = Annotated[bool, typer.Option("--partial", help="Go on without waves that are absent.")]


@app.command()
def curate(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    data: _Data = [Path()],  # noqa: B006  typer reads the default once
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/curate"
    ),
    partial: _Partial = False,
    refine_with: Annotated[
        str | None,
        typer.Option(help="Refine wordings with this model (folder or hub name), not by rules."),
    ] = None,
) -> None:
    """Turn survey microdata into an opinion table, with a report of every decision."""
    wanted, beside = load_curation(recipe)
    generate = None
    if refine_with is not None:
        generate = open_backend(PredictSettings(model=refine_with)).generate
    with progress_bar("waves") as progress:
        run = curate_to_files(
            wanted, [*data, beside], out, partial=partial, generate=generate, progress=progress
        )
    rows = summary(run.curation)
    grid = Table(box=None, pad_edge=False)
    for column in rows[0]:
        grid.add_column(column, justify="left" if column == "wave" else "right")
    for row in rows:
        grid.add_row(*map(str, row.values()))
    _console.print(grid)
    if run.removed is not None:
        _console.print(f"{run.removed.height} questions removed: the evaluation asks the same")
    for name in run.curation.absent:
        _console.print(f"absent: {name}", highlight=False)
    for file in run.files:
        _console.print(f"wrote {file}", highlight=False, soft_wrap=True)


@app.command()
def bounds(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    data: _Data = [Path()],  # noqa: B006
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV file.")] = Path(
        "opinioncast-out/bounds.csv"
    ),
    partial: _Partial = False,
    replicates: Annotated[int | None, typer.Option(help="Bootstrap replicates.", min=1)] = None,
    resample: Annotated[
        str | None, typer.Option(help="respondents (the paper's way) or psus (design-based).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of the bootstrap.")] = None,
) -> None:
    """Uniform upper bound and human lower bound of a recipe's table, per group and overall."""
    wanted, beside = load_curation(recipe)
    given = {"replicates": replicates, "resample": resample, "seed": seed}
    wanted = wanted.with_bounds({k: v for k, v in given.items() if v is not None})
    with progress_bar("waves") as progress:
        table = bounds_of(wanted, [*data, beside], partial=partial, progress=progress)
    grid = Table(box=None, pad_edge=False)
    for column in table.columns:
        grid.add_column(column, justify="left" if column in ("attribute", "group") else "right")
    for row in table.iter_rows():
        grid.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row))
    _console.print(grid)
    with atomic_path(out) as temporary:
        table.write_csv(temporary)
    _console.print(f"wrote {out}", highlight=False, soft_wrap=True)


@app.command()
def groups() -> None:
    """List the attributes and groups that --groups knows."""
    grid = Table(box=None, pad_edge=False)
    for column in ("attribute", "meaning", "groups"):
        grid.add_column(column, overflow="fold")
    for attribute in standard_attributes().values():
        grid.add_row(attribute.name, attribute.label, "; ".join(attribute.groups))
    _console.print(grid)
    _console.print(f"\nschemes: {', '.join(builtin_schemes())}, total")


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command and turn errors into one screen and an exit status.

    Status 0: all there. 2: the input or machine does not allow it. 3: the run ended with rows
    missing or without label mass. 130: interrupted. 1: a fault of this program.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, standalone_mode=True)
    except OpinioncastError as error:
        if "--traceback" in arguments:
            raise
        print(f"opinioncast: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print(
                "opinioncast: interrupted; finished work is kept, the same command goes on from "
                "here",
                file=sys.stderr,
            )
        raise
    except Exception as error:
        if "--traceback" in arguments:
            raise
        print(
            f"opinioncast: a fault of the program itself ({type(error).__name__}: {error})\n"
            "  what to do: run `opinioncast --traceback ...` and report what it prints",
            file=sys.stderr,
        )
        sys.exit(1)
