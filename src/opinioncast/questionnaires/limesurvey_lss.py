"""LimeSurvey survey structures (.lss, .lsq, .lsg): tables of its database as XML, joined by ids.

Newer files keep texts in tables of their own (``*_l10ns``), older ones repeat rows by language.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.limesurvey_types import LimeQuestion, found_of
from opinioncast.questionnaires.limits import xml_root
from opinioncast.questionnaires.wording import plain
from opinioncast.questionnaires.xml_elements import child, children, line_of, name_of, text_of
from opinioncast.texts import whole_number

Row = Mapping[str, str]


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a survey in its first language.

    Raises:
        InputError: no LimeSurvey structure, or no closed question in it.
    """
    root, mended = xml_root(path, content, "a LimeSurvey structure")
    if child(root, "LimeSurveyDocType") is None:
        raise InputError(
            "A LimeSurvey file cannot be read",
            where=str(path),
            expected="a survey structure (.lss) with LimeSurveyDocType",
            found=f"<{name_of(root)}>",
            hint="in LimeSurvey: Display/Export, Survey structure (.lss)",
        )
    tables = _Tables(root)
    settings = tables.rows("surveys_languagesettings")
    language = tables.language
    title = next(
        (
            r.get("surveyls_title", "")
            for r in settings
            if r.get("surveyls_language", language) == language
        ),
        "",
    )
    found = (f for q in tables.questions() for f in found_of(q))
    head = Head(title=plain(title), language=language)
    return assembled(path, "LimeSurvey structure (.lss)", found, head, (*mended, *tables.notes()))


class _Tables:
    """The tables of a file."""

    def __init__(self, root: Any) -> None:
        self._root = root
        survey = self.rows("surveys")
        self._languages = [text_of(e) for e in children(root, "languages") for e in children(e)]
        own = survey[0].get("language", "") if survey else ""
        self.language = own or (self._languages or [""])[0]

    def notes(self) -> tuple[str, ...]:
        more = [e for e in self._languages if e != self.language]
        return (f"other languages in the file, not read: {', '.join(more)}",) if more else ()

    def rows(self, table: str) -> list[Row]:
        """Rows of a table, "line" among their fields."""
        found = child(self._root, table, "rows")
        if found is None:
            return []
        return [
            {name_of(c): c.text or "" for c in row} | {"line": line_of(row)}
            for row in children(found, "row")
        ]

    def own(self, table: str) -> list[Row]:
        """Rows in the survey's language, and those of none."""
        return [r for r in self.rows(table) if r.get("language", "") in ("", self.language)]

    def questions(self) -> Iterator[LimeQuestion]:
        texts = {r.get("qid", ""): r.get("question", "") for r in self.own("question_l10ns")}
        answer_texts = {r.get("aid", ""): r.get("answer", "") for r in self.own("answer_l10ns")}
        groups = {r.get("gid", ""): r for r in self.own("groups")}
        names = {r.get("gid", ""): r.get("group_name", "") for r in self.own("group_l10ns")}
        order = {g: _number(r.get("group_order")) for g, r in groups.items()}
        rows = self.own("questions")
        subs = [*self.own("subquestions"), *(r for r in rows if _parent(r))]
        answers = self.own("answers")
        attributes: dict[str, dict[str, str]] = {}
        for row in self.own("question_attributes"):
            if row.get("value"):
                kept = attributes.setdefault(row.get("qid", ""), {})
                kept[row.get("attribute", "")] = row["value"]
        tops = [r for r in rows if not _parent(r)]
        tops.sort(key=lambda r: (order.get(r.get("gid", ""), 0), _number(r.get("question_order"))))
        for row in tops:
            qid, group = row.get("qid", ""), groups.get(row.get("gid", ""), {})
            own_rows = sorted(
                (r for r in subs if r.get("parent_qid") == qid),
                key=lambda r: _number(r.get("question_order")),
            )
            own_answers = sorted(
                (r for r in answers if r.get("qid") == qid),
                key=lambda r: _number(r.get("sortorder")),
            )
            yield LimeQuestion(
                where=f"{row['line']}, question {row.get('title', qid)}",
                code=row.get("title", ""),
                type=row.get("type", ""),
                text=texts.get(qid) or row.get("question", ""),
                group=names.get(row.get("gid", "")) or group.get("group_name", ""),
                routing=_both(group.get("grelevance", ""), row.get("relevance", "")),
                other=row.get("other") == "Y",
                rows=[
                    (
                        r.get("title", ""),
                        texts.get(r.get("qid", "")) or r.get("question", ""),
                        r.get("scale_id", ""),
                    )
                    for r in own_rows
                ],
                answers=[
                    (
                        r.get("code", ""),
                        answer_texts.get(r.get("aid", "")) or r.get("answer", ""),
                        r.get("scale_id", ""),
                    )
                    for r in own_answers
                ],
                attributes=attributes.get(qid, {}),
            )


def _parent(row: Row) -> bool:
    return row.get("parent_qid", "0") not in ("", "0")


def _both(first: str, second: str) -> str:
    said = [s.strip() for s in (first, second) if s.strip() not in ("", "1")]
    return "; ".join(dict.fromkeys(said))


def _number(text: str | None) -> int:
    return whole_number(text or "") or 0


FORMAT = InstrumentFormat(
    name="limesurvey",
    help="A LimeSurvey survey structure (.lss, .lsg, .lsq).",
    endings=(".lss", ".lsg", ".lsq"),
    read=read,
    order=65,
)
