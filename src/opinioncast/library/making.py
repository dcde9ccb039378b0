"""From curated tables to one reference table: opinions only, one wording a question, rounded."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from opinioncast.errors import DataError
from opinioncast.library.recipe import LibraryRecipe
from opinioncast.survey.sameness import Mark, item_key, marks, wording_key
from opinioncast.survey.tables import OpinionTable

DECIMALS = 4
"""Of shares and their errors in the library: a tenth of what the largest sample can tell."""

_NEGATION = re.compile(r"\b(?:no|not|never|without|n't|un\w+|dis\w+|oppos\w+)\b")
_ALIKE = 0.35  # of option texts of two years, on average; below it they are other options
_SLACK = 0.15

_Key = tuple[str, str, str]


class Named(NamedTuple):
    """A question as a wave asked it; what :mod:`opinioncast.survey.sameness` compares."""

    family: str
    wave: str
    question_id: str
    text: str
    options: tuple[str, ...]
    ordinal: tuple[float, ...]

    @property
    def key(self) -> _Key:
        return self.family, self.wave, self.question_id


@dataclass(frozen=True)
class MadeLibrary:
    """What :func:`make_library` made.

    Attributes:
        table: one row per question x year x group; a question has one id, wording and list of
            options over its years, as the latest of them had it.
        left_out: ``family, question_id, question, reason``: once per variable.
        merged: spelling -> the id that it has now, as ``FAMILY/variable``.
    """

    table: OpinionTable
    left_out: pl.DataFrame
    merged: Mapping[str, str]


def make_library(
    recipe: LibraryRecipe, tables: Sequence[OpinionTable], apart: Iterable[Any] = ()
) -> MadeLibrary:
    """Put curated tables together.

    Args:
        apart: questions (family, wave, question_id, text) that must not be in it.

    Raises:
        DataError: nothing is left, or two tables hold one cell.
    """
    frame = pl.concat([t.frame for t in tables])
    columns = ["family", "wave", "question_id", "question", "options", "ordinal"]
    asked = [
        Named(f, w, i, _without(t, recipe.cut), tuple(o), tuple(p))
        for f, w, i, t, o, p in frame.select(columns).unique(maintain_order=True).iter_rows()
    ]
    variables = {(q.family, q.question_id.casefold()) for q in asked}
    kept_apart = frozenset(m for q in apart for m in marks(q))
    left_out: dict[tuple[str, str], tuple[str, str]] = {}
    kept: list[Named] = []
    for question in asked:
        why = _reason(recipe, question, kept_apart)
        if why:
            left_out[question.family, question.question_id] = question.text, why
        else:
            kept.append(question)
    # what an evaluation asks in one year's spelling is left out in all
    out = {(f, i.casefold()) for (f, i), (_, why) in left_out.items() if why != _NO_OPINION}
    rest = [q for q in kept if not _stems(recipe, q, variables) & out]
    for q in kept:
        if q not in rest:
            left_out[q.family, q.question_id] = q.text, _APART
    if not rest:
        raise DataError("No question is left for the library", expected="opinion questions")
    items = _items(recipe, rest)
    table = OpinionTable(_rows(frame, items), _meta(recipe, tables))
    dropped = pl.DataFrame(
        [(f, i, text, why) for (f, i), (text, why) in sorted(left_out.items())],
        schema=dict.fromkeys(("family", "question_id", "question", "reason"), pl.String),
        orient="row",
    )
    merged = {
        f"{old.family}/{old.question_id}": f"{new.family}/{new.question_id}"
        for old, (new, _) in items.items()
        if old.question_id != new.question_id
    }
    return MadeLibrary(table, dropped, merged)


_NO_OPINION, _APART = "no opinion", "an evaluation set asks it"


def _reason(recipe: LibraryRecipe, question: Named, apart: frozenset[Mark]) -> str:
    if not recipe.is_opinion(question.family, question.question_id):
        return _NO_OPINION
    return _APART if not apart.isdisjoint(marks(question)) else ""


def _without(text: str, cut: Sequence[str]) -> str:
    for sentence in cut:
        text = text.replace(sentence, " ")
    return " ".join(text.split())


def _stems(
    recipe: LibraryRecipe, question: Named, variables: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    """The question's name without endings, where a variable has that name."""
    stems = {(question.family, s) for s in recipe.stems(question.question_id)}
    return stems & variables


