"""LimeSurvey surveys in tab-separated text: a row for each group, question, subquestion, answer."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.decoding import decoded
from opinioncast.questionnaires.limesurvey_types import LimeQuestion, found_of
from opinioncast.questionnaires.wording import plain

_NEEDED = {"class", "type/scale", "name", "text"}


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a survey in its first language.

    Raises:
        InputError: no such table, or no closed question in it.
    """
    text = decoded(path, content)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t")
    try:
        header = [h.strip().casefold() for h in next(reader, [])]
        rows = []
        for cells in reader:
            row = dict(zip(header, cells, strict=False))
            rows.append(row | {"line": f"line {reader.line_num}"})
    except csv.Error as error:
        raise InputError(
            "A LimeSurvey file cannot be read",
            where=f"{path}, line {reader.line_num}",
            expected="cells separated by tabs",
            found=error,
        ) from None
    if missing := _NEEDED - set(header):
        raise InputError(
            "A LimeSurvey file lacks columns",
            where=f"{path}, line 1",
            expected=", ".join(sorted(_NEEDED)),
            found=", ".join(header),
            hint=f"not there: {', '.join(sorted(missing))}",
        )
    settings = {r.get("name", ""): r.get("text", "") for r in rows if r.get("class") == "S"}
    languages = list(dict.fromkeys(r["language"] for r in rows if r.get("language")))
    language = settings.get("language") or (languages or [""])[0]
    own = [r for r in rows if r.get("language", "") in ("", language)]
    title = next((r.get("text") for r in own if r.get("name") == "surveyls_title"), "")
    more = [e for e in languages if e != language]
    notes = (f"other languages in the file, not read: {', '.join(more)}",) if more else ()
    found = (f for q in _questions(own) for f in found_of(q))
    head = Head(title=plain(title), language=language)
    return assembled(path, "LimeSurvey tab-separated structure", found, head, notes)


def _questions(rows: list[dict[str, str]]) -> Iterator[LimeQuestion]:
    group = condition = ""
    current: LimeQuestion | None = None
    for row in rows:
        kind = row.get("class", "").strip().upper()
        name, text = row.get("name", ""), row.get("text", "")
        entry = (name, text, row.get("type/scale", ""))
        if kind == "SQ" and current is not None:
            current.rows.append(entry)
        elif kind == "A" and current is not None:
            current.answers.append(entry)
        elif kind in ("Q", "G"):
            if current is not None:
                yield current
            current = None
            relevance = row.get("relevance", "")
            if kind == "G":
                group, condition = plain(name), relevance if relevance != "1" else ""
                continue
            both = [r for r in (condition, relevance) if r.strip() not in ("", "1")]
            current = LimeQuestion(
                where=f"{row['line']}, question {name}",
                code=name,
                type=row.get("type/scale", ""),
                text=text,
                group=group,
                routing="; ".join(both),
                other=row.get("other", "").strip() == "Y",
                attributes=_attributes(row),
            )
    if current is not None:
        yield current


def _attributes(row: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in row.items() if v and k not in _NEEDED}


def recognised(content: bytes) -> bool:
    """Whether the first line has LimeSurvey's columns."""
    head = content[:4000].decode("utf-16" if content[:2] == b"\xff\xfe" else "utf-8-sig", "ignore")
    names = {h.strip().strip('"').casefold() for h in head.split("\n", 1)[0].split("\t")}
    return names >= _NEEDED


FORMAT = InstrumentFormat(
    name="limesurvey_tsv",
    help="A LimeSurvey survey in tab-separated text (.txt, .tsv).",
    endings=(".txt", ".tsv"),
    read=read,
    recognises=recognised,
    order=66,
)
