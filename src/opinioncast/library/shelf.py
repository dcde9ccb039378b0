"""The library itself: tables with their questions, found by wording or meaning, read when asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.documents import read_document
from opinioncast.errors import DataError, InputError
from opinioncast.files import atomic_path, discard
from opinioncast.parquet_files import read_parquet
from opinioncast.survey import OpinionTable, Question
from opinioncast.survey.sameness import wording_key

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, shape (texts, dimensions)."""

TABLE, QUESTIONS, MEANINGS = "opinions.parquet", "questions.parquet", "meanings.npz"
FILES = (TABLE, f"{TABLE}.json", QUESTIONS, MEANINGS)
"""Files of a table's folder: shares, its questions, their embeddings."""

_INDEX: dict[str, Any] = {
    "family": pl.String,
    "question_id": pl.String,
    "question": pl.String,
    "options": pl.List(pl.String),
    "ordinal": pl.List(pl.Float64),
    "waves": pl.List(pl.String),
    "groups": pl.Int64,
}


@dataclass(frozen=True)
class AskedBefore:
    """A question that a survey asked, in one or more waves.

    Attributes:
        question: as its latest wave asked it.
        waves: by year, the latest last.
        source: name of the table that has it.
        groups: most that a wave has, the total among them.
    """

    question: Question
    waves: tuple[str, ...]
    source: str
    groups: int

    @property
    def name(self) -> str:
        """``GSS/grass``: how a person asks for it."""
        return f"{self.question.family}/{self.question.question_id}"

    @property
    def asked(self) -> str:
        """``asked by GSS in 2018`` or ``asked by GSS in 1994 to 2018 (9 times)``."""
        first, last = self.waves[0], self.waves[-1]
        when = last if len(self.waves) == 1 else f"{first} to {last} ({len(self.waves)} times)"
        return f"asked by {self.question.family} in {when}"


def year_of(wave: str) -> int | None:
    """The year that a wave's name tells.

    >>> year_of("pilot 2018"), year_of("82")
    (2018, None)
    """
    found = re.findall(r"(?<!\d)(?:19|20)\d\d(?!\d)", wave)
    return int(found[0]) if len(set(found)) == 1 else None


def index_of(table: OpinionTable) -> pl.DataFrame:
    """The questions of a table, one row per family and id: that of the latest wave.

    Raises:
        DataError: waves of one question with other options; such are other questions.
    """
    frame = table.frame.with_columns(
        year=pl.col("wave").map_elements(lambda w: year_of(w) or 0, return_dtype=pl.Int64)
    )
    by = ["family", "question_id"]
    waves = frame.select(*by, "wave", "year").unique().sort("year", "wave")
    waves = waves.group_by(by, maintain_order=True).agg(waves=pl.col("wave"))
    sizes = frame.group_by(*by, "wave").len().group_by(by).agg(groups=pl.col("len").max())
    asked = frame.select(*by, "question", "options", "ordinal", "year", "wave").unique()
    options = asked.select(*by, "options").unique().group_by(by).len().filter(pl.col("len") > 1)
    if options.height:
        raise DataError(
            "A question has other options in another wave",
            where="/".join(map(str, options.row(0)[:2])),
            expected="one list of options for each family and question_id",
            found=f"{options.height} question(s) with several",
            hint="give the variants different ids",
        )
    latest = asked.sort("year", "wave").unique(by, keep="last", maintain_order=True)
    whole = latest.join(waves, on=by).join(sizes, on=by).sort(by)
    return whole.select(pl.col(name).cast(kind) for name, kind in _INDEX.items())


