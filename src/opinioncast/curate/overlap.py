"""Questions that ask the same thing: found by embeddings, removed across train and evaluation.

Paper, appendix A.5 and Figures 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.survey.sameness import (
    MINILM_THRESHOLD,
    Asked,
    Sameness,
    find_same,
    similarities,
)
from opinioncast.survey.tables import OpinionTable

Vectors = npt.NDArray[np.float32]
Encoder = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, shape (texts, dimensions)."""

PAPER_THRESHOLD = 0.87
"""A.5, for OpenAI-text-embedding-3-large; for another model see :func:`choose_threshold`."""

BINS = 400
"""Of the histogram over cosines from -1 to 1: each 0.005 wide."""

MAX_PAIRS = 5_000_000


@dataclass(frozen=True)
class QuestionSet:
    """Questions with their embeddings.

    Attributes:
        name: what the set is called in figures and records.
        ids: one key per question (:func:`question_key` for questions of a table).
        texts: their wordings.
        vectors: unit vectors, shape (questions, dimensions).
    """

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    vectors: Vectors

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.texts) == len(self.vectors):
            raise InputError(
                "A question set has not one text and one vector per id",
                where=self.name,
                expected=f"{len(self.ids)} of each",
                found=f"{len(self.texts)} texts, {len(self.vectors)} vectors",
            )
        lengths = np.linalg.norm(self.vectors, axis=1)
        if not np.allclose(lengths, 1, atol=1e-3):
            raise InputError(
                "An embedding is not a unit vector",
                where=f"{self.name}, {self.ids[int(np.abs(lengths - 1).argmax())]}",
                expected="vectors of length 1, whose dot product is their cosine",
                found=f"length {lengths[int(np.abs(lengths - 1).argmax())]:g}",
            )

    @classmethod
    def of_texts(cls, name: str, texts: Mapping[str, str], encode: Encoder) -> QuestionSet:
        """A set from id -> wording."""
        return cls(name, tuple(texts), tuple(texts.values()), encode(list(texts.values())))

    @classmethod
    def of_table(cls, name: str, table: OpinionTable, encode: Encoder) -> QuestionSet:
        """The questions of a table."""
        return cls.of_texts(name, {question_key(*k): t for k, t in _questions(table)}, encode)


def question_key(family: str, wave: str, question_id: str) -> str:
    """A table's question as one string (``GSS/2018/abany``)."""
    return f"{family}/{wave}/{question_id}"


@dataclass(frozen=True)
class Overlap:
    """What :func:`find_overlap` found.

    Attributes:
        pairs: columns left_id, right_id, left_text, right_text, cosine; the most alike first.
        histogram: columns low, high (bounds of the cosine), pairs (of all pairs), nearest (left
            questions by their nearest right one). Figure 8 draws ``pairs``.
        threshold: smallest cosine in ``pairs``.
        names: of the two sets.
    """

    pairs: pl.DataFrame
    histogram: pl.DataFrame
    threshold: float
    names: tuple[str, str]

    def links(self) -> list[tuple[str, str]]:
        """The pairs' ids, for :func:`opinioncast.curate.split.split_table`."""
        return list(self.pairs.select("left_id", "right_id").iter_rows())


