"""The examples in docstrings run, and give what they say.

Only modules that hold an example are imported, so PyTorch is not where none needs it.
"""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"
NEEDS_MODEL: set[str] = set()
"""Modules whose examples run a model: their tests are slow."""


def with_examples() -> list[str]:
    files = (SOURCE / "opinioncast").rglob("*.py")
    found = [f for f in files if any(_is_example(li) for li in f.read_text("utf-8").splitlines())]
    names = (f.relative_to(SOURCE).with_suffix("").as_posix().replace("/", ".") for f in found)
    return sorted(n.removesuffix(".__init__") for n in names)


def _is_example(line: str) -> bool:
    return line.lstrip().startswith(">>> ")


MODULES = with_examples()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in NEEDS_MODEL)) for n in MODULES]
)
def test_examples_give_what_they_say(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # where an example may write
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    result = doctest.testmod(module, optionflags=options)
    printed = capsys.readouterr().out
    assert result.attempted, "an example that doctest does not find: is it in a docstring?"
    assert not result.failed, printed


def test_there_are_examples_and_a_wrong_one_is_found() -> None:
    assert "opinioncast.survey.identity" in MODULES
    assert set(MODULES) >= NEEDS_MODEL
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner().run(test, out=lambda _: None).failed == 1