@dataclass(frozen=True)
class Shelf:
    """One table of the library.

    Attributes:
        name: what a person calls it.
        folder: where its files are.
    """

    name: str
    folder: Path

    @cached_property
    def card(self) -> dict[str, Any]:
        """Citation, terms and waves, of the table's sidecar."""
        return dict(read_document(self.folder / f"{TABLE}.json", "A sidecar", error=DataError))

    @property
    def terms(self) -> str:
        return str(self.card.get("terms", "not told"))

    @cached_property
    def questions(self) -> list[AskedBefore]:
        """Every question, by family and id.

        Raises:
            DataError: the list cannot be read.
        """
        path = self.folder / QUESTIONS
        try:
            frame = read_parquet(path)
            return [
                AskedBefore(
                    Question(i, text, tuple(options), tuple(ordinal), family, waves[-1]),
                    tuple(waves),
                    self.name,
                    groups,
                )
                for family, i, text, options, ordinal, waves, groups in frame.select(
                    list(_INDEX)
                ).iter_rows()
            ]
        except (pl.exceptions.PolarsError, OSError, InputError) as error:
            what = "A table of the library has lost its list of questions"
            raise _damaged(what, path, error) from error

    def rows(self, asked: AskedBefore, waves: Iterable[str] | None = None) -> pl.DataFrame:
        """What groups answered, an OpinionTable's rows; of some waves only where they are named."""
        key = (asked.question.family, asked.question.question_id)
        places = self._places.get(key)
        if places is None:
            return self._table.clear()
        found = self._table[places]
        return found if waves is None else found.filter(pl.col("wave").is_in(list(waves)))

    @cached_property
    def _table(self) -> pl.DataFrame:
        """The table, read once: a questionnaire asks for many of its questions.

        Raises:
            DataError: it cannot be read.
        """
        path = self.folder / TABLE
        try:
            return read_parquet(path)
        except (pl.exceptions.PolarsError, OSError, InputError) as error:
            raise _damaged("A table of the library cannot be read", path, error) from error

    @cached_property
    def _places(self) -> dict[tuple[str, str], list[int]]:
        """Where each question's rows are, by family and id. (A frame for each would take seconds:
        there are over a thousand, and a questionnaire asks for few.)"""
        by = ["family", "question_id"]
        found = self._table.select(by).with_row_index("place").group_by(by).agg("place")
        return {(family, i): places for family, i, places in found.iter_rows()}

    def meanings(self, encode: Encode, fingerprint: str) -> Vectors:
        """Embeddings of the questions, kept beside them where the sentence model is the same."""
        kept = self._kept(fingerprint)
        return kept if kept is not None else encode([a.question.text for a in self.questions])

    def _kept(self, fingerprint: str) -> Vectors | None:
        path = self.folder / MEANINGS
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            if str(file["fingerprint"]) != fingerprint:
                return None
            vectors = file["vectors"].astype(np.float32)
        if len(vectors) != len(self.questions):
            return None
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _damaged(what: str, path: Path, found: object) -> DataError:
    return DataError(
        what,
        where=str(path),
        expected="a file written by opinioncast",
        found=found,
        hint="remove the table and add it again: opinioncast library remove, add",
    )


def write_shelf(
    table: OpinionTable, folder: Path, encode: Encode | None = None, fingerprint: str = ""
) -> list[Path]:
    """Write a table with its questions, and their embeddings where they can be encoded.

    Raises:
        DataError: :func:`index_of`.
    """
    index = index_of(table)
    files = [table.write(folder / TABLE), folder / QUESTIONS]
    with atomic_path(folder / QUESTIONS) as temporary:
        index.write_parquet(temporary)
    meanings = folder / MEANINGS
    if encode is None:
        discard(meanings)
    else:
        vectors = encode(index["question"].to_list()).astype(np.float16)
        with atomic_path(meanings) as temporary, temporary.open("wb") as out:
            np.savez_compressed(out, vectors=vectors, fingerprint=np.array(fingerprint))
        files.append(meanings)
    return files


@dataclass(frozen=True)
class Near:
    """A question asked before, and how near it is to another one.

    Attributes:
        cosine: of the two wordings' embeddings; 1 for the very wording.
        very: it is the same question: its wording, or its meaning from :data:`VERY` on where
            neither says something else (:func:`says_no_other`).
    """

    asked: AskedBefore
    cosine: float
    very: bool


VERY = 0.93
"""Cosine from which two wordings can be taken for one question asked before. Far above what keeps
questions off both sides of a score, where one that is missed costs more than one too many."""

