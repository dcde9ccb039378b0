"""Which variables of a wave are usable opinion questions, and why the others are not.

The criteria are the paper's (Appendix A.3 and A.4): at most 10 options, not redacted, not dependent
on an earlier answer, not inferable from group membership; and those without which a table cannot be
trusted: a wording, enough respondents, answers that vary, no question twice.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.curate.coding import check_masks
from opinioncast.curate.filters import Filter, find_filters, not_asked, routing_words
from opinioncast.curate.subjects import subject_of
from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import Variable, Wave

Bools = npt.NDArray[np.bool_]

_OPEN_FILL = re.compile(r"\bNAME\b|\bVIGNETTE\b|[\[({]#?\w*_?NAME[\])}]")
"""Fills no cleaning can resolve: the person a respondent was told about."""


class Reason(StrEnum):
    """Why a variable was kept or dropped; the text is what the curation report shows."""

    KEPT = "kept"
    FORCED_KEEP = "kept by selection file"
    FORCED_DROP = "dropped by selection file"
    GROUP_VARIABLE = "defines the groups"
    ADMINISTRATIVE = "administrative"
    DEMOGRAPHIC = "demographic"
    KNOWLEDGE = "knowledge test"
    TOO_FEW_OPTIONS = "fewer than 2 options"
    TOO_MANY_OPTIONS = "too many options"
    UNDECIDED = "missing answers not decided"
    NO_WORDING = "no wording"
    OPEN_FILL = "wording names what differed by respondent"
    REDACTED = "redacted: no answers in the file"
    CONSTANT = "everyone gave one answer"
    TOO_FEW_RESPONDENTS = "too few respondents"
    TOO_FEW_IN_GROUPS = "too few respondents in every group"
    FILTERED = "asked only of some because of an earlier answer"
    FOLLOWS_FROM_GROUP = "follows from group membership"
    IDENTICAL = "identical to another variable"


REPORT_SCHEMA = {
    "variable": pl.String,
    "label": pl.String,
    "wording": pl.String,
    "kept": pl.Boolean,
    "reason": pl.String,
    "detail": pl.String,
    "n": pl.Int64,
}
"""Of a curation report: one row per variable."""

_UNFIT = {
    Reason.TOO_FEW_OPTIONS,
    Reason.UNDECIDED,
    Reason.NO_WORDING,
    Reason.REDACTED,
}
"""No selection file can make a question of these."""


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """Limits of the selection.

    Attributes:
        max_options: substantive options a question may have (paper: 10).
        min_n: substantive answers a question needs over all respondents.
        min_group_n: answers a group needs; a question that no group has them for is dropped.
        max_association: largest share of uncertainty that a question and an attribute may share,
            mutual information over the smaller of the two entropies (1: one tells the other).
    """

    max_options: int = 10
    min_n: int = 100
    min_group_n: int = 10
    max_association: float = 0.6

    def __post_init__(self) -> None:
        if not 2 <= self.max_options <= MAX_OPTIONS:
            raise InputError(
                "`max_options` is out of range",
                expected=f"2 to {MAX_OPTIONS}",
                found=self.max_options,
            )
        if not 0 < self.max_association <= 1:
            raise InputError(
                "`max_association` is out of range",
                expected="more than 0, at most 1",
                found=self.max_association,
            )


@dataclass(frozen=True)
class SelectionFile:
    """Variables a person decided, with a note on why."""

    keep: Mapping[str, str] = field(default_factory=dict)
    drop: Mapping[str, str] = field(default_factory=dict)
    source: str = "selection file"


@dataclass(frozen=True)
class Selection:
    """The outcome for every variable of a wave.

    Attributes:
        report: one row per variable, in the order of the wave: ``variable``, ``label``,
            ``wording``, ``kept``, ``reason`` (:class:`Reason`), ``detail``, ``n`` (substantive
            answers).
        kept: names of the variables to go on with.
    """

    report: pl.DataFrame
    kept: tuple[str, ...]


def select(
    wave: Wave,
    *,
    masks: Bools,
    subpopulations: Sequence[Subpopulation],
    group_variables: Collection[str] = (),
    settings: SelectionSettings | None = None,
    decided: SelectionFile | None = None,
) -> Selection:
    """Decide for every variable of ``wave`` whether it is a usable opinion question.

    Args:
        masks: members of each subpopulation, shape (respondents, groups).
        subpopulations: what each column of ``masks`` stands for.
        group_variables: variables the group recipe uses.

    Raises:
        InputError: masks that do not fit the wave; a selection file that names a variable the wave
            does not have.
    """
    settings = settings or SelectionSettings()
    decided = decided or SelectionFile()
    masks = check_masks(wave, subpopulations, masks)
    _check_names(decided, wave)
    variables = wave.variables
    tallies = {name: _tally(wave, v) for name, v in variables.items()}
    subject = {name: _subject(wave, v) for name, v in variables.items()}
    verdicts: dict[str, tuple[Reason, str]] = {}
    for name, variable in variables.items():
        verdict = _unusable(
            variable, tallies[name], len(wave), subject[name], settings, group_variables
        )
        if verdict is not None:
            verdicts[name] = verdict

    left = [n for n in variables if n not in verdicts]
    parents = [n for n in variables if subject[n][0] is not Reason.ADMINISTRATIVE]
    verdicts |= dict(_filtered(wave, left, find_filters(wave, left, parents)))
    left = [n for n in left if n not in verdicts]
    verdicts |= dict(_by_group(wave, left, masks, subpopulations, settings))
    verdicts |= dict(_identical(wave, [n for n in left if n not in verdicts]))
    for name, note in decided.drop.items():
        verdicts[name] = (Reason.FORCED_DROP, note)
    for name, note in decided.keep.items():
        verdicts[name] = _forced(verdicts.get(name), note)

    rows = []
    for name, variable in variables.items():
        reason, detail = verdicts.get(name, (Reason.KEPT, ""))
        kept = reason in (Reason.KEPT, Reason.FORCED_KEEP)
        n = int(tallies[name].sum())
        row = (name, variable.label, variable.wording, kept, reason.value, detail, n)
        rows.append(row)
    report = pl.DataFrame(rows, schema=REPORT_SCHEMA, orient="row")
    return Selection(report, tuple(r[0] for r in rows if r[3]))


def _forced(verdict: tuple[Reason, str] | None, note: str) -> tuple[Reason, str]:
    if verdict is None:
        return Reason.FORCED_KEEP, note
    reason, detail = verdict
    if reason in _UNFIT:
        return reason, "; ".join(filter(None, [detail, "the selection file cannot keep it"]))
    return Reason.FORCED_KEEP, "; ".join(filter(None, [note, f"else: {reason.value}", detail]))


def _unusable(
    variable: Variable,
    tally: npt.NDArray[np.intp],
    respondents: int,
    subject: tuple[Reason, str],
    settings: SelectionSettings,
    group_variables: Collection[str],
) -> tuple[Reason, str] | None:
    """What the variable alone tells against it, None if nothing does."""
    k = len(variable.codes)
    n = int(tally.sum())
    used = np.flatnonzero(tally)
    if variable.name in group_variables:
        return Reason.GROUP_VARIABLE, "used by the group recipe"
    if subject[0] is not Reason.KEPT:
        return subject
    if k < 2:
        return Reason.TOO_FEW_OPTIONS, f"{k} labelled option(s)"
    if k > settings.max_options:
        return Reason.TOO_MANY_OPTIONS, f"{k} options, at most {settings.max_options}"
    if variable.undecided:
        return Reason.UNDECIDED, variable.undecided
    if not variable.wording.strip():
        return Reason.NO_WORDING, "neither file nor codebook has the question"
    fill = _OPEN_FILL.search(variable.wording)
    if fill is not None:
        return Reason.OPEN_FILL, f'its wording has "{fill.group()}"'
    if n == 0:
        return Reason.REDACTED, f"0 answers among {respondents} respondents"
    if len(used) == 1:
        return Reason.CONSTANT, f'all {n} answers are "{variable.options[used[0]]}"'
    if n < settings.min_n:
        return Reason.TOO_FEW_RESPONDENTS, f"{n} answers, at least {settings.min_n}"
    return None


def _filtered(
    wave: Wave, names: Sequence[str], found: Mapping[str, Filter]
) -> Iterator[tuple[str, tuple[Reason, str]]]:
    """Questions that data or wording show to depend on an earlier answer."""
    for name in names:
        variable = wave.variables[name]
        words = routing_words(variable.wording)
        if name in found:
            yield name, (Reason.FILTERED, found[name].describe(wave.variables))
        elif words and not_asked(wave, variable).any():
            yield name, (Reason.FILTERED, f'its wording says "{words}"')


def _by_group(
    wave: Wave,
    names: Sequence[str],
    masks: Bools,
    subpopulations: Sequence[Subpopulation],
    settings: SelectionSettings,
) -> Iterator[tuple[str, tuple[Reason, str]]]:
    """Questions that membership of a group answers, and those no group has enough answers to."""
    if not subpopulations:
        return
    columns = defaultdict(list)
    for i, subpopulation in enumerate(subpopulations):
        if len(subpopulation.conditions) == 1:
            columns[subpopulation.attribute].append(i)
    members = [np.flatnonzero(mask) for mask in masks.T]
    for name in names:
        place = _choices(wave, wave.variables[name]) + 1  # 0: no option
        options = int(place.max())
        tallies = [np.bincount(place[m], minlength=options + 1)[1:] for m in members]
        counts = np.stack(tallies, axis=1).astype(np.float64)
        largest = int(counts.sum(axis=0).max())
        if largest < settings.min_group_n:
            detail = f"at most {largest} in a group, at least {settings.min_group_n}"
            yield name, (Reason.TOO_FEW_IN_GROUPS, detail)
            continue
        shares = {a: shared_uncertainty(counts[:, at]) for a, at in columns.items()}
        attribute = max(shares, key=lambda a: shares[a], default="")
        if attribute and shares[attribute] > settings.max_association:
            detail = (
                f"shares {shares[attribute]:.2f} of its uncertainty with {attribute}, "
                f"at most {settings.max_association:g}"
            )
            yield name, (Reason.FOLLOWS_FROM_GROUP, detail)


def shared_uncertainty(counts: npt.NDArray[np.float64]) -> float:
    """Mutual information of a table's rows and columns over the smaller of their entropies.

    Args:
        counts: respondents by answer and group, shape (answers, groups).

    Returns:
        0 (independent) to 1 (one tells the other); 0 where either is constant.
    """
    total = counts.sum()
    if total == 0:
        return 0.0
    p = counts / total
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    smaller = min(_entropy(rows), _entropy(columns))
    if smaller <= 1e-12:
        return 0.0
    return (_entropy(rows) + _entropy(columns) - _entropy(p.ravel())) / smaller


def _entropy(p: npt.NDArray[np.float64]) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())


def _identical(wave: Wave, names: Sequence[str]) -> Iterator[tuple[str, tuple[Reason, str]]]:
    """Second and later variables that hold the same values in all rows."""
    first: dict[bytes, str] = {}
    for name in names:
        values = wave.respondents[name].cast(pl.Float64).to_numpy()
        # a digest: the values of a thousand variables may be more than fits into memory twice
        key = hashlib.sha256(np.nan_to_num(values, nan=np.inf)).digest()
        other = first.setdefault(key, name)
        if other != name:
            yield name, (Reason.IDENTICAL, f"same values as {other} in all {len(values)} rows")


def _choices(wave: Wave, variable: Variable) -> npt.NDArray[np.int16]:
    """Index of each respondent's option, -1 where there is none."""
    column = wave.respondents[variable.name]
    out = np.full(len(column), -1, dtype=np.int16)
    if not variable.codes or not column.dtype.is_numeric():
        return out
    values = column.cast(pl.Float64).to_numpy()
    for i, code in enumerate(variable.codes):
        out[values == code] = i
    return out


