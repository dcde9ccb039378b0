"""``opinioncast split`` and ``opinioncast overlap``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from opinioncast.cli.screen import Screen
from opinioncast.errors import InputError
from opinioncast.jobs.convert import counted
from opinioncast.jobs.division import overlap_to_folder, split_to_folder

_console = Screen()
_TABLE = "Opinion table: parquet, SubPOP's JSON lines or CSV, or a dataset folder."


def split(
    table: Annotated[Path, typer.Argument(help=_TABLE)],
    part: Annotated[
        list[str], typer.Option(help="A part and its share of the rows: train:0.8 (repeatable).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the parts.")] = Path(
        "opinioncast-out/split"
    ),
    by: Annotated[
        Literal["question", "wave", "family"], typer.Option(help="What is never in two parts.")
    ] = "question",
    seed: Annotated[int, typer.Option(help="Of the draw.")] = 0,
    meaning: Annotated[
        bool,
        typer.Option(help="Keep questions that mean the same together (needs a sentence model)."),
    ] = True,
) -> None:
    """Divide an opinion table into parts that share no question."""
    encode = None
    if meaning:
        from opinioncast.backends.sentences import SentenceModel

        encode = SentenceModel.load().encode
    done = split_to_folder(table, out, _shares(part), by=by, seed=seed, encode=encode)
    for name, rows in done.parts.items():
        _console.say(f"{name}: {counted(rows)}")
    _console.wrote(done.files)


def overlap(
    table: Annotated[Path, typer.Argument(help=_TABLE)],
    against: Annotated[list[Path], typer.Option(help="Tables to keep apart from (repeatable).")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the rest.")] = Path(
        "opinioncast-out/overlap"
    ),
    sentence_model: Annotated[
        str | None, typer.Option(help="Folder or hub name; the embedded one when left out.")
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Cosine from which two questions are the same.", min=0, max=1),
    ] = None,
) -> None:
    """Take out of an opinion table the questions that others ask too."""
    from opinioncast.backends.sentences import SentenceModel
    from opinioncast.survey.sameness import MINILM_THRESHOLD

    encoder = SentenceModel.load(sentence_model)
    chosen = MINILM_THRESHOLD if threshold is None else threshold
    done = overlap_to_folder(table, against, out, encoder.encode, threshold=chosen)
    left = done.parts["table"]
    taken = 0 if done.removed is None else done.removed.height
    _console.say(f"{taken} questions taken out; left: {counted(left)}")
    _console.wrote(done.files)


def _shares(parts: list[str]) -> dict[str, float]:
    """``NAME:SHARE`` each."""
    found: dict[str, float] = {}
    for text in parts:
        name, _, share = text.rpartition(":")
        try:
            number = float(share)
        except ValueError:
            name = ""
        if not name or name in found or Path(name).name != name:
            raise InputError(
                "A part cannot be read",
                where="--part",
                expected="a name of its own and a share: train:0.8",
                found=text,
            )
        found[name] = number
    return found