def _items(
    recipe: LibraryRecipe, questions: Sequence[Named]
) -> dict[Named, tuple[Named, tuple[int, ...]]]:
    """For each question the one it is a year of, and where its options stand in that one's."""
    newest = sorted(questions, key=lambda q: (_year(q.wave), q.wave), reverse=True)
    known: dict[tuple[str, str], list[Named]] = {}
    found: dict[Named, tuple[Named, tuple[int, ...]]] = {}
    telling = _telling(recipe, questions)
    # plain names first, so that a spelling finds its stem
    for question in sorted(newest, key=lambda q: bool(recipe.stems(q.question_id))):
        own = item_key(question.wave, question.question_id)
        names = [own, *recipe.stems(question.question_id)]
        if question in telling:
            names.append(telling[question])
        for name in names:
            for head in known.get((question.family, name), ()):
                if name != own and not same_wording(question.text, head.text):
                    continue
                places = places_of(question, head)
                if places is not None:
                    found[question] = head, places
                    break
            if question in found:
                break
        if question not in found:
            heads = known.setdefault((question.family, own), [])
            # the same variable with other options is another question: its id says since when
            head = question._replace(
                question_id=question.question_id
                if not heads
                else f"{question.question_id}_{_year(question.wave) or len(heads)}"
            )
            heads.append(head)
            if question in telling:
                known.setdefault((question.family, telling[question]), []).append(head)
            found[question] = head, tuple(range(len(question.options)))
    return found


def _telling(recipe: LibraryRecipe, questions: Sequence[Named]) -> dict[Named, str]:
    """What a question of a renaming family is known by, where its wording tells it apart."""
    keys = {q: f"={wording_key(q.text)}" for q in questions if q.family in recipe.renamed}
    uses = Counter((q.family, q.wave, key) for q, key in keys.items())
    doubtful = {(family, key) for (family, _, key), n in uses.items() if n > 1}
    return {q: key for q, key in keys.items() if (q.family, key) not in doubtful}


def same_wording(one: str, other: str) -> bool:
    """Whether two wordings differ in no more than two words, none of which turns the meaning."""
    if wording_key(one) == wording_key(other):
        return True
    a, b = (re.findall(r"[\w']+", t.casefold()) for t in (one, other))
    changes = [
        c for c in difflib.SequenceMatcher(None, a, b, False).get_opcodes() if c[0] != "equal"
    ]
    words = [w for _, i, j, k, m in changes for w in (*a[i:j], *b[k:m])]
    return len(words) <= 2 and not _NEGATION.search(" ".join(words))


def places_of(question: Named, head: Named) -> tuple[int, ...] | None:
    """Where each option of one year stands among another's; None where they are other options.

    Years spell options differently ("Not dangerous", "Not dangerous at all"), in the order of the
    same codes: texts in their own place must be alike on the whole, more than when the list is
    turned round, and hardly less than when each is put to its most alike text.
    """
    if len(question.options) != len(head.options):
        return None
    left, right = ([_plain(o) for o in q.options] for q in (question, head))
    if set(left) == set(right) and len(set(left)) == len(left):
        return tuple(right.index(o) for o in left)
    ratios = np.array([[_ratio(a, b) for b in right] for a in left])
    own, turned = np.diagonal(ratios).mean(), np.diagonal(ratios[:, ::-1]).mean()
    best = ratios.max(axis=1).mean()
    if own < _ALIKE or own <= turned or best > own + _SLACK:
        return None
    return tuple(range(len(left)))


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, False).ratio()