def _tally(wave: Wave, variable: Variable) -> npt.NDArray[np.intp]:
    """Respondents by option, shape (options,)."""
    return np.bincount(_choices(wave, variable) + 1, minlength=len(variable.codes) + 1)[1:]


def _subject(wave: Wave, variable: Variable) -> tuple[Reason, str]:
    if variable.name in (*wave.design.columns, wave.respondent_id):
        return Reason.ADMINISTRATIVE, "part of the sampling design"
    kind, evidence = subject_of(variable)
    return (Reason[kind.upper()], evidence) if kind else (Reason.KEPT, "")


# --- a person's decisions -------------------------------------------------------------------------


def read_selection(path: str | Path) -> SelectionFile:
    """Read a YAML selection file: ``keep: {VARIABLE: note}`` and ``drop: {VARIABLE: note}``.

    Raises:
        InputError: a file that cannot be read, another layout, or a variable both kept and dropped.
    """
    source = str(path)
    raw = read_document(path, "A selection file")
    if (
        not isinstance(raw, dict)
        or set(raw) - {"keep", "drop"}
        or not all(isinstance(v, dict) for v in raw.values())
    ):
        raise InputError(
            "A selection file has an unknown layout",
            where=source,
            expected="`keep:` and `drop:`, each a mapping of variable to a note",
            found=raw,
        )
    keep, drop = (
        {str(k): str(v or "") for k, v in (raw.get(side) or {}).items()}
        for side in ("keep", "drop")
    )
    both = sorted(set(keep) & set(drop))
    if both:
        raise InputError(
            "A selection file keeps and drops one variable",
            where=source,
            expected="either",
            found=", ".join(both),
        )
    return SelectionFile(keep, drop, source)


def _check_names(decided: SelectionFile, wave: Wave) -> None:
    unknown = sorted({*decided.keep, *decided.drop} - set(wave.variables))
    if unknown:
        raise InputError(
            "A selection file names variables the wave does not have",
            where=decided.source,
            expected=f"variables of {wave.family} {wave.wave}",
            found=", ".join(unknown),
            hint="check the spelling; names are case sensitive",
        )
