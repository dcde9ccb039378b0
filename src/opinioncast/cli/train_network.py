"""``opinioncast train-network``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from opinioncast.cli.progress import progress_bar
from opinioncast.cli.screen import Screen
from opinioncast.errors import InputError

_console = Screen()


def train_network(
    table: Annotated[
        Path,
        typer.Argument(
            help="Opinion table to train on: parquet, SubPOP's layout, or a dataset folder."
        ),
    ],
    validation: Annotated[
        Path,
        typer.Option(
            help="Opinion table of other questions: chooses epochs and temperature, and scores."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the network.")] = Path(
        "opinioncast-out/network"
    ),
    kernel: Annotated[
        bool,
        typer.Option("--kernel", help="Kernel regression in closed form instead of the network."),
    ] = False,
    sentence_model: Annotated[
        str | None, typer.Option(help="Folder or hub name; the embedded one when left out.")
    ] = None,
    metric: Annotated[
        Literal["wd", "kl"],
        typer.Option(
            help="What epochs and temperature are chosen by: Wasserstein distance, or KL "
            "divergence, for questions without a scale."
        ),
    ] = "wd",
    members: Annotated[int | None, typer.Option(help="Networks to average.", min=1)] = None,
    epochs: Annotated[int | None, typer.Option(help="At most, for each network.", min=1)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and order.")] = None,
) -> None:
    """Train the small network over sentence embeddings; minutes on a CPU, a few MB."""
    from dataclasses import replace

    from opinioncast.backends.sentences import SentenceModel
    from opinioncast.evaluate.score_lines import score_sentences
    from opinioncast.jobs.evaluation_inputs import read_opinions
    from opinioncast.jobs.train_network import train_network_to_folder
    from opinioncast.methods.embedding.kernel_regression import KernelSettings
    from opinioncast.methods.embedding.training import TrainingSettings

    given: dict[str, Any] = {
        "members": members,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "seed": seed,
    }
    chosen = {k: v for k, v in given.items() if v is not None}
    if kernel and chosen:
        raise InputError(
            "Kernel regression has no such setting",
            expected="--kernel without settings of the network",
            found=", ".join(f"--{name.replace('_', '-')}" for name in chosen),
        )
    settings = KernelSettings() if kernel else replace(TrainingSettings(), **chosen)
    train, held = read_opinions(table), read_opinions(validation)
    encoder = SentenceModel.load(sentence_model)
    with progress_bar("epochs") as progress:
        run = train_network_to_folder(
            train, held, encoder, settings, out, metric=metric, progress=progress
        )
    _console.say(f"{run.model.name} on the validation cells:")
    for sentence in score_sentences(run.scores):
        _console.say(sentence)
    _console.wrote(run.files)
