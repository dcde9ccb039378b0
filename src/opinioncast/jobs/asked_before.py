"""What the library knows of the questions predicted: the same asked before, and the nearest.

The very question's results become past evidence, as tables given with ``--past`` do; relatives are
named with what was answered and how near they are. Of a library that is at hand while predictions
are scored, whatever asks the same as a scored question is taken out before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Protocol

import numpy as np
import polars as pl

from opinioncast.evidence.matching import option_places, published_of_table
from opinioncast.evidence.observations import Published
from opinioncast.jobs.library import topline_of
from opinioncast.library.shelf import AskedBefore, Library, Near, Vectors, year_of
from opinioncast.survey import OpinionTable, Question
from opinioncast.survey.sameness import Asked, find_same

NEAREST = 3
"""Questions named for each one predicted."""

WAVES = 4
"""Latest waves of the very question that are read: what older ones say reaches the present through
these."""


class Sentences(Protocol):
    """A sentence model."""

    @property
    def fingerprint(self) -> str: ...

    def encode(self, texts: Sequence[str], /) -> Vectors: ...


@dataclass(frozen=True)
class Relatives:
    """What was asked before.

    Attributes:
        near: by question id, the nearest first.
        evidence: results of the very questions, by source and wave.
        used: question id -> the names of questions whose results are evidence.
        notes: what a person should know, a sentence each.
        withheld: questions of the library that ask the same as a scored one.
    """

    near: Mapping[str, tuple[Near, ...]] = field(default_factory=dict)
    evidence: tuple[Published, ...] = ()
    used: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    withheld: int = 0

    def record(self) -> dict[str, Any]:
        """For the manifest and the sidecar of predictions."""
        return {
            "library": {
                "used": {q: list(names) for q, names in self.used.items()},
                "withheld_as_scored": self.withheld,
                "notes": list(self.notes),
            }
        }


def relatives(
    library: Library,
    questions: Sequence[Question],
    sentences: Sentences | None,
    *,
    scored: Sequence[Question] = (),
    year: float | None = None,
) -> Relatives:
    """Look the questions up.

    Args:
        sentences: compares meanings; None: questions are found by their very wording only.
        scored: whose answers are known and will be compared with; nothing that asks the same is
            used or named.
        year: predicted; None: the one in the questions' wave, else this year.
    """
    known, withheld = _without_scored(library, scored, sentences)
    near = _nearest(known, questions, sentences)
    target, notes = _year(questions, year)
    used: dict[str, tuple[str, ...]] = {}
    said: list[str] = []
    parts: dict[tuple[str, str, str], list[pl.DataFrame]] = {}
    for question in questions:
        for one in near.get(question.question_id, ()):
            if not one.very:
                continue
            places = option_places(question, one.asked.question.options) or collapsed(
                question.options, one.asked.question.options
            )
            if places is None:
                said.append(
                    f"{question.question_id}: {one.asked.asked} ({one.asked.name}) with other "
                    f"options ({'; '.join(one.asked.question.options)}): named, not used"
                )
                continue
            waves = [w for w in one.asked.waves if year_of(w) is not None][-WAVES:]
            for wave, rows in known.shelf(one.asked).rows(one.asked, waves).group_by("wave"):
                key = (one.asked.source, one.asked.question.family, str(wave[0]))
                parts.setdefault(key, []).append(_as_asked(rows, question, places))
            names = (*used.get(question.question_id, ()), one.asked.name)
            used[question.question_id] = names
            finer = len(places) > len(question.options)
            how = f" with finer options ({'; '.join(one.asked.question.options)}), put together"
            said.append(
                f"{question.question_id}: {one.asked.asked}{how if finer else ''}; see evidence"
            )
    evidence = []
    for (source, family, wave), frames in sorted(parts.items()):
        terms = next(s.terms for s in known.shelves if s.name == source)
        frame = pl.concat(frames).unique(
            ["question_id", "attribute", "group"], keep="first", maintain_order=True
        )
        table = OpinionTable(frame)
        name = f"library {source}: {family} {wave}"
        read = published_of_table(table, questions, name, terms)
        years = float(target - (year_of(wave) or target))
        evidence.append(replace(read, years=years))
    if withheld:
        said.append(
            f"{withheld} question(s) of the library ask the same as a scored one: not used or named"
        )
    return Relatives(near, tuple(evidence), used, (*said, *(notes if evidence else ())), withheld)


def _without_scored(
    library: Library, scored: Sequence[Question], sentences: Sentences | None
) -> tuple[_Part, int]:
    if not scored:
        return _Part(library, frozenset()), 0
    asked = [Asked(a.question.family, "", a.question.question_id, a.question.text)
             for a in library.questions]  # fmt: skip
    encode = None if sentences is None else _Known(library, sentences).encode
    same = find_same(asked, scored, encode)
    names = frozenset(f"{s.question.family}/{s.question.question_id}" for s in same.found)
    return _Part(library, names), len(names)


@dataclass(frozen=True)
class _Known:
    """A sentence model that has the library's questions at hand."""

    library: Library
    sentences: Sentences

    def encode(self, texts: Sequence[str]) -> Vectors:
        fingerprint = self.sentences.fingerprint
        vectors: dict[str, Any] = {}
        for shelf in self.library.shelves:
            texts_of = (a.question.text for a in shelf.questions)
            vectors |= dict(
                zip(texts_of, shelf.meanings(self.sentences.encode, fingerprint), strict=True)
            )
        new = [t for t in dict.fromkeys(texts) if t not in vectors]
        vectors |= dict(zip(new, self.sentences.encode(new), strict=True))
        return np.stack([vectors[t] for t in texts])


