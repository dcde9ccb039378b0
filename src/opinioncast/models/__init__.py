"""Trained weights that come with the package, each with its card, data terms and scores."""

from importlib import resources
from pathlib import Path

_FOLDER = Path(str(resources.files(__name__)))

SHIPPED = "shipped"
"""In place of an adapter's folder: the one that comes with the package."""

SHIPPED_ADAPTER = _FOLDER / "adapter"
"""Of the embedded language model, trained on the recipe ``training``; see its card."""

SHIPPED_NETWORK = _FOLDER / "kernel"
"""Kernel regression on the embedded sentence model, trained on the recipe ``training``."""

SHIPPED_TRAINING = _FOLDER / "training" / "opinions.parquet"
"""The table that the kernel regression and the shipped adapter were trained on: group-level shares.
The nearest questions and few-shot examples are taken from it where no other is given."""

SHIPPED_LIBRARY = _FOLDER / "library"
"""Folder of the reference library: what public surveys asked, and what groups answered."""


def adapter_folder(adapter: str | None) -> str | None:
    """The folder of ``adapter``: ``shipped``, or a folder already."""
    return str(SHIPPED_ADAPTER) if adapter == SHIPPED else adapter
