"""``opinioncast import``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from opinioncast.cli.screen import Screen

_console = Screen()
_SHOWN = 40  # lines of what was left out; the file has all


def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="Word, Qualtrics, Triple-S, XLSForm, LimeSurvey, DDI, Decipher, Forsta, "
            "SurveyMonkey, text, Markdown, CSV, XLSX (`opinioncast methods` lists all)."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option("--out", "-o", help="The questionnaire (.yaml) to edit and to predict."),
    ] = Path("questionnaire.yaml"),
    format_name: Annotated[
        str,
        typer.Option("--format", help="The file's format, where its ending does not tell."),
    ] = "",
    overwrite: Annotated[
        bool, typer.Option(help="Write over a questionnaire of that name, edited or not.")
    ] = False,
) -> None:
    """Read an instrument (Word, Qualtrics, Triple-S, ...) into YAML, with a check list."""
    from opinioncast.jobs.import_questionnaire import import_questionnaire
    from opinioncast.questionnaires.check_list import Check, shortened

    done = import_questionnaire(file, out, format_name=format_name, overwrite=overwrite)
    checks = done.check_list
    asked = len(done.questionnaire.questions)
    summary = checks.summary() if checks.checks else f"{asked} questions"
    _console.say(f"{file.name}, read as {checks.format}: {summary}")
    for note in checks.notes or done.questionnaire.notes:
        _console.say(note)

    def show(title: str, listed: tuple[Check, ...]) -> None:
        if not listed:
            return
        table = Table(box=None, pad_edge=False, title=title, title_justify="left")
        for head in ("where", "id", "wording", "why"):
            table.add_column(head, overflow="fold")
        for check in listed[:_SHOWN]:
            why = check.why or "; ".join(check.remarks)
            table.add_row(check.where, check.id, shortened(check.text, 60), shortened(why, 90))
        _console.print(table)
        if len(listed) > _SHOWN:
            _console.say(f"and {len(listed) - _SHOWN} more, in {done.files[1]}")

    show("Left out", checks.left_out)
    show("To look at", tuple(c for c in checks.understood if c.remarks))
    _console.wrote(done.files)