@dataclass(frozen=True)
class _Part:
    """A library but for some questions."""

    library: Library
    without: frozenset[str]

    @property
    def shelves(self) -> Any:
        return self.library.shelves

    def shelf(self, asked: AskedBefore) -> Any:
        return self.library.shelf(asked)

    def by_wording(self, text: str) -> list[Near]:
        return [n for n in self.library.by_wording(text) if n.asked.name not in self.without]

    def nearest(self, texts: Sequence[str], sentences: Sentences) -> list[list[Near]]:
        if not self.library.questions:
            return [[] for _ in texts]
        # enough that what is left has NEAREST, unless the library hardly has more
        wanted = NEAREST + len(self.without)
        found = self.library.nearest(texts, sentences.encode, sentences.fingerprint, wanted)
        return [[n for n in one if n.asked.name not in self.without][:NEAREST] for one in found]


def _nearest(
    known: _Part, questions: Sequence[Question], sentences: Sentences | None
) -> dict[str, tuple[Near, ...]]:
    if sentences is None:
        by_wording = {q.question_id: tuple(known.by_wording(q.text)) for q in questions}
        return {i: near for i, near in by_wording.items() if near}
    found = known.nearest([q.text for q in questions], sentences)
    return {q.question_id: tuple(n) for q, n in zip(questions, found, strict=True) if n}


def _year(questions: Sequence[Question], year: float | None) -> tuple[float, tuple[str, ...]]:
    if year is not None:
        return year, ()
    told = {y for q in questions if (y := year_of(q.wave)) is not None}
    if len(told) == 1:
        return float(told.pop()), ()
    now = date.today().year
    return float(now), (f"no year told: what was asked before is read as evidence on {now}",)


def _as_asked(rows: pl.DataFrame, question: Question, places: Sequence[int]) -> pl.DataFrame:
    """Rows of the library under the id, wording and options of the question predicted."""
    shares = np.zeros((rows.height, len(question.options)))
    np.add.at(shares.T, list(places), np.array(rows["distribution"].to_list()).T)
    texts = [list(question.options)] * rows.height
    return rows.with_columns(
        question_id=pl.lit(question.question_id),
        question=pl.lit(question.text),
        family=pl.lit(question.family),
        wave=pl.lit(question.wave),
        options=pl.Series(texts, dtype=pl.List(pl.String)),
        ordinal=pl.Series([list(question.ordinal)] * rows.height, dtype=pl.List(pl.Float64)),
        distribution=pl.Series((shares / shares.sum(axis=1, keepdims=True)).tolist()),
        se=pl.lit(None, pl.List(pl.Float64)),
    )


_DEGREE = re.compile(r"\b(?:not|somewhat|very|extremely)\s+(?:so\s+|very\s+)?(?:strongly|much)\b")
_SAID = {"approve": "favor", "support": "favor", "favour": "favor", "disapprove": "oppose"}
_TURNS = frozenset({"neither", "not", "no", "never", "both", "same", "depends", "difference"})
"""Words that make another answer of one that has them beside the same others."""


def collapsed(asked: Sequence[str], finer: Sequence[str]) -> list[int] | None:
    """Which of the options asked each of a survey's finer ones belongs to; None where one belongs
    to none or to several, or an option asked has none.

    >>> collapsed(("Favor", "Oppose"), ("Favor strongly", "Favor not strongly", "Oppose strongly"))
    [0, 0, 1]
    >>> collapsed(("Favor", "Oppose"), ("Favor", "Neither favor nor oppose", "Oppose")) is None
    True
    """
    if len(finer) <= len(asked):
        return None
    whole = [_words(o) for o in asked]
    places = []
    for option in finer:
        words = _words(option)
        fits = [i for i, own in enumerate(whole) if own <= words and not (words - own) & _TURNS]
        longest = max((len(whole[i]) for i in fits), default=0)
        best = [i for i in fits if len(whole[i]) == longest]
        if len(best) != 1 or not longest:
            return None
        places += best
    return places if set(places) == set(range(len(asked))) else None


def _words(option: str) -> frozenset[str]:
    text = _DEGREE.sub(" ", option.casefold())
    found = [_SAID.get(w, w) for w in re.findall(r"[\w']+", text)]
    return frozenset("no" if w == "not" and "no" in found else w for w in found)


def asked_before_frame(library: Library, found: Relatives) -> pl.DataFrame:
    """One row per question and relative: how near, when it was asked, and its latest result."""
    rows = []
    for question_id, near in found.near.items():
        for rank, one in enumerate(near, start=1):
            latest = library.shelf(one.asked).rows(one.asked, one.asked.waves[-1:])
            rows.append(
                {
                    "question_id": question_id,
                    "rank": rank,
                    "asked_before": one.asked.name,
                    "table": one.asked.source,
                    "family": one.asked.question.family,
                    "waves": ", ".join(one.asked.waves),
                    "nearness": round(one.cosine, 3),
                    "very_question": one.very,
                    "used_as_evidence": one.asked.name in found.used.get(question_id, ()),
                    "question": one.asked.question.text,
                    "result": topline_of(latest),
                }
            )
    schema = {
        "question_id": pl.String,
        "rank": pl.Int64,
        "asked_before": pl.String,
        "table": pl.String,
        "family": pl.String,
        "waves": pl.String,
        "nearness": pl.Float64,
        "very_question": pl.Boolean,
        "used_as_evidence": pl.Boolean,
        "question": pl.String,
        "result": pl.String,
    }
    return pl.DataFrame(rows, schema=schema)
