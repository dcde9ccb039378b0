"""docs/finetuning.md and docs/reproduction.md keep their word: every command in them can be typed
as it stands, the first training and what is done with tables runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
import yaml
from tests.backends.conftest import make_folder  # noqa: F401  a fixture
from tests.finetune.small_table import QUESTIONS, make_table
from typer.testing import CliRunner

from opinioncast.cli.main import app
from opinioncast.finetune.recipe import builtin_finetunes, parse_finetune
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.reproduce.recipe import builtin_reproductions
from opinioncast.survey import OpinionTable

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "docs" / name for name in ("finetuning.md", "reproduction.md")]
_STARTERS = re.compile(r"(?:torchrun|accelerate launch)\b.*? -m (?=opinioncast )")


def commands(page: Path) -> list[str]:
    """The page's commands, one a line, without what starts their processes."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    lines = [re.sub(r"\s+# .*", "", line[4:]) for line in text.splitlines() if line[:4] == " " * 4]
    lines += re.findall(r"^`(opinioncast reproduce [^`]+)`\. ", text, re.MULTILINE)  # of one table
    typed = [_STARTERS.sub("", line) for line in lines]
    return [t for t in dict.fromkeys(typed) if t.startswith(("opinioncast ", "python benchmarks/"))]


def arguments(command: str) -> list[str]:
    return [word for word in shlex.split(command)[1:] if word != "\n"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_can_be_typed(page: Path) -> None:
    listed = commands(page)
    assert len(listed) >= 9
    whole = typer.main.get_command(app)
    known = {*builtin_reproductions(), *builtin_finetunes()}
    for command in listed:
        words = arguments(command)
        if command.startswith("python "):
            script = (ROOT / words[0]).read_text("utf-8")
            assert all(f'"{w}"' in script for w in words if w.startswith("-")), command
            continue
        with whole.make_context("opinioncast", words, resilient_parsing=True) as context:
            name, found, rest = whole.resolve_command(context, words)  # type: ignore[attr-defined]
            with found.make_context(name, rest, parent=context) as parsed:
                assert not parsed.args, command
        if words[0] == "reproduce":
            plain = [w for w in parsed.params["names"] if w != "all"]
            assert set(plain) <= known, command


def first_block() -> str:
    """What the page types first: a recipe, its training, a prediction with it."""
    text = PAGES[0].read_text("utf-8")
    lines = text[text.index("    cat > recipe.yaml") :].split("\n\n")[0].splitlines()
    return "\n".join(line[4:] for line in lines)


def recipe_of(block: str) -> str:
    """The recipe in it, with what the shell puts in."""
    body = re.search(r"<<END\n(.*?)^END$", block, re.DOTALL | re.MULTILINE)
    assert body is not None
    (code,) = re.findall(r"\$\(python -c \"(.*?)\"\)", body[1])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return re.sub(r"\$\(python.*?\)\"?\)", ran.stdout.strip(), body[1])


def test_the_first_recipe_is_one() -> None:
    recipe = parse_finetune(yaml.safe_load(recipe_of(first_block())), "the page")
    assert Path(str(recipe.table)) == SHIPPED_TRAINING
    assert (recipe.model, recipe.fraction) == ("embedded", 0.05)


@pytest.mark.slow
def test_the_first_training_and_the_tables_commands_run(
    tmp_path: Path,
    make_folder: Callable[..., Path],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a tiny model and table in place of those that ship."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("opinioncast.jobs.training_data.embedded_encoder", lambda: None)
    own = yaml.safe_load(recipe_of(first_block()))
    own |= {"model": str(make_folder("llama")), "table": "table.parquet", "fraction": 1.0}
    own |= {"validation": {**own["validation"], "fraction": 0.3}, "dtype": "float32"}
    Path("recipe.yaml").write_text(yaml.safe_dump(own), "utf-8")
    make_table(QUESTIONS).write("table.parquet")
    ran = CliRunner().invoke(app, ["convert", "table.parquet", "subpop.jsonl"])
    assert ran.exit_code == 0, ran.output
    Path("table.parquet").unlink()
    Path("table.parquet.json").unlink()
    typed = [c for c in commands(PAGES[0]) if c.split()[1] in ("convert", "split")]
    typed += commands(PAGES[0])[:1]
    assert [c.split()[1] for c in typed] == ["convert", "convert", "split", "finetune"]
    for command in typed:
        ran = CliRunner().invoke(app, arguments(command))
        assert ran.exit_code == 0, f"{command}\n{ran.output}\n{ran.exception}"
    parts = [OpinionTable.read(Path("parts") / f"{p}.parquet") for p in ("train", "test")]
    assert sum(map(len, parts)) == len(OpinionTable.read("table.parquet"))
    assert Path("out/adapter/manifest.json").is_file()