# fmt: off
_FUNCTION = frozenset((
    "that", "this", "these", "those", "with", "have", "from", "they", "them", "would", "your",
    "yours", "about", "should", "there", "their", "what", "which", "when", "than", "some",
    "people", "think", "following", "whether", "please", "tell", "does", "were", "been",
    "being", "into", "the", "and", "for", "are", "you", "was", "has", "had", "not", "how",
    "who", "why", "can", "may", "did", "its", "our", "out", "get", "let", "say", "too", "any",
    "all", "but", "nor", "yes",
))
# fmt: on
_NEGATION = re.compile(r"\b(?:not|no|never|without|neither|un\w+)\b|n't\b")


def says_no_other(one: str, other: str) -> bool:
    """Whether one of two wordings has all that the other has, and turns nothing of it.

    The items of a battery differ in what is asked about ("Blacks", "Hispanics") and in nothing
    else: alike as they are, they are two questions.

    >>> says_no_other("Is it too hot?", "Is it too hot in summer, or not hot enough?")
    False
    >>> says_no_other("How much do you trust Congress?", "How much do you trust the courts?")
    False
    >>> says_no_other("Are taxes too high?", "Nowadays, are taxes too high?")
    True
    """
    left, right = (
        {w for w in re.findall(r"[\w']+", t.casefold()) if len(w) > 2 and w not in _FUNCTION}
        for t in (one, other)
    )
    if not (left <= right or right <= left):
        return False
    negations = (len(_NEGATION.findall(t.casefold())) for t in (one, other))
    return len(set(negations)) == 1


@dataclass(frozen=True)
class Library:
    """Tables at hand.

    Attributes:
        shelves: the shipped one and the user's own, in the order in which they count.
    """

    shelves: tuple[Shelf, ...] = field(default=())

    @cached_property
    def questions(self) -> list[AskedBefore]:
        return [asked for shelf in self.shelves for asked in shelf.questions]

    @cached_property
    def _by_wording(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for i, asked in enumerate(self.questions):
            found.setdefault(wording_key(asked.question.text), []).append(i)
        return found

    def shelf(self, asked: AskedBefore) -> Shelf:
        """The table that has a question."""
        return next(s for s in self.shelves if s.name == asked.source)

    def find(self, name: str) -> AskedBefore:
        """A question by ``FAMILY/id``, or by its id alone where one family has it.

        Raises:
            InputError: none, or several, have that name.
        """
        small = name.strip().casefold()
        found = [
            a
            for a in self.questions
            if small in (a.name.casefold(), a.question.question_id.casefold())
        ]
        if len(found) != 1:
            raise InputError(
                "No question of the library has this name"
                if not found
                else "Several questions of the library have this name",
                expected="FAMILY/id, as `opinioncast library search WORDS` lists them",
                found=name if not found else ", ".join(a.name for a in found[:8]),
            )
        return found[0]

    def by_wording(self, text: str) -> list[Near]:
        """Questions of the very wording."""
        key = wording_key(text)
        places = self._by_wording.get(key, []) if key else []
        return [Near(self.questions[i], 1.0, True) for i in places]

    def nearest(
        self, texts: Sequence[str], encode: Encode, fingerprint: str, k: int = 3
    ) -> list[list[Near]]:
        """For each text the ``k`` questions that mean most alike, the nearest first."""
        if not texts or not self.questions:
            return [[] for _ in texts]
        known = np.concatenate([s.meanings(encode, fingerprint) for s in self.shelves])
        cosines = np.clip(encode(texts) @ known.T, -1, 1)
        found = []
        for text, row in zip(texts, cosines, strict=True):
            same = {n.asked.name: n for n in self.by_wording(text)}
            order = np.argsort(-row, kind="stable")[: k + len(same)]
            near = [
                Near(
                    self.questions[i],
                    float(row[i]),
                    bool(row[i] >= VERY) and says_no_other(text, self.questions[i].question.text),
                )
                for i in order.tolist()
                if self.questions[i].name not in same
            ]
            found.append([*same.values(), *near][:k])
        return found
