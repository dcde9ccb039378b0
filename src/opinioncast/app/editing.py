"""The questionnaire as a grid: a row a question, options a line each, and back into its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.questionnaires import read_questionnaire
from opinioncast.questionnaires.declaration import Entry, Instrument
from opinioncast.questionnaires.yaml_file import read, written
from opinioncast.survey import load_groups

COLUMNS = ("use", "id", "question", "options", "routing")
_BETWEEN = " | "
_COMMENT = "Edited on the page; `opinioncast predict` reads it."
_OF_OPTIONS = ("scale", "codes", "observed", "known")
"""Fields of a question that belong to its options as they stand."""


def grid(questionnaire: Path) -> pl.DataFrame:
    """The questions of a file of the project, in :data:`COLUMNS`; options between bars.

    Raises:
        InputError: it cannot be read.
    """
    entries = read(questionnaire, questionnaire.read_bytes()).entries
    rows = [
        {
            "use": True,
            "id": str(e.fields.get("id", "")),
            "question": str(e.fields.get("question", "")),
            "options": _BETWEEN.join(map(str, _options(e))),
            "routing": str(e.fields.get("routing", "")),
        }
        for e in entries
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(COLUMNS, pl.String) | {"use": pl.Boolean})


def save(questionnaire: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Put an edited grid into the file, where it holds a questionnaire; else the file stays.

    A row that is not used is left out. Where options change, what belonged to them (scale, codes,
    observed and known shares) goes, and that is said.

    Args:
        rows: as :func:`grid` gave them, edited; new ones have an id of their own or none.

    Returns:
        What was lost by it, a sentence each.

    Raises:
        InputError: what was typed is no questionnaire; the file is as before.
    """
    before = read(questionnaire, questionnaire.read_bytes())
    entries: list[Entry] = []
    notes: list[str] = []
    for place, row in enumerate(rows):
        if not row.get("use", True) or not str(row.get("question") or "").strip():
            continue
        old = before.entries[place] if place < len(before.entries) else Entry("the page", {})
        fields = dict(old.fields)
        options = [o.strip() for o in str(row.get("options") or "").split("|") if o.strip()]
        gone = []
        observed, known = old.observed, old.known
        if [str(o) for o in _options(old)] != options:
            gone = [n for n in _OF_OPTIONS if fields.pop(n, None) is not None]
            gone += [n for n in ("observed", "known") if getattr(old, n)]
            observed, known = {}, {}
        fields |= {"question": str(row["question"]).strip(), "options": options}
        for name in ("id", "routing"):
            if value := str(row.get(name) or "").strip():
                fields[name] = value
            else:
                fields.pop(name, None)
        if gone:
            notes.append(f"{row.get('id')}: its options changed, so {', '.join(gone)} went")
        entries.append(Entry(old.where, fields, observed, known))
    if not entries:
        raise InputError("No question is left", expected="at least one that is used")
    text = written(Instrument(replace(before.head), entries), _COMMENT)
    trial = questionnaire.with_name("edited.yaml")
    try:
        with atomic_path(trial) as temporary:
            temporary.write_text(text, "utf-8")
        read_questionnaire(trial, load_groups("all", "total"))
        trial.replace(questionnaire)
    finally:
        trial.unlink(missing_ok=True)
    return notes


def _options(entry: Entry) -> list[Any]:
    given = entry.fields.get("options", [])
    return [o.strip() for o in given.split("|")] if isinstance(given, str) else list(given)
