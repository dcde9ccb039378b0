"""Questionnaires in Word (.docx): as pollsters write them, and as Qualtrics exports them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from opinioncast.questionnaires import numbered_text, word_qualtrics
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.text_lines import Grid, Line
from opinioncast.questionnaires.word_document import Paragraph, WordTable, word_blocks


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a Word document.

    Raises:
        InputError: no Word document, or no closed question in it.
    """
    blocks = word_blocks(path, content)
    first = next((b for b in blocks if isinstance(b, Paragraph) and b.text.strip()), None)
    titled = first is not None and re.fullmatch(r"title|h[12]|heading 1", first.style, re.I)
    head = Head(title=" ".join(first.text.split()) if first is not None and titled else "")
    if word_qualtrics.is_export(blocks):
        found = word_qualtrics.found_in(blocks)
        return assembled(path, "Qualtrics' export to Word (.docx)", found, head)
    lines = list(_lines(blocks))
    return assembled(path, "Word questionnaire (.docx)", numbered_text.found_in(lines), head)


def _lines(blocks: list[Paragraph | WordTable]) -> Iterator[Line | Grid]:
    for block in blocks:
        if isinstance(block, WordTable):
            merged = frozenset(
                (i, k) for i, row in enumerate(block.rows) for k, c in enumerate(row) if not c
            )
            yield Grid(block.where, tuple(tuple(row) for row in block.texts()), merged)
            continue
        heading = block.style.casefold().startswith(("heading", "title", "subtitle", "überschrift"))
        first, *more = block.text.split("\n")
        label, named = block.number, False
        if not label and 0 < block.bold < len(first):
            label = _bold_label(first[: block.bold])
            first = first[block.bold :].lstrip(" \t.:–—-") if label else first
            named = bool(label)
        yield Line(block.where, first, heading, label, bool(block.bullet), named)
        for line in more:
            yield Line(block.where, line)


def _bold_label(text: str) -> str:
    """A label that is bold before a plain wording ("Q1.", "VOTE_2024"), "" where it is none."""
    label = text.strip().rstrip(".:–—- ")
    return label if re.fullmatch(r"[A-Za-z]{0,14}[._-]?\d+\w*|[A-Z][A-Z0-9]*_\w+", label) else ""


FORMAT = InstrumentFormat(
    name="word",
    help="A Word questionnaire, or Qualtrics' export to Word (.docx).",
    endings=(".docx",),
    read=read,
    order=40,
)
