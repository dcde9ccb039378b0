"""What the value labels of a whole file say together, and where codes stand in one variable."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opinioncast.readers.labels import Reading, Sort, clean_label, folded, reading
from opinioncast.readers.raw import Range
from opinioncast.survey.wave import TAGGED_BASE, Missing

MANY = 3
"""So many variables with other answers make a label the file's, not the question's."""


@dataclass(frozen=True)
class FileLabels:
    """What the labels of a whole file say together.

    Attributes:
        declared: folded labels that the file declares missing somewhere.
        apart: (folded label, code) that stands apart from the answers in some variable.
        settings: folded label -> number of different sets of other labels it goes with.
        offered: codes apart from the answers that carry answers at least as often as "don't know":
            there the file keeps what a questionnaire offers off the scale.
    """

    declared: frozenset[str] = frozenset()
    apart: frozenset[tuple[str, float]] = frozenset()
    settings: Mapping[str, int] = field(default_factory=dict)
    offered: frozenset[float] = frozenset()

    @staticmethod
    def of(
        value_labels: Mapping[str, Mapping[float, str]], declared: Mapping[str, Sequence[Range]]
    ) -> FileLabels:
        """Look at every labelled variable of a file; the same sets of labels count once."""
        sure: set[str] = set()
        apart: set[tuple[str, float]] = set()
        around: dict[str, set[frozenset[str]]] = defaultdict(set)
        votes: Counter[tuple[float, bool]] = Counter()
        seen: Counter[tuple[Any, ...]] = Counter()
        for name, labels in value_labels.items():
            seen[tuple(labels.items()), tuple(declared.get(name, ()))] += 1
        for (items, ranges), times in seen.items():
            texts = {c: clean_label(t, c) for c, t in items if t and t.strip()}
            said = {c: reading(t) for c, t in texts.items()}
            answers = frozenset(folded(t) for c, t in texts.items() if said[c] is None)
            far = stands_apart(texts, said)
            for code, text in texts.items():
                word = said[code]
                if any(low <= code <= high for low, high in ranges) or code < TAGGED_BASE:
                    sure.add(folded(text))
                    continue
                if word is not None:
                    around[folded(text)].add(answers)
                    if code in far:
                        apart.add((folded(text), code))
                if code in far and code > 0 and (word is None or word.reason is Missing.DONT_KNOW):
                    votes[code, word is not None and word.sort is Sort.DONT_KNOW] += times
        codes = {code for code, _ in votes}
        offered = {c for c in codes if votes[c, True] and votes[c, False] >= max(votes[c, True], 2)}
        return FileLabels(
            frozenset(sure),
            frozenset(apart),
            {label: len(sets) for label, sets in around.items()},
            frozenset(offered),
        )


def stands_apart(
    texts: Mapping[float, str],
    said: Mapping[float, Reading | None],
    observed: Sequence[float] = (),
) -> set[float]:
    """Codes outside the run of whole numbers in which most of the answers stand.

    A negative code beside answers of 0 and more is outside, however near. Points without a label
    between labelled ends (``observed``) belong to the run. Where only missing answers have labels
    (98 and 99 of an age), all of them are outside.
    """
    plain = sorted(c for c in texts if said.get(c) is None)
    if not plain:
        return {c for c in texts if said.get(c) is not None}
    between = [c for c in observed if plain[0] < c < plain[-1]]
    codes = sorted({*texts, *between})
    signed = any(c < 0 for c in plain) and sum(c >= 0 for c in plain) <= 2 * sum(
        c < 0 for c in plain
    )
    blocks: list[list[float]] = []
    for code in codes:
        near = blocks and code - blocks[-1][-1] <= 1
        if near and not (not signed and blocks[-1][-1] < 0 <= code):
            blocks[-1].append(code)
        else:
            blocks.append([code])
    if len(blocks) == 1:
        return set()
    answers = set(plain)
    run = max(blocks, key=lambda b: sum(c in answers for c in b))
    return {c for c in codes if c not in run}


def label_of_file(text: str, file: FileLabels) -> bool:
    """Whether a label is the file's own for a missing answer, not one question's answer."""
    label = folded(text)
    return label in file.declared or file.settings.get(label, 0) >= MANY
