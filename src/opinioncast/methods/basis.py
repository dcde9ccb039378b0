"""What a row rests on, and where that is nothing: questions and groups unlike any that is known.

A method of this package has learned from English survey questions put to the groups of its tables.
Asked in another language, in words that no survey uses, or for a group of the user's own making, it
still gives shares; they are then worth no more than those of another question. Such rows say so in
their ``basis``, and their interval is as wide as it must be to hold 9 in 10 shares of a question
that the prediction was not made for (measured by ``benchmarks/basis.py``, as are the limits below).
Within what surveys ask in English errors were not found to grow with distance, so nearer questions
get no narrower intervals.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from opinioncast.documents import read_document
from opinioncast.methods.embedding.features import TextEncoder, Vectors, group_texts
from opinioncast.methods.error_bars import interval
from opinioncast.methods.prediction import Method, Prediction
from opinioncast.survey import (
    Cells,
    GroupScheme,
    PredictionTable,
    Question,
    Subpopulation,
    standard_attributes,
)
from opinioncast.survey.tables import MODEL, NO_BASIS

_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Measured:
    """What was measured of questions with and without a basis.

    Attributes:
        widths: number of options -> t of :func:`opinioncast.methods.error_bars.interval` that holds
            9 in 10 shares of other questions.
        least_words: share of a wording's words that surveys use too, below which it has no basis.
        least_cosine: of its embedding with the nearest known question's, likewise.
        words: those that surveys use.
    """

    widths: Mapping[int, float]
    least_words: float
    least_cosine: float
    words: frozenset[str]

    def width(self, options: int) -> float:
        """A count never measured has the width of the next smaller one."""
        below = [k for k in self.widths if k <= options]
        return self.widths[max(below)] if below else max(self.widths.values())


@cache
def measured() -> Measured:
    """The package's own figures."""
    folder = resources.files("opinioncast.methods")
    raw = read_document(str(folder / "basis.json"), "What predictions rest on")
    words = (folder / "known_words.txt").read_text("utf-8").split()
    return Measured(
        {int(k): float(v) for k, v in raw["widths"].items()},
        float(raw["least_words"]),
        float(raw["least_cosine"]),
        frozenset(words),
    )


@runtime_checkable
class KnowsQuestions(Protocol):
    """A method that can say which questions it learned from."""

    @property
    def known_questions(self) -> Vectors:
        """Their embeddings, unit vectors of shape (questions, dimensions)."""
        ...

    @property
    def encoder(self) -> TextEncoder: ...


@runtime_checkable
class KnowsGroups(Protocol):
    """A method that can say which conditions of groups it learned from."""

    @property
    def seen(self) -> Sequence[str]:
        """As :func:`opinioncast.methods.embedding.features.condition_text` words them."""
        ...

    @property
    def encoder(self) -> TextEncoder: ...


