"""Questionnaires in plain text (.txt) and Markdown (.md): numbered questions, options below."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.decoding import decoded
from opinioncast.questionnaires.numbered_text import found_in
from opinioncast.questionnaires.text_lines import Grid, Line
from opinioncast.questionnaires.wording import from_markdown

_TITLE = re.compile(r"^\s{0,3}#\s+(.+?)\s*#*\s*$")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(?P<text>.+?)\s*#*\s*$")
_BOLD = re.compile(
    r"^\s*(?:[-*]\s+)?(?:\*\*|__)(?P<label>[^*]+?)(?:\*\*|__)\s*"
    r"(?P<if>\((?:IF|ASK)\b[^)]*\))?\s*(?:[-–—:.)]\s*)?(?P<text>.*)$",
    re.I,
)
_LABEL = re.compile(r"[A-Za-z][\w.-]{0,40}")
_ROW = re.compile(r"^\s*\|.*\|\s*$")
_RULE = re.compile(r"^\s*\|?[\s:|-]+\|?\s*$")


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a text.

    Raises:
        InputError: not in UTF-8, or no closed question in it.
    """
    text = decoded(path, content)
    titles = [m[1] for line in text.split("\n") if (m := _TITLE.match(line))]
    title = from_markdown(titles[0]) if len(titles) == 1 else ""
    blocks = list(_blocks(text))
    kind = "Markdown" if path.suffix.casefold() == ".md" else "plain text"
    return assembled(path, f"{kind} questionnaire", found_in(blocks), Head(title=title))


def _blocks(text: str) -> Iterator[Line | Grid]:
    table: list[tuple[str, ...]] = []
    start = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        if _ROW.match(raw):
            start = start if table else number
            if not _RULE.match(raw):
                table.append(tuple(from_markdown(c) for c in _cells(raw)))
            continue
        if table:
            yield Grid(f"line {start}", tuple(table))
            table = []
        yield _line(f"line {number}", raw)
    if table:
        yield Grid(f"line {start}", tuple(table))


def _cells(row: str) -> list[str]:
    inner = row.strip().removeprefix("|").removesuffix("|")
    return [c.replace("\\|", "|").strip() for c in re.split(r"(?<!\\)\|", inner)]


def _line(where: str, raw: str) -> Line:
    heading = _HEADING.match(raw)
    if heading:
        return Line(where, from_markdown(heading["text"]).rstrip(":"), heading=True)
    bold = _BOLD.match(raw)
    if bold and bold["text"] and _LABEL.fullmatch(bold["label"].strip().rstrip(".:)")):
        label = bold["label"].strip().rstrip(".:)")
        condition = f"{bold['if']} " if bold["if"] else ""
        return Line(where, condition + from_markdown(bold["text"]), label=label, named=True)
    bulleted = re.match(r"^\s*[-*+]\s+", raw)
    body = raw[bulleted.end() :] if bulleted else raw
    keep_tabs = "\t" in body or re.search(r"\S\s{2,}\S", body)
    words = body.strip() if keep_tabs else from_markdown(body)
    return Line(where, words, bulleted=bool(bulleted))


FORMAT = InstrumentFormat(
    name="text",
    help="A questionnaire in plain text or Markdown (.txt, .md).",
    endings=(".txt", ".md"),
    read=read,
    order=67,
)
