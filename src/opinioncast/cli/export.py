"""``opinioncast export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from opinioncast.cli.screen import Screen
from opinioncast.errors import ModelError

_console = Screen()


def export(
    adapter: Annotated[Path, typer.Argument(help="Folder of an adapter.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the whole model.")] = Path(
        "opinioncast-out/export"
    ),
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="Its base, where the adapter's own name does not do."),
    ] = None,
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of the weights (default: as the base's files have them)."),
    ] = None,
) -> None:
    """Merge an adapter into its base: a folder that is ready for a model hub.

    GGUF is not written: no library on PyPI converts a model to it. llama.cpp's own script takes
    the folder: python llama.cpp/convert_hf_to_gguf.py FOLDER --outfile MODEL.gguf --outtype f16
    """
    try:
        from opinioncast.jobs.export import export_to_folder
    except ImportError as error:
        raise ModelError(
            "Merging needs PyTorch and PEFT",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[torch]'",
        ) from error
    done = export_to_folder(adapter, out, model=model, dtype=dtype)
    _console.say(
        f"merged and adapted shares differ by {done.apart:.2g} at most, over {done.cells} cells"
    )
    _console.wrote(done.files)
    _console.say(
        f"To publish it: hf upload YOUR-NAME/MODEL {done.folder}. For GGUF: "
        f"python llama.cpp/convert_hf_to_gguf.py {done.folder} --outfile model.gguf --outtype f16"
    )
