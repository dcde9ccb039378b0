"""Keeps what other libraries write while they load a model out of a terminal that shows ours."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from typing import Any


@contextmanager
def quiet_loading() -> Iterator[None]:
    """No bar inside, of transformers or of tqdm itself (which transformers' GGUF reader takes past
    its own switch), and no warning of a deprecation between transformers and PEFT, which no user
    can act on; as it was afterwards.
    """
    from tqdm import tqdm
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    bar: Any = tqdm
    makes = bar.__init__
    logging.disable_progress_bar()
    bar.__init__ = partialmethod(makes, disable=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing`", category=FutureWarning
            )
            yield
    finally:
        bar.__init__ = makes
        if shown:
            logging.enable_progress_bar()
