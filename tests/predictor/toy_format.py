"""A questionnaire format of somebody else: all that it takes is this file."""

from __future__ import annotations

from pathlib import Path

from opinioncast.questionnaires.declaration import Entry, Head, Instrument, InstrumentFormat


def read(path: Path, content: bytes) -> Instrument:
    """One question a line: ``id? wording? options/with/slashes``."""
    entries = []
    for number, line in enumerate(content.decode().splitlines(), start=1):
        name, text, options = line.split("?")
        fields = {"id": name, "question": f"{text.strip()}?", "options": options.split("/")}
        entries.append(Entry(f"{path}, line {number}", fields))
    return Instrument(Head(), entries)


FORMAT = InstrumentFormat("toy", "One question a line.", (".toy",), read)
