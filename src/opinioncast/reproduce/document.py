"""``docs/reproduction.md`` from results: every table and figure beside the paper's figures.

``FOLDER/results.json`` beside the document holds what it says; the document follows from it alone.
"""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import polars as pl

from opinioncast.documents import read_document
from opinioncast.errors import DataError
from opinioncast.files import atomic_path
from opinioncast.json_text import json_text
from opinioncast.report.tables import to_markdown
from opinioncast.reproduce.lock import only_writer
from opinioncast.reproduce.reading_list import reading_list
from opinioncast.reproduce.recipe import builtin_reproductions
from opinioncast.reproduce.run import ReproductionRun

RESULTS = "results.json"


def write_document(run: ReproductionRun, path: Path) -> list[Path]:
    """Write the document, ``results.json`` and the pictures; results of other recipes stay.

    Files beside ``docs/reproduction.md`` go to ``docs/reproduction/``.

    Raises:
        DataError: the results that are there are of another setting, or unreadable.
        StorageError: another run does not let go of the document, or it cannot be written.
    """
    folder = path.with_suffix("")
    with only_writer(folder):  # or two runs that end together would lose one's results
        return _write(run, path, folder)


def _write(run: ReproductionRun, path: Path, folder: Path) -> list[Path]:
    stored = folder / RESULTS
    kept = check_document(path, run.setting.name)
    kept |= {c["name"]: c for c in run.contents}
    order = {name: i for i, name in enumerate(builtin_reproductions())}
    results = {
        "setting": run.setting.name,
        "title": run.setting.title,
        "notes": list(run.setting.notes),
        "results": sorted(
            kept.values(), key=lambda r: (order.get(r["name"], len(order)), r["name"])
        ),
    }
    written = []
    for content in run.contents:
        if content["picture"]:
            picture = folder / f"{content['name']}.png"
            with atomic_path(picture) as temporary:
                shutil.copyfile(run.folder / content["name"] / picture.name, temporary)
            written.append(picture)
    with atomic_path(stored) as temporary:
        temporary.write_text(json_text(results, sort_keys=True), "utf-8")
    with atomic_path(path) as temporary:
        temporary.write_text(render(read_results(stored), folder.name), "utf-8")
    return [path, stored, *written]


def check_document(path: Path, setting: str) -> dict[str, Any]:
    """Results that are there, by name; none where the document is not.

    Raises:
        DataError: they are of another setting, or unreadable.
    """
    stored = path.with_suffix("") / RESULTS
    if not stored.is_file():
        return {}
    before = read_results(stored)
    if before["setting"] != setting:
        raise DataError(
            "The document holds results of another setting",
            where=str(stored),
            expected=setting,
            found=before["setting"],
            hint="give another file with --docs",
        )
    return {r["name"]: r for r in before["results"]}


def read_results(path: Path) -> dict[str, Any]:
    """What ``results.json`` holds.

    Raises:
        DataError: unreadable.
    """
    found: dict[str, Any] = read_document(path, "A file of results", error=DataError)
    return found


def render(results: Mapping[str, Any], folder: str) -> str:
    """The document.

    Args:
        folder: where the pictures are, as the document names it.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("opinioncast.report"),
        autoescape=False,  # Markdown
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = {r["name"] for r in results["results"]}
    return environment.get_template("reproduction.md").render(
        **results,
        folder=folder,
        table=table,
        statements=statements,
        command=command,
        commands=commands(results["results"], f"docs/{folder}.md"),
        unrecorded=[r["name"] for r in results["results"] if _options(r) is None],
        parts=reading_list(),
        missing=[n for n in builtin_reproductions() if n not in names],
    )


def table(content: Mapping[str, Any]) -> str:
    """A result's narrow table in Markdown."""
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["rows"]]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    whole = to_markdown(frame.select(content["columns"]), caption="")
    return whole.strip()


def statements(content: Mapping[str, Any]) -> Sequence[str]:
    """The paper's statements with ours, a sentence each; ours alone where the paper has none."""
    return [
        f"{s['what'][:1].upper()}{s['what'][1:]} ({s['where']}): "
        + ("" if s["paper"] is None else f"paper {_number(s['paper'])}, ")
        + f"here {_number(s['ours'])}."
        for s in content["statements"]
    ]


def command(content: Mapping[str, Any]) -> str:
    """The command a result was made with, without folders; its bare form where not recorded."""
    return " ".join(["opinioncast reproduce", content["name"], *(_options(content) or ())])


def commands(contents: Sequence[Mapping[str, Any]], document: str) -> list[str]:
    """Commands that make the results anew: one for all of the same options, in shell lines.

    Args:
        document: where the results go, as the commands name it.
    """
    together: dict[tuple[str, ...], list[str]] = {}
    for content in contents:
        options = _options(content)
        if options is not None:
            together.setdefault(tuple(options), []).append(content["name"])
    ends = ("--data DATA", "-o out", f"--docs {document}")
    return [
        _shell_lines(["opinioncast reproduce", *names, *options, *ends])
        for options, names in together.items()
    ]


def _shell_lines(words: Sequence[str]) -> str:
    """A command in lines of up to 100 characters, broken between ``words``."""
    glued = " ".join(w.replace(" ", "\0") for w in words)
    lines = textwrap.wrap(glued, 100, break_on_hyphens=False, break_long_words=False)
    return " \\\n        ".join(line.replace("\0", " ") for line in lines)


def _options(content: Mapping[str, Any]) -> Sequence[str] | None:
    """Options a result was made with; None where an older run that had some did not record them."""
    if "options" in content:
        found: Sequence[str] = content["options"]
        return found
    return None if content["limits"] else ()


def _number(value: Any) -> str:
    if value is None:
        return "not known"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
