"""``opinioncast predict``, ``demo`` and ``groups``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from opinioncast.cli.progress import progress_bar
from opinioncast.jobs.demo import run_demo
from opinioncast.jobs.methods import METHODS, MethodSettings
from opinioncast.jobs.predict import (
    EMBEDDED,
    PredictSettings,
    predict_questionnaire,
    raise_for_problems,
)
from opinioncast.prompts import Format, Layout
from opinioncast.readers.questionnaire import read_questionnaire
from opinioncast.report.chart import MODEL_OUTPUT
from opinioncast.report.terminal import decimal, prediction_table, score_table
from opinioncast.survey import load_groups, standard_attributes
from opinioncast.survey.groups import builtin_schemes

_console = Console()


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
    method: Annotated[
        str, typer.Option("--method", help=f"One of {', '.join(METHODS)}.")
    ] = "zero-shot",
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
    train: Annotated[
        Path | None, typer.Option(help="Opinion table for the methods nearest and total.")
    ] = None,
    network: Annotated[
        Path | None, typer.Option(help="Folder of a trained network; the shipped one otherwise.")
    ] = None,
    blend: Annotated[
        float, typer.Option(help="Share of the network in a blend.", min=0.01, max=0.99)
    ] = 0.5,
) -> None:
    """Predict a questionnaire for subpopulations."""
    scheme = load_groups(*groups)
    asked = read_questionnaire(questionnaire, scheme)
    settings = PredictSettings(
        method=method,
        methods=MethodSettings(train=train, network=network, blend=blend),
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


def groups() -> None:
    """List the attributes and groups that --groups knows."""
    grid = Table(box=None, pad_edge=False)
    for column in ("attribute", "meaning", "groups"):
        grid.add_column(column, overflow="fold")
    for attribute in standard_attributes().values():
        grid.add_row(attribute.name, attribute.label, "; ".join(attribute.groups))
    _console.print(grid)
    _console.print(f"\nschemes: {', '.join(builtin_schemes())}, total")
