"""The bar: on standard error, and nothing where nobody looks."""

from __future__ import annotations

import pytest

from opinioncast.cli.progress import progress_bar, progress_bars


def test_nothing_is_drawn_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("asking") as progress:
        for done in range(4):
            progress(done, 3)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "asking" not in printed.err


def test_a_terminal_sees_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("asking") as progress:
        progress(2, 3)
    printed = capsys.readouterr()
    assert printed.out == ""  # results go there
    assert "asking" in printed.err
    assert "2/3" in printed.err


def test_a_second_bar_is_there_when_its_work_begins(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress_bars("asking", "drawing") as (asking, _):
        asking(3, 3)
    assert "drawing" not in capsys.readouterr().err
    with progress_bars("asking", "drawing") as (_, drawing):
        drawing(1, 2)
    assert "drawing" in (printed := capsys.readouterr().err)
    assert "1/2" in printed
