"""``opinioncast reproduce``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from opinioncast.cli.finetune import describe
from opinioncast.cli.screen import Screen
from opinioncast.errors import ModelError

if TYPE_CHECKING:
    from opinioncast.finetune.trainer import Moment
    from opinioncast.reproduce.plan import Plan
    from opinioncast.reproduce.setting import Setting

_console = Screen()
_OFTEN = 20


def reproduce(
    names: Annotated[
        list[str], typer.Argument(help="Tables and figures (table1, figure5, ...), or all.")
    ],
    setting: Annotated[
        str, typer.Option(help="embedded, paper, or a YAML file: models, tables, trainings.")
    ] = "embedded",
    data: Annotated[
        list[Path], typer.Option("--data", "-d", help="Folder with survey files. Repeatable.")
    ] = [Path()],  # noqa: B006  typer reads the default once
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/reproduce"
    ),
    adapter: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder of an adapter, or shipped: the fine-tuned one where one is needed. "
            "MODEL=FOLDER or MODEL:TRAINING=FOLDER: of a model of the setting. Repeatable."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="FIELD=VALUE of every recipe (seeds=5), or setting.FIELD=VALUE. Repeatable.",
        ),
    ] = None,
    questions: Annotated[
        int | None, typer.Option(help="Draw this many questions of every table.", min=1)
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes of every training.", min=1)] = None,
    seed: Annotated[int, typer.Option(help="Of the questions drawn.")] = 0,
    compile_layers: Annotated[
        bool, typer.Option("--compile", help="Compile layers in training; needs a C++ compiler.")
    ] = False,
    backend: Annotated[
        str | None,
        typer.Option(help="Where predictions run: torch or vllm (default: as the setting says)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the steps with estimated rows; run nothing.")
    ] = False,
    docs: Annotated[
        Path | None, typer.Option(help="Document to write the results into (docs/reproduction.md).")
    ] = None,
) -> None:
    """Make tables and figures of the paper; the same command goes on where it was stopped."""
    try:
        from opinioncast.reproduce.document import check_document, write_document
        from opinioncast.reproduce.run import Reporter, Request
        from opinioncast.reproduce.run import reproduce as run_recipes
    except ImportError as error:
        raise ModelError(
            "Reproducing needs PyTorch and PEFT",
            expected="the packages of the [reproduce] extra",
            found=error,
            hint="pip install 'opinioncast[reproduce]'",
        ) from error
    request = Request(
        names,
        setting=setting,
        data=data,
        out=out,
        adapters=tuple(adapter or ()),
        changes=tuple(changes or ()),
        questions=questions,
        seed=seed,
        epochs=epochs,
        compile=compile_layers,
        backend=backend,
    )
    if dry_run:
        _print_plan(request.plan(), request.load()[1])
        return
    if docs is not None:  # before hours of work, not after
        check_document(docs, request.load()[1].name)
    console = Screen(stderr=True)

    def say(text: str) -> None:
        console.line(text)

    def moment(now: Moment) -> None:
        if now.step % max(1, now.steps // _OFTEN) == 0:
            say(f"  {describe(now)}")

    run = run_recipes(request, Reporter(say, moment))
    _console.wrote(run.made)
    if docs is not None and run.contents:
        for path in write_document(run, docs):
            _console.line(f"wrote {path}")
    run.raise_for_failures()


def _print_plan(plan: Plan, setting: Setting) -> None:
    machine = setting.machine
    grid = Table(box=None, pad_edge=False)
    for column in ("step", "of", "rows", "hours", "GB", "first for"):
        right = column in ("rows", "hours", "GB")
        width = 26 if column == "of" else None
        grid.add_column(column, justify="right" if right else "left", min_width=width)
    for step in plan.steps:
        text = f"{step.name} ({step.text})" if step.text and step.kind == "train" else step.name
        needs = step.needs
        hours = "" if needs.hours is None else f"{needs.hours:.2g}"
        rows = f"{step.rows:,}" if step.rows else ""
        grid.add_row(step.kind, text, rows, hours, needs.words(), step.wanted_by)
    _console.print(grid)
    _console.say(
        f"\nabout {plan.rows('train'):,} rows of training and {plan.rows('predict'):,} prompts "
        "(as many as are not in the cache, nor done before)"
    )
    if plan.hours is not None and machine is not None:
        _console.say(
            f"about {plan.hours:,.1f} hours of models, estimated for {machine.name}: "
            f"{machine.teraflops:g} Tflop/s, {machine.memory_gb:g} GB each ({machine.source}); GB: "
            "memory that a step needs, (n x) spread over so many of them"
        )
    for what, names in (("file", plan.files), ("model", plan.models)):
        for name, how in names.items():
            _console.say(f"missing {what}: {name}: {how}")
    if not plan.files and not plan.models:
        _console.say("nothing is missing")