def words_of(text: str) -> list[str]:
    """The words of a text in small letters, without accents' variants."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def known_share(question: Question, words: frozenset[str]) -> float:
    """Share of the words of a question and its options that surveys use; 0 where it has none.

    The wording alone counts where that share is lower: "Yes" and "No" make no question English.
    """
    text = words_of(question.text)
    if not text:
        return 0.0
    whole = [*text, *(w for o in question.options for w in words_of(o))]
    return min(sum(w in words for w in part) / len(part) for part in (text, whole))


def lacks_basis(question: Question, cosine: float | None) -> str:
    """Why nothing is known of a question; empty where something is.

    Args:
        cosine: with the nearest known question; None: not known.
    """
    known = measured()
    letters = [c for c in question.text if unicodedata.category(c)[0] == "L"]
    if not letters:
        return "no words"
    latin = sum("LATIN" in unicodedata.name(c, "") for c in letters) / len(letters)
    if latin < 0.5:
        return "not in English"
    if known_share(question, known.words) < known.least_words:
        return "not in the words of English surveys"
    if cosine is not None and cosine < known.least_cosine:
        return "unlike any question known"
    return ""


def nearest_known(method: Method, questions: Sequence[Question]) -> list[float | None]:
    """How near the nearest question that a method learned from is to each; None where it cannot
    say."""
    knowing = next((m for m in _parts(method) if isinstance(m, KnowsQuestions)), None)
    if knowing is None or not questions:
        return [None] * len(questions)
    vectors = knowing.encoder.encode([q.text for q in questions])
    return [float(v) for v in (vectors @ knowing.known_questions.T).max(axis=1)]


def nearest_known_groups(method: Method, groups: GroupScheme) -> list[float | None]:
    """How near the nearest group that a method learned from is to each: the least over a group's
    conditions, 1 for everyone; None where the method cannot say."""
    knowing = next((m for m in _parts(method) if isinstance(m, KnowsGroups)), None)
    if knowing is None or not knowing.seen:
        return [None] * len(groups)
    texts = group_texts(list(groups), groups.attributes)
    new = sorted({t for conditions in texts for t in conditions} - set(knowing.seen))
    near = dict.fromkeys(knowing.seen, 1.0)
    if new:
        cosines = knowing.encoder.encode(new) @ knowing.encoder.encode(list(knowing.seen)).T
        near |= dict(zip(new, cosines.max(axis=1).tolist(), strict=True))
    return [min((near[t] for t in conditions), default=1.0) for conditions in texts]


def _parts(method: Method) -> list[Method]:
    return [method, *(m for m, _ in getattr(method, "parts", ()))]


def group_is_known(subpopulation: Subpopulation) -> bool:
    """Whether each of its attributes is one whose groups were measured."""
    return all(a in standard_attributes() for a, _ in subpopulation.conditions)


def with_basis(prediction: Prediction, cells: Cells, method: Method) -> Prediction:
    """The prediction with rows that have no basis saying so, and intervals as wide as that.

    Rows whose settings were never measured keep intervals from 0 to 1. Each row has how near the
    nearest known question and group are; the record has the questions', and counts the rows.
    """
    near = nearest_known(method, cells.questions)
    frame = _with_nearness(prediction.table.frame, cells, near, method)
    why = {_key(q): lacks_basis(q, cosine) for q, cosine in zip(cells.questions, near, strict=True)}
    groups = {
        g.key: "" if group_is_known(g) else "group not known" for g in cells.groups.subpopulations
    }
    columns: dict[str, list[Any]] = {n: frame[n].to_list() for n in ("low", "high", "basis")}
    keys = frame.select("family", "wave", "question_id", "attribute", "group").iter_rows()
    shares = frame["distribution"].to_list()
    counted = 0
    for i, (family, wave, question_id, *group) in enumerate(keys):
        reasons = [why[family, wave, question_id], groups[tuple(group)]]
        if columns["basis"][i] != MODEL or not any(reasons):
            continue
        low, high = interval(shares[i], measured().width(len(shares[i])))
        columns["low"][i] = np.minimum(low, columns["low"][i]).tolist()
        columns["high"][i] = np.maximum(high, columns["high"][i]).tolist()
        columns["basis"][i] = f"{MODEL}, {NO_BASIS}: {' and '.join(filter(None, reasons))}"
        counted += 1
    record = dict(prediction.record) | {"rows_without_basis": counted}
    told = {q.question_id: c for q, c in zip(cells.questions, near, strict=True) if c is not None}
    if told:
        record["nearest_known_question"] = {i: round(c, 3) for i, c in told.items()}
    lists = pl.List(pl.Float64)
    new = frame.with_columns(
        *(pl.Series(n, columns[n], dtype=lists) for n in ("low", "high")),
        pl.Series("basis", columns["basis"], dtype=pl.String),
    )
    return replace(prediction, table=PredictionTable(new, prediction.table.meta), record=record)


def _with_nearness(
    frame: pl.DataFrame, cells: Cells, near: Sequence[float | None], method: Method
) -> pl.DataFrame:
    by_question = {_key(q): c for q, c in zip(cells.questions, near, strict=True)}
    groups = [g.key for g in cells.groups.subpopulations]
    by_group = dict(zip(groups, nearest_known_groups(method, cells.groups), strict=True))
    keys = list(frame.select("family", "wave", "question_id", "attribute", "group").iter_rows())
    told = {
        "known_question": [by_question[key[:3]] for key in keys],
        "known_group": [by_group[key[3:]] for key in keys],
    }
    return frame.with_columns(
        pl.Series(n, [None if v is None else min(round(v, 4), 1.0) for v in values], pl.Float64)
        for n, values in told.items()
    )


def _key(question: Question) -> tuple[str, str, str]:
    return question.family, question.wave, question.question_id
