"""Made-up instruments for the tests of their formats: what is asked of each, and in what words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opinioncast.questionnaires import read_questionnaire
from opinioncast.questionnaires.check_list import Check
from opinioncast.questionnaires.declaration import Instrument
from opinioncast.questionnaires.file_format import format_of
from opinioncast.questionnaires.yaml_file import written


def imported(path: Path, content: bytes | str) -> Instrument:
    """Write ``content`` to ``path``, read it, and check that YAML gives the same questions back."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    instrument = format_of(path).read(path, path.read_bytes())
    copy = path.with_name("copy.yaml")
    copy.write_text(written(instrument), encoding="utf-8")
    first, second = read_questionnaire(path), read_questionnaire(copy)
    assert first.questions == second.questions
    assert first.placements == second.placements
    assert (first.title, first.language) == (second.title, second.language)
    assert (first.observed is None) == (second.observed is None)
    if first.observed is not None and second.observed is not None:
        assert first.observed.frame.equals(second.observed.frame)
    return instrument


def fields(instrument: Instrument) -> dict[str, Mapping[str, Any]]:
    """Id -> the fields of each entry."""
    return {e.fields["id"]: e.fields for e in instrument.entries}


def checks(instrument: Instrument) -> dict[str, Check]:
    """Id -> the check of each thing found (the last one of an id)."""
    assert instrument.check_list is not None
    return {c.id: c for c in instrument.check_list.checks}