def find_overlap(
    left: QuestionSet, right: QuestionSet | None = None, *, threshold: float = PAPER_THRESHOLD
) -> Overlap:
    """Pairs of a left and a right question with a cosine of ``threshold`` or more.

    Without ``right``, pairs within ``left``, each once. Similarities are computed block by block:
    they take some 300 MB however many questions there are.

    Raises:
        InputError: embeddings of different length, or more than 5 million pairs.
    """
    within = right is None
    other = left if right is None else right
    if left.vectors.shape[1:] != other.vectors.shape[1:]:
        raise InputError(
            "Two question sets were embedded by different models",
            expected=f"{left.vectors.shape[1]} dimensions, as {left.name}",
            found=f"{other.vectors.shape[1]} in {other.name}",
        )
    rows, columns, cosines = [], [], []
    counts = np.zeros(BINS, dtype=np.int64)
    nearest = np.full(len(left.ids), -np.inf, dtype=np.float32)
    found = 0
    for start, stop, block in similarities(left.vectors, other.vectors):
        if within:  # below and on the diagonal: counted when seen from the other side
            seen = np.arange(len(other.ids))[None, :] <= np.arange(start, stop)[:, None]
            counts += _count(block[~seen])
            np.fill_diagonal(block[:, start:stop], -np.inf)
            nearest[start:stop] = block.max(axis=1, initial=-np.inf)
            block[seen] = -np.inf
        else:
            counts += _count(block)
            nearest[start:stop] = block.max(axis=1, initial=-np.inf)
        i, j = np.nonzero(block >= threshold)
        found += len(i)
        if found > MAX_PAIRS:
            raise InputError(
                "Too many pairs of questions are alike",
                where=f"{left.name} and {other.name}",
                expected=f"up to {MAX_PAIRS:,} pairs with a cosine of {threshold:g} or more",
                found=f"more than that in the first {stop} of {len(left.ids)} questions",
                hint="raise the threshold, or leave out repeated wordings first",
            )
        rows.append(i + start)
        columns.append(j)
        cosines.append(block[i, j])
    i, j = _joined(rows), _joined(columns)
    pairs = pl.DataFrame(
        {
            "left_id": [left.ids[k] for k in i],
            "right_id": [other.ids[k] for k in j],
            "left_text": [left.texts[k] for k in i],
            "right_text": [other.texts[k] for k in j],
            "cosine": np.concatenate(cosines or [np.zeros(0, np.float32)]).astype(float),
        },
        schema={
            "left_id": pl.String,
            "right_id": pl.String,
            "left_text": pl.String,
            "right_text": pl.String,
            "cosine": pl.Float64,
        },
    )
    edges = np.linspace(-1, 1, BINS + 1)
    histogram = pl.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "pairs": counts,
            "nearest": _count(nearest[np.isfinite(nearest)]),
        }
    )
    return Overlap(
        pairs.sort(["cosine", "left_id", "right_id"], descending=[True, False, False]),
        histogram,
        threshold,
        (left.name, other.name),
    )


def _count(cosines: Vectors) -> npt.NDArray[np.int64]:
    bins = ((cosines.ravel() + 1) * (BINS / 2)).astype(np.int32)
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS).astype(np.int64)


