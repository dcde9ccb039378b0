"""When two questions are one: the one rule that keeps them off both sides of an evaluation.

Two questions are the same by

* **key**: one family and one item, whatever the wave. ``SATIS_W82`` and ``satis_w92`` are one;
* **wording**: the same letters and digits, whatever the family, the id, case, punctuation,
  apostrophes, accents, spaces, HTML, the item's number before it, or the form in which a character
  is coded;
* **meaning**: embeddings with a cosine of a measured threshold or more (paper, appendix A.5), where
  a sentence model is at hand.

Splits, removal of overlap, trainers, few-shot, nearest questions and evaluation ask here. Options
do not matter: what was answered on four options tells what will be answered on five.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from opinioncast.errors import InputError

F = TypeVar("F", bound=np.floating[Any])
Vectors = npt.NDArray[np.floating[Any]]
Encode = Callable[[Sequence[str]], Vectors]
"""Texts to unit vectors, shape (texts, dimensions)."""

Reason = Literal["key", "wording", "meaning"]

MINILM_THRESHOLD = 0.72
"""Smallest cosine of two questions that mean the same, for the embedded sentence model: no labelled
pair is missed (A.5); measured by ``benchmarks/overlap_threshold.py``, where 0.87 misses 7% of
reworded questions."""

_BLOCK_CELLS = 16_000_000  # 64 MB of float32 similarities at a time
_WAVE = re.compile(r"_w\d+[a-z]?$")
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʹʻʼʽˈˊˋ＇"))
_ENTITY = re.compile(r"&(?:#\d+|#x[0-9a-f]+|\w+);", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>")
_ACCENTS = dict.fromkeys(range(0x300, 0x370))  # combining ones of Latin, Greek and Cyrillic letters
_ITEM = re.compile(  # "12. ", "b) ", "Q12a: ", where words follow
    r"^[\W_]*(?:q(?:uestion)?[ .]{0,2}\d{1,3}[a-z]?|\d{1,3}[a-z]?|[a-z])[.):]\s+(?=.*[^\W\d_])",
    re.DOTALL,
)
_THOUSANDS = re.compile(r"(?<=\d)[,. ](?=\d{3}(?!\d))")
_NOT_ASCII_WORD = re.compile(r"[^0-9a-z]+")
_BETWEEN_WORDS = re.compile(r"(?<!\d) +| +(?!\d)")


class HasWording(Protocol):
    """A question, or whatever has its names (:class:`Asked`)."""

    @property
    def family(self) -> str: ...
    @property
    def wave(self) -> str: ...
    @property
    def question_id(self) -> str: ...
    @property
    def text(self) -> str: ...


class Asked(NamedTuple):
    """A question as one wave asked it, without its options."""

    family: str
    wave: str
    question_id: str
    text: str


class Mark(NamedTuple):
    """What two questions share that are the same; ``value`` tells items, or wordings, apart."""

    reason: Reason
    value: str


def item_key(wave: str, question_id: str) -> str:
    """The question's key without its wave and in small letters.

    >>> item_key("82", "SATIS_W82"), item_key("", "satis_w92"), item_key("2018", "SATFIN")
    ('satis', 'satis', 'satfin')
    """
    item = question_id.strip().casefold()
    if wave.strip():
        item = item.removesuffix(f"_w{wave.strip().casefold()}") or item
    return _WAVE.sub("", item) or item


def wording_key(text: str) -> str:
    """The letters and digits of a wording: what spelling and typesetting leave of it.

    A space stays between two digits, so that 3.5 is not 35, but for thousands. Empty without a
    letter or digit.

    >>> wording_key("Don’t you AGREE - that 3.5%  is high?")
    'dontyouagreethat3 5ishigh'
    >>> wording_key("12a. dont you <b>agree</b> that 3,5&nbsp;% is high")
    'dontyouagreethat3 5ishigh'
    """
    plain = _ENTITY.sub(lambda m: html.unescape(m[0]), text).translate(_APOSTROPHES)
    small = unicodedata.normalize("NFKC", plain.casefold()).casefold()
    small = unicodedata.normalize("NFKD", small).translate(_ACCENTS)
    small = unicodedata.normalize("NFKC", small)
    small = _THOUSANDS.sub("", _ITEM.sub("", _TAG.sub(" ", small)))
    if small.isascii():
        words = _NOT_ASCII_WORD.sub(" ", small)
    else:
        words = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in small)
    return _BETWEEN_WORDS.sub("", " ".join(words.split()))


def marks(question: HasWording) -> tuple[Mark, ...]:
    """What tells that the question is another one: its item, and its wording where it has any."""
    item = item_key(question.wave, question.question_id)
    wording = wording_key(question.text)
    named = Mark("key", f"{question.family.strip().casefold()}/{item}")
    return (named, Mark("wording", wording)) if wording else (named,)


def same_question(one: HasWording, other: HasWording) -> bool:
    """Whether two questions are one by key or wording."""
    return not set(marks(one)).isdisjoint(marks(other))


@dataclass(frozen=True)
class Same:
    """A question that another side asks too.

    Attributes:
        question, other: on this side and on the other.
        reason: the first of key, wording, meaning that holds.
        cosine: of the two wordings' embeddings, for "meaning" only.
    """

    question: Asked
    other: Asked
    reason: Reason
    cosine: float | None = None


@dataclass(frozen=True)
class Sameness:
    """Which questions of one side another side asks too.

    Attributes:
        found: one entry for each question of this side that is on both.
        questions: how many this side has.
        threshold: cosine from which two questions mean the same; None: meaning was not looked at.
    """

    found: tuple[Same, ...]
    questions: int
    threshold: float | None

    def count(self, reason: Reason) -> int:
        """How many are on both sides for this reason."""
        return sum(s.reason == reason for s in self.found)

    def of(self, reasons: Iterable[Reason]) -> tuple[Same, ...]:
        """Those that are on both sides for one of ``reasons``."""
        wanted = set(reasons)
        return tuple(s for s in self.found if s.reason in wanted)

    def record(self) -> dict[str, Any]:
        """Counts for a manifest; ``meaning`` is null where it was not looked at."""
        return {
            "questions": self.questions,
            "key": self.count("key"),
            "wording": self.count("wording"),
            "meaning": None if self.threshold is None else self.count("meaning"),
            "threshold": self.threshold,
        }

    def words(self) -> str:
        """The counts: ``0 of 18 by key or wording, 0 by meaning (cosine 0.72 or more)``."""
        named = self.count("key") + self.count("wording")
        meant = (
            "meaning was not compared (no sentence model at hand)"
            if self.threshold is None
            else f"{self.count('meaning')} by meaning (cosine {self.threshold:g} or more)"
        )
        return f"{named} of {self.questions} by key or wording, {meant}"


def find_same(
    questions: Sequence[HasWording],
    others: Sequence[HasWording],
    encode: Encode | None = None,
    *,
    threshold: float = MINILM_THRESHOLD,
) -> Sameness:
    """The questions that ``others`` ask too.

    Args:
        encode: compares meanings; None: only keys and wordings.
        threshold: of the sentence model that encodes.
    """
    asked, known = (list(map(_asked, side)) for side in (questions, others))
    first: dict[Mark, Asked] = {}
    for other in known:
        for mark in marks(other):
            first.setdefault(mark, other)
    found: list[Same] = []
    rest: list[Asked] = []
    for question in asked:
        shared = next((m for m in marks(question) if m in first), None)
        if shared is None:
            rest.append(question)
        else:
            found.append(Same(question, first[shared], shared.reason))
    if encode is not None and rest and known:
        left, right = (encode([q.text for q in side]) for side in (rest, known))
        for start, _, block in similarities(left, right):
            found += [
                Same(rest[start + i], known[j], "meaning", float(block[i, j]))
                for i, j in enumerate(block.argmax(axis=1))
                if block[i, j] >= threshold
            ]
    place = {q: i for i, q in enumerate(asked)}
    found.sort(key=lambda s: place[s.question])
    return Sameness(tuple(found), len(asked), None if encode is None else threshold)


def clusters(
    questions: Sequence[HasWording],
    linked: Iterable[tuple[int, int]] = (),
    *,
    units: Sequence[str] | None = None,
) -> list[int]:
    """Number of each question's cluster, by first appearance: whatever hangs together is in one.

    Args:
        linked: places of questions that are one for another reason (:func:`alike`).
        units: one name per question; those of one name stay together.
    """
    parent = list(range(len(questions)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    def join(i: int, j: int) -> None:
        low, high = sorted((root(i), root(j)))
        parent[high] = low

    holders: dict[object, int] = {}
    for i, question in enumerate(questions):
        named: list[object] = [*marks(question)]
        if units is not None:
            named.append(("unit", units[i]))
        for mark in named:
            join(i, holders.setdefault(mark, i))
    for i, j in linked:
        join(i, j)
    numbers: dict[int, int] = {}
    return [numbers.setdefault(root(i), len(numbers)) for i in range(len(questions))]


def alike(
    texts: Sequence[str], encode: Encode, *, threshold: float = MINILM_THRESHOLD
) -> list[tuple[int, int]]:
    """Places of texts that mean the same; each pair once, equal texts left out but for the first.

    A chain of pairs may be reduced to what links it: made for :func:`clusters`.
    """
    first: dict[str, int] = {}
    for i, text in enumerate(texts):
        first.setdefault(text, i)
    places = list(first.values())
    vectors = encode(list(first))
    pairs = []
    for start, _, block in similarities(vectors, vectors):
        rows, columns = np.nonzero(block >= threshold)
        above = columns > rows + start
        pairs += [
            (places[i], places[j])
            for i, j in zip((rows[above] + start).tolist(), columns[above].tolist(), strict=True)
        ]
    return pairs


def similarities(
    left: npt.NDArray[F], right: npt.NDArray[F]
) -> Iterator[tuple[int, int, npt.NDArray[F]]]:
    """Cosines of a run of left rows with all right rows: first row, end row, the block.

    Raises:
        InputError: vectors of two different sentence models.
    """
    if left.shape[1:] != right.shape[1:]:
        raise InputError(
            "Two question sets were embedded by different models",
            expected=f"{left.shape[1]} dimensions on both sides",
            found=f"{right.shape[1]} on the other",
        )
    height = max(1, _BLOCK_CELLS // max(1, len(right)))
    for start in range(0, len(left), height):
        stop = min(start + height, len(left))
        block: npt.NDArray[F] = left[start:stop] @ right.T
        yield start, stop, np.clip(block, -1, 1, out=block)


TRAINING_QUESTIONS = "training_questions.txt"
"""In the folder of a fine-tuned model: what :func:`digests` says of its training, a line each."""


def digests(questions: Iterable[HasWording]) -> str:
    """Keys and wordings of ``questions`` as sorted hashes of sixteen digits: what a trained model
    keeps to tell later what it was trained on, without the wordings."""
    return " ".join(sorted({_digest(mark) for q in questions for mark in marks(q)}))


def asked_before(questions: Sequence[HasWording], known: str) -> dict[str, int] | None:
    """How many ``questions`` are among those of ``known``, which :func:`digests` gave, by key or
    wording; None where ``known`` is empty: a model of before this was kept."""
    if not known:
        return None
    seen = set(known.split())
    both = sum(any(_digest(mark) in seen for mark in marks(q)) for q in questions)
    return {"questions": len(questions), "asked_in_training_too": both}


def _digest(mark: Mark) -> str:
    return hashlib.sha256(f"{mark.reason}:{mark.value}".encode()).hexdigest()[:16]


def repeated(questions: Sequence[HasWording]) -> int:
    """How many of ``questions`` are another one of them by key or wording."""
    sizes = Counter(clusters(questions))
    return sum(size - 1 for size in sizes.values())


def _asked(question: HasWording) -> Asked:
    return Asked(question.family, question.wave, question.question_id, question.text)