def _plain(option: str) -> str:
    return " ".join(sorted(re.findall(r"[\w$]+", option.casefold())))


def _rows(
    frame: pl.DataFrame, items: Mapping[Named, tuple[Named, tuple[int, ...]]]
) -> pl.DataFrame:
    """Rows of the questions kept, by their head's wording; two spellings of one wave pooled."""
    by_key = {q.key: pair for q, pair in items.items()}
    pooled: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        pair = by_key.get((row["family"], row["wave"], row["question_id"]))
        if pair is None:
            continue
        head, places = pair
        row = row | {
            "question_id": head.question_id,
            "question": head.text,
            "options": [_sentence(o) for o in head.options],
            "ordinal": list(head.ordinal),
            "distribution": _placed(row["distribution"], places),
            "se": _placed(row["se"], places) if row["se"] else None,
        }
        key = tuple(row[k] for k in ("family", "wave", "question_id", "attribute", "group"))
        pooled.setdefault(key, []).append(row)
    rows = [_pool(same) for same in pooled.values()]
    made = OpinionTable.from_rows(rows).frame
    order = ["family", "question_id", "wave"]
    return made.sort(order, maintain_order=True)


def _placed(values: Sequence[float], places: Sequence[int]) -> list[float]:
    out = [0.0] * len(places)
    for value, place in zip(values, places, strict=True):
        out[place] = value
    return out


def _pool(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row of several samples' answers to one question, by their effective bases; rounded."""
    sizes = np.array([r["n_eff"] or r["n"] or 1.0 for r in rows], dtype=float)
    weights = sizes / sizes.sum()
    shares = weights @ np.array([r["distribution"] for r in rows])
    errors = None
    if all(r["se"] for r in rows):
        errors = np.sqrt(weights**2 @ np.array([r["se"] for r in rows]) ** 2)
    refused = [r["refusal_rate"] for r in rows]
    bases = [r["n"] for r in rows]
    return dict(rows[0]) | {
        "distribution": rounded(shares),
        "se": None if errors is None else [round(float(e), DECIMALS) for e in errors],
        "refusal_rate": (
            None if None in refused else round(float(weights @ np.array(refused)), DECIMALS)
        ),
        "n": None if None in bases else sum(bases),
        "n_eff": round(float(sizes.sum()), 1),
    }


def rounded(shares: Any) -> list[float]:
    """Shares to :data:`DECIMALS` places that still sum to one: what is over goes to the largest."""
    unit = 10**DECIMALS
    whole = np.round(np.asarray(shares, dtype=float) / np.sum(shares) * unit).astype(int)
    whole[int(whole.argmax())] += unit - int(whole.sum())
    return [float(v) / unit for v in whole]


def _sentence(option: str) -> str:
    """Labels in capitals or small letters as texts: "STRONGLY AGREE" -> "Strongly agree"."""
    text = " ".join(option.split())
    if text.isupper() and len(text) > 3:
        text = text.casefold()
    return text[:1].upper() + text[1:]


def _year(wave: str) -> int:
    found = re.search(r"(?:19|20)\d\d", wave)
    return int(found.group()) if found else 0


def _meta(recipe: LibraryRecipe, tables: Sequence[OpinionTable]) -> dict[str, Any]:
    """Citations and terms of every part, and its waves with what they were made from."""
    texts = {k: [str(t.meta.get(k, "not told")) for t in tables] for k in ("citation", "terms")}
    free = all(t.meta.get("redistribution") == "group-level" for t in tables)
    return {
        "recipe": recipe.name,
        "title": recipe.title,
        "citation": " ".join(dict.fromkeys(texts["citation"])),
        "terms": " ".join(
            f"{' and '.join(sorted(set(t.frame['family'])))}: {terms}"
            for t, terms in zip(tables, texts["terms"], strict=True)
        ),
        "redistribution": "group-level" if free else "none",
        "wording": "as the latest year has it, refined by rules",
        "paraphrase": False,
        "waves": [w for t in tables for w in t.meta.get("waves", ())],
    }
