"""The command ``finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def finetune(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe, or a YAML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the adapter.")] = Path(
        "opinioncast-out/finetune"
    ),
) -> None:
    """Fine-tune a model on an opinion table; the same command resumes a run that was killed."""
    from opinioncast.finetune.recipe import load_finetune
    from opinioncast.jobs.finetune import finetune_to_folder

    wanted, beside = load_finetune(recipe)
    console = Console()

    def show(m) -> None:  # type: ignore[no-untyped-def]
        wd = "-" if m.wd is None else f"{m.wd:.4f}"
        kl = "-" if m.kl is None else f"{m.kl:.4f}"
        print(
            f"update {m.step}/{m.steps} loss {m.loss:.4f} valid wd {wd} kl {kl} "
            f"{m.rows_per_second:.1f} rows/s {m.seconds_left / 60:.1f} min left",
            flush=True,
        )

    run = finetune_to_folder(wanted, out, beside=beside, progress=show)
    for e in run.state.curve:
        if "valid_wd" in e:
            console.print(e)
    console.print(f"best update {run.state.best_step}: {run.state.best_value}; wrote {out}/adapter")