def _joined(parts: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def remove_overlap(
    train: OpinionTable, evaluation: OpinionTable, overlap: Overlap
) -> tuple[OpinionTable, pl.DataFrame]:
    """Take out of ``train`` every question that ``evaluation`` asks too.

    Args:
        overlap: of ``train`` (left) and ``evaluation`` (right).

    Returns:
        The rest of ``train``, and one row per removed question: id, question, rows, reason,
        evaluation_id, evaluation_question, cosine (null where the two share key or wording).

    Raises:
        InputError: the pairs name questions that are in neither table.
    """
    asked = {question_key(*k): t for k, t in _questions(train)}
    held = {question_key(*k): t for k, t in _questions(evaluation)}
    strange = set(overlap.pairs["left_id"]) - set(asked) | set(overlap.pairs["right_id"]) - set(
        held
    )
    if strange:
        raise InputError(
            "The pairs are not of these two tables",
            where=" and ".join(overlap.names),
            expected="left ids of the training table, right ids of the evaluation table",
            found=", ".join(sorted(strange)[:5]),
            hint="make both sets with QuestionSet.of_table, the training table first",
        )
    record: dict[str, tuple[str, str, float | None]] = {}
    for same in sameness_of(train, evaluation).found:
        left, right = (question_key(*each[:3]) for each in (same.question, same.other))
        record[left] = (f"the same {same.reason}", right, None)
    for left, right, cosine in overlap.pairs.select("left_id", "right_id", "cosine").iter_rows():
        record.setdefault(left, ("the same meaning", right, cosine))  # nearest first
    ids = pl.concat_str("family", "wave", "question_id", separator="/")
    keyed = train.frame.with_columns(key=ids)
    rows = dict(keyed.group_by("key").len().iter_rows())
    removed = pl.DataFrame(
        [
            {
                "id": left,
                "question": asked[left],
                "rows": rows[left],
                "reason": reason,
                "evaluation_id": right,
                "evaluation_question": held[right],
                "cosine": cosine,
            }
            for left, (reason, right, cosine) in sorted(record.items())
        ],
        schema={
            "id": pl.String,
            "question": pl.String,
            "rows": pl.Int64,
            "reason": pl.String,
            "evaluation_id": pl.String,
            "evaluation_question": pl.String,
            "cosine": pl.Float64,
        },
    )
    rest = keyed.filter(~pl.col("key").is_in(list(record))).drop("key")
    return OpinionTable(rest, train.meta), removed


def without_questions(table: OpinionTable, questions: Iterable[Asked]) -> OpinionTable:
    """The table without these questions of its own."""
    keys = ["family", "wave", "question_id"]
    named = pl.DataFrame(
        [q[:3] for q in questions], schema=dict.fromkeys(keys, pl.String), orient="row"
    )
    rest = table.frame.join(named, on=keys, how="anti", maintain_order="left")
    return OpinionTable(rest, table.meta)


def sameness_of(
    table: OpinionTable,
    other: OpinionTable,
    encode: Encoder | None = None,
    *,
    threshold: float = MINILM_THRESHOLD,
) -> Sameness:
    """The questions of ``table`` that ``other`` asks too: :func:`survey.sameness.find_same`."""
    left, right = ([Asked(*key, text) for key, text in _questions(t)] for t in (table, other))
    return find_same(left, right, encode, threshold=threshold)


def _questions(table: OpinionTable) -> list[tuple[tuple[str, str, str], str]]:
    unique = table.frame.select("family", "wave", "question_id", "question").unique(
        ["family", "wave", "question_id"], maintain_order=True
    )
    return [((f, w, q), text) for f, w, q, text in unique.iter_rows()]


@dataclass(frozen=True)
class ThresholdChoice:
    """A threshold and what it costs.

    Attributes:
        threshold: pairs at or above count as the same question.
        table: columns threshold, recall, precision, flagged; by 0.01 from 0.40 to 0.99, and the
            chosen one.
    """

    threshold: float
    table: pl.DataFrame


def choose_threshold(
    labelled: pl.DataFrame, encode: Encoder, *, recall: float = 1.0
) -> ThresholdChoice:
    """The highest threshold that still finds ``recall`` of the pairs labelled the same.

    Recall comes before precision (A.5): an overlap that is missed spoils an evaluation, a question
    removed for nothing costs one question. Precision is that of ``labelled``, whose pairs are
    hardly a random sample; it compares thresholds, it does not predict.

    Args:
        labelled: columns text_a, text_b, same (true: the two ask the same thing).

    Raises:
        InputError: a column or a label is missing, or no pair is labelled the same.
    """
    absent = {"text_a", "text_b", "same"} - set(labelled.columns)
    if absent or labelled.select(pl.col("text_a", "text_b", "same").has_nulls()).row(0).count(True):
        raise InputError(
            "Labelled pairs lack something",
            expected="text_a, text_b and same (true or false) in each row",
            found=f"no column {', '.join(sorted(absent))}" if absent else "empty cells",
        )
    if not 0 < recall <= 1 or not labelled["same"].any():
        raise InputError(
            "No threshold can be chosen",
            expected="a recall above 0 and up to 1, and pairs labelled the same",
            found=f"recall {recall}, {int(labelled['same'].sum())} pairs labelled the same",
        )
    a, b = encode(labelled["text_a"].to_list()), encode(labelled["text_b"].to_list())
    cosine = np.einsum("ij,ij->i", a, b).astype(float)
    same = labelled["same"].to_numpy().astype(bool)
    ranked = np.sort(cosine[same])[::-1]
    needed = int(np.ceil(recall * len(ranked) - 1e-9))
    threshold = float(np.floor(ranked[needed - 1] * 1000) / 1000)
    grid = np.unique(np.append(np.arange(40, 100) / 100, threshold))
    flagged = cosine[None, :] >= grid[:, None]
    hits = (flagged & same).sum(axis=1)
    total = flagged.sum(axis=1)
    table = pl.DataFrame(
        {
            "threshold": grid,
            "recall": hits / same.sum(),
            "precision": [h / t if t else None for h, t in zip(hits, total, strict=True)],
            "flagged": total,
        }
    )
    return ThresholdChoice(threshold, table)
