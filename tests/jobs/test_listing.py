"""The page of settings is what is declared."""

from __future__ import annotations

from pathlib import Path

import pytest

from opinioncast.backends.declaration import BackendKind, backend_kinds
from opinioncast.cli.main import main
from opinioncast.jobs.listing import markdown
from opinioncast.methods.declaration import MethodKind, method_kinds

PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_the_page_is_what_is_declared() -> None:
    written = PAGE.read_text("utf-8").strip()
    assert written == markdown().strip(), "run: opinioncast methods --markdown > docs/settings.md"


def test_every_method_and_option_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["methods", "--markdown"])
    assert stop.value.code in (None, 0)
    printed = capsys.readouterr().out
    kinds: list[MethodKind | BackendKind] = [*method_kinds(), *backend_kinds()]
    for kind in kinds:
        assert f"| {kind.name} |" in printed
        for option in kind.options.values():
            assert f"| {option.flag} |" in printed
