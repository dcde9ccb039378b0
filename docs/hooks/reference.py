"""Pages of the site that are made from the program: its commands, and what ``import`` offers."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import opinioncast
from opinioncast.cli.main import app

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):`~?([^`]+)`")
_SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:", "Example:")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the two pages to those that lie in ``docs``."""
    for name, text in (("commands.md", commands_page()), ("python.md", python_page())):
        files.append(File.generated(config, name, content=text))
    return files


def commands_page() -> str:
    """Every command with its options, as ``--help`` says them."""
    group: Any = typer.main.get_command(app)
    parts = ["# Commands", "Made from the program: what each command's `--help` says."]
    context = typer.Context(group, info_name="opinioncast")
    for name in group.list_commands(context):
        parts += _command(group.get_command(context, name), f"opinioncast {name}", 2)
    return "\n\n".join(parts) + "\n"


def _command(command: Any, name: str, depth: int) -> list[str]:
    context = typer.Context(command, info_name=name)
    parts = [f"{'#' * depth} {name}"]
    inner = getattr(command, "commands", None)
    usage = " ".join(command.collect_usage_pieces(context))
    parts += [f"```\n{name} {usage}\n```", inspect.cleandoc(command.help or "")]
    rows = []
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record is not None:
            rows.append(f"* `{' '.join(record[0].split())}`: {_plain(record[1])}")
    parts.append("\n".join(rows))
    for one in inner or ():
        parts += _command(inner[one], f"{name} {one}", depth + 1)
    return parts


def _plain(text: str) -> str:
    """Words of a help text that Markdown leaves as they are."""
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*")


def python_page() -> str:
    """Every public name with its signature and docstring."""
    parts = ["# Python", "Made from the program: what `import opinioncast` offers."]
    for name in sorted(opinioncast.__all__):
        found = getattr(opinioncast, name)
        if not callable(found):
            continue
        parts += [f"## {name}", f"```python\n{name}{_signature(found)}\n```", _words(found)]
        if inspect.isclass(found):
            for inner, member in sorted(vars(found).items()):
                kind = member.__func__ if isinstance(member, classmethod | staticmethod) else member
                if inner.startswith("_") or not inspect.isfunction(kind) or not kind.__doc__:
                    continue
                parts += [f"### {name}.{inner}", f"```python\n{inner}{_signature(kind)}\n```"]
                parts.append(_words(kind))
    return "\n\n".join(parts) + "\n"


def _signature(found: Any) -> str:
    try:
        return str(inspect.signature(found))
    except (TypeError, ValueError):
        return "(...)"


def _words(found: Any) -> str:
    lines = inspect.cleandoc(found.__doc__ or "").splitlines()
    shown: list[str] = []
    for line in lines:
        said = _ROLE.sub(r"`\1`", line).replace("``", "`")
        if said.strip() in _SECTIONS:
            shown += ["", f"**{said.strip()}**", ""]
        elif re.match(r" {4}\*{0,2}\w+: ", said):
            shown.append(f"* {said.strip()}")
        else:
            shown.append(said)
    return "\n".join(shown)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Files that a page shows have their name above them; the fences of this Markdown have none."""
    return re.sub(r"^```(\w+) (\S+)$", r"`\2`:\n\n```\1", markdown, flags=re.MULTILINE)
