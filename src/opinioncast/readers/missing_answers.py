"""Which codes that nobody declared missing are missing all the same.

A file that declares its missing codes, a codebook, a recipe and the conventions of an institution
go first. What is left are codes whose *label* reads like a missing answer. Whether it is one, the
label alone cannot say ("Refused" is an answer about a vaccine, "Don't know" may have been offered),
so the rule looks at the whole variable and the whole file:

* where the code stands: in the run of the answers' codes (1, 2, 3) or apart from it (8, 9; 98; -1);
* whether the same label is declared missing, or stands apart, in other variables of the file, or
  goes with many different sets of answers;
* whether the label says that it was not read out ("[DNR]", "DK"), or is in capitals where the
  answers are not;
* against: the question or another answer uses the same word ("Available", "Not available").

Every decision is recorded with its share of answers. A variable of which more than
``MissingRule.limit`` of the answers would be taken out in this way, or whose evidence points both
ways, is undecided: it is no question until a person says what the codes are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from opinioncast.errors import DataError
from opinioncast.readers.file_labels import MANY, FileLabels, label_of_file, stands_apart
from opinioncast.readers.labels import Reading, Sort, folded, reading
from opinioncast.survey.wave import TAGGED_BASE, Missing

LIMIT = 0.5
"""Default of :attr:`MissingRule.limit`."""
ANSWER = "answer"


@dataclass(frozen=True)
class MissingRule:
    """A person's word on missing answers, for a whole file.

    Attributes:
        limit: largest share of a variable's answers that labels alone may take out.
        labels: label -> reason, or ``None`` for an answer, wherever the label stands undeclared.
    """

    limit: float = LIMIT
    labels: Mapping[str, Missing | None] = field(default_factory=dict)

    @staticmethod
    def of(raw: Mapping[str, Any], where: str = "missing") -> MissingRule:
        """From a recipe: ``limit`` and ``labels`` (label -> reason, or ``answer``).

        Raises:
            DataError: an unknown key, reason or limit.
        """
        labels: dict[str, Missing | None] = {}
        unknown = set(raw) - {"limit", "labels"}
        limit = raw.get("limit", LIMIT)
        given = raw.get("labels") or {}
        if (
            unknown
            or not isinstance(given, Mapping)
            or not isinstance(limit, int | float)
            or isinstance(limit, bool)
            or not 0 <= limit <= 1
        ):
            raise DataError(
                "The rule for missing answers does not fit",
                where=where,
                expected="`limit` (a share from 0 to 1) and `labels` (label: reason, or answer)",
                found=dict(raw),
            )
        for label, reason in given.items():
            try:
                labels[folded(str(label))] = None if reason == ANSWER else Missing(str(reason))
            except ValueError:
                raise DataError(
                    "The rule for missing answers has an unknown reason",
                    where=f"{where}, labels, {label}",
                    expected=f"{ANSWER}, or one of {', '.join(m.value for m in Missing)}",
                    found=reason,
                ) from None
        return MissingRule(float(limit), labels)


@dataclass(frozen=True, slots=True)
class Decision:
    """One code of one variable that reads like a missing answer.

    Attributes:
        taken_as: a reason, "answer", or "undecided".
        n, share: respondents with the code, and their share of all whose cell is not empty.
    """

    variable: str
    code: float
    label: str
    taken_as: str
    why: str
    n: int
    share: float

    def row(self) -> dict[str, Any]:
        return {
            "variable": self.variable,
            "code": self.code,
            "label": self.label,
            "taken_as": self.taken_as,
            "why": self.why,
            "n": self.n,
            "share": self.share,
        }

    def __str__(self) -> str:
        return f'{self.code:g} "{self.label}" -> {self.taken_as} ({self.share:.1%}; {self.why})'


SCHEMA: Mapping[str, Any] = {
    "variable": pl.String,
    "code": pl.Float64,
    "label": pl.String,
    "taken_as": pl.String,
    "why": pl.String,
    "n": pl.Int64,
    "share": pl.Float64,
}
"""Of a table of decisions."""


def summaries(decisions: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line per label and what it was taken as, those that move most answers first."""
    groups: dict[tuple[str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for d in decisions:
        if d["n"]:
            groups[d["label"], d["taken_as"], d["why"]].append(d)
    lines = []
    for (label, taken_as, why), group in sorted(
        groups.items(), key=lambda g: -max(d["share"] for d in g[1])
    ):
        codes = ", ".join(dict.fromkeys(f"{d['code']:g}" for d in group))
        names = [d["variable"] for d in group]
        top = max(d["share"] for d in group)
        lines.append(
            f'"{label}" ({codes}) taken as {taken_as}: {why}; '
            f"{'up to ' if len(group) > 1 else ''}{top:.1%} of answers, in {', '.join(names[:4])}"
            + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        )
    return lines


@dataclass(frozen=True)
class Judgement:
    """What the rule says about one variable.

    Attributes:
        missing: codes taken as missing, with reasons.
        decisions: one per code whose label reads like a missing answer and nobody declared.
        undecided: why a person has to decide; empty if nobody has to.
    """

    missing: Mapping[float, Missing]
    decisions: tuple[Decision, ...]
    undecided: str = ""


def judge(
    name: str,
    texts: Mapping[float, str],
    counts: Mapping[float, int],
    settled: Mapping[float, Missing | None],
    *,
    about: str,
    file: Callable[[], FileLabels],
    rule: MissingRule,
) -> Judgement:
    """Decide on the codes of one variable that read like missing answers.

    Args:
        texts: cleaned label per code.
        counts: respondents per code.
        settled: codes that file, conventions, codebook or recipe decided already: reason, or None
            for an answer.
        about: variable label and question, in which the label's word may occur.
    """
    said = {c: None if settled.get(c, ANSWER) is None else reading(t) for c, t in texts.items()}
    open_codes = [c for c in sorted(texts) if c not in settled and said[c] is not None]
    strange = _among_missing(texts, said, settled)
    if not open_codes and not strange:
        return Judgement({}, ())
    gone = {c for c, r in settled.items() if r is not None}
    left = {c: t for c, t in texts.items() if c not in gone}
    far = stands_apart(left, said, list(counts))
    verdicts: dict[float, tuple[Missing | None, str, bool]] = {}
    for code in open_codes:
        word = said[code]
        assert word is not None
        label = folded(texts[code])
        if label in rule.labels:
            verdicts[code] = rule.labels[label], "the recipe says so", True
        else:
            verdicts[code] = (
                *_verdict(code, word, texts, said, far, about, file(), counts.get(code, 0)),
                False,
            )
    for code in strange:
        verdicts[code] = Missing.UNKNOWN, "negative, among codes of missing answers", False
    n = sum(counts.values())
    decisions = []
    moved = 0
    known = sum(counts.get(c, 0) for c, r in settled.items() if r is not None)
    contested = []
    moving: list[float] = []
    missing: dict[float, Missing] = {}
    for code, (reason, why, by_person) in sorted(verdicts.items()):
        count = counts.get(code, 0)
        taken: str = reason.value if reason is not None else ANSWER
        if why.startswith(_BOTH_WAYS) and count:
            taken = "undecided"
            contested.append(code)
        elif reason is not None:
            missing[code] = reason
            word = said.get(code)
            if count and not by_person:
                moving.append(code)
            certain = word is not None and word.sort is Sort.CERTAIN
            if by_person:
                known += count
            elif reason in _NOT_ASKED and (
                certain or code in far or label_of_file(texts[code], file())
            ):
                moving = [c for c in moving if c != code]
                known += count  # whoever was not asked gave no answer that could be moved
            else:
                moved += count
        decisions.append(
            Decision(name, code, texts[code], taken, why, count, count / n if n else 0.0)
        )
    asked = n - known
    undecided = ""
    if contested:
        shown = ", ".join(f'{c:g} "{texts[c]}" ({counts.get(c, 0) / n:.1%})' for c in contested)
        undecided = f"{shown} may be an answer or a missing one"
    elif asked and moved / asked > rule.limit:
        shown = ", ".join(f'{c:g} "{texts[c]}"' for c in moving)
        undecided = (
            f"{shown} would take out {moved / asked:.1%} of the answers, "
            f"more than {rule.limit:.0%}, by their labels alone"
        )
    if undecided:
        undecided += (
            "; say in the codebook, or under `correct:` of the recipe, what they are: "
            f"{name}: {{missing_codes: {{CODE: reason}}}} or {name}: {{answers: [CODE]}}"
        )
    return Judgement(missing, tuple(decisions), undecided)


_NOT_ASKED = (Missing.NOT_ASKED, Missing.NOT_IN_WAVE)
_BOTH_WAYS = "evidence both ways"


def _verdict(
    code: float,
    word: Reading,
    texts: Mapping[float, str],
    said: Mapping[float, Reading | None],
    far: set[float],
    about: str,
    file: FileLabels,
    count: int,
) -> tuple[Missing | None, str]:
    label = folded(texts[code])
    out = _place(code, far)
    others = [t for c, t in texts.items() if said.get(c) is None]
    capitals = _in_capitals(texts[code], others)
    if word.sort in (Sort.DONT_KNOW, Sort.OFFERED):
        return _dont_know(code, label, word, said, out, capitals, file)
    if word.sort is Sort.CERTAIN:
        against = "" if out else _word_elsewhere(texts[code], others, "")
        if against:
            return word.reason, f"{_BOTH_WAYS}: it reads so, but {against}"
        return word.reason, out or "its label can mean nothing else"
    evidence = out or (
        "its label says that it was not offered"
        if word.volunteered
        else "in capitals, where the answers are not"
        if capitals
        else "declared missing in other variables"
        if label in file.declared
        else "nobody has this last code"
        if not count and code == max(texts)
        else f"the same label stands with {file.settings.get(label, 0)} different sets of answers"
        if file.settings.get(label, 0) >= MANY
        else f"apart from the answers in other variables at {code:g}"
        if (label, code) in file.apart
        else "after another missing answer"
        if _after_missing(code, texts, said)
        else ""
    )
    if not evidence:
        return None, "in the run of the answers, and nothing in the file says otherwise"
    beside = any(c != code and said.get(c) is not None for c in far)
    if not (out and (beside or code < 0)):
        against = _word_elsewhere(texts[code], others, about)
        if against:
            return word.reason, f"{_BOTH_WAYS}: {evidence}, but {against}"
    return word.reason, evidence


def _dont_know(
    code: float,
    label: str,
    word: Reading,
    said: Mapping[float, Reading | None],
    out: str,
    capitals: bool,
    file: FileLabels,
) -> tuple[Missing | None, str]:
    """Volunteered (a reason) or offered (None)."""
    if word.volunteered:
        return word.reason, "its label says that it was not offered"
    if capitals:
        return word.reason, "in capitals, where the answers are not"
    if code in file.offered:
        return None, f"at {code:g} this file keeps answers off the scale"
    if _customary(code, said):
        return word.reason, "at a customary code, beside another missing answer"
    if word.sort is Sort.OFFERED:
        return None, "questionnaires offer it"
    if out:
        return word.reason, out
    if (label, code) in file.apart:
        return word.reason, f"at {code:g} it is apart from the answers in other variables"
    return None, "in the run of the answers: offered"


def _place(code: float, far: set[float]) -> str:
    if code not in far:
        return ""
    return "negative, beside answers that are not" if code < 0 else "apart from the answers' codes"


def _in_capitals(text: str, others: Sequence[str]) -> bool:
    if not text.isupper() or sum(map(str.isalpha, text)) < 4:
        return False
    worded = [t for t in others if sum(map(str.isalpha, t)) >= 3]
    return bool(worded) and not any(t.isupper() for t in worded)


def _customary(code: float, said: Mapping[float, Reading | None]) -> bool:
    """At 7, 8 or 9 (97, 98, 99; ...), the last of which is, or stands beside, a missing answer."""
    last = max(said)
    if last not in (9.0, 99.0, 999.0) or not last - 2 <= code <= last:
        return False
    beside = [said.get(c) for c in (last - 2, last - 1, last) if c != code]
    return any(r is not None and r.sort in (Sort.CERTAIN, Sort.DOUBTFUL) for r in beside)


def _after_missing(
    code: float, texts: Mapping[float, str], said: Mapping[float, Reading | None]
) -> bool:
    """Right after a "don't know" or a certain missing answer, with two answers before both."""
    order = sorted(texts)
    at = order.index(code)
    before = said.get(order[at - 1]) if at else None
    answers = sum(said.get(c) is None for c in order[:at])
    later_answers = any(said.get(c) is None for c in order[at + 1 :])
    return (
        before is not None
        and before.sort in (Sort.DONT_KNOW, Sort.OFFERED, Sort.CERTAIN)
        and answers >= 2
        and not later_answers
    )


_COMMON = frozenset(
    [
        "know",
        "dont",
        "does",
        "with",
        "your",
        "this",
        "that",
        "have",
        "been",
        "were",
        "what",
        "would",
        "from",
    ]
)


def _word_elsewhere(text: str, answers: Sequence[str], about: str) -> str:
    """Where else the label's own word is used: in an answer, or in the question."""
    stems = tuple(
        w[: 4 if len(w) <= 7 else 5]
        for w in re.findall(r"\w{4,}", folded(text))
        if w not in _COMMON
    )
    if not stems:
        return ""
    for answer in answers:
        if any(w.startswith(stems) for w in folded(answer).split()):
            return f'the answer "{answer}" uses the same word'
    if about and any(w.startswith(stems) for w in re.findall(r"\w{4,}", folded(about))):
        return "the question uses the same word"
    return ""


def _among_missing(
    texts: Mapping[float, str],
    said: Mapping[float, Reading | None],
    settled: Mapping[float, Missing | None],
) -> list[float]:
    """Negative codes with an answer's label where most negative codes are missing answers."""
    negative = [c for c in texts if TAGGED_BASE < c < 0]
    odd = [c for c in negative if c not in settled and said[c] is None]
    if not odd:
        return []
    positive = [c for c in texts if c >= 0 and said.get(c) is None and settled.get(c) is None]
    return odd if len(odd) < len(negative) - len(odd) and len(positive) >= 2 else []
