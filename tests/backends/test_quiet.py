"""Loading writes nothing into a terminal, and what it silenced speaks again afterwards."""

from __future__ import annotations

import warnings

import pytest

pytest.importorskip("transformers")

from tqdm.auto import tqdm
from transformers.utils import logging

from opinioncast.backends.quiet import quiet_loading

OURS = "`is_gradient_checkpointing` is deprecated"


def test_bars_of_transformers_and_of_tqdm_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet_loading():
        list(tqdm(range(3), desc="Converting"))
        list(logging.tqdm(range(3), desc="Loading"))
    assert capsys.readouterr().err == ""
    list(tqdm(range(3), desc="Converting"))
    list(logging.tqdm(range(3), desc="Loading"))
    printed = capsys.readouterr().err
    assert "Converting" in printed
    assert "Loading" in printed


def test_as_it_was_after_an_error_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OSError, match="full"), quiet_loading():
        raise OSError("full")
    list(tqdm(range(3), desc="Converting"))
    assert "Converting" in capsys.readouterr().err


def test_one_warning_is_silenced_and_no_other() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with quiet_loading():
            warnings.warn(OURS, FutureWarning, stacklevel=1)
            warnings.warn("weights are odd", FutureWarning, stacklevel=1)
            warnings.warn(OURS, UserWarning, stacklevel=1)
        warnings.warn(OURS, FutureWarning, stacklevel=1)
    assert [(str(w.message), w.category) for w in said] == [
        ("weights are odd", FutureWarning),
        (OURS, UserWarning),
        (OURS, FutureWarning),
    ]
