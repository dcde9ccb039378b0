"""Questions asked only of some because of an earlier answer, told from wording and from data.

A split ballot also leaves respondents unasked, but independently of what they answered before. A
filter does not: there is an earlier question whose holders of certain answers were (nearly) never
asked, far more of them than the ballot would explain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from opinioncast.survey.wave import Missing, Variable, Wave

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_NOT_ASKED = {Missing.NOT_ASKED, Missing.UNKNOWN}
_BLOCK = 512

_ROUTING = re.compile(
    r"\bASK(?:ED)? (?:ONLY )?(?:IF|OF|THOSE|R WHO|ALL WHO)\b|\bASKED ONLY\b"
    r"|(?:^|[\n(\[.?:] ?)(?:\d+\.|[A-Z]\.)? ?IF (?!NECESSARY|NEEDED|ASKED|VOLUNTEERED|R ASKS|"
    r"UNCLEAR|NOT CLEAR|NOT SURE|MORE THAN|RESPONDENT (?:ASKS|SAYS|HAS DIFF))[A-Z\"']"
    r"|\(If \"?(?:Yes|No|yes|no|[Ss]elf)\b|^\W*If yes\b"
)


@dataclass(frozen=True, slots=True)
class Filter:
    """Why a question was asked only of some.

    Attributes:
        parent: the earlier variable.
        codes: its answers whose holders were not asked (missing codes included).
        excluded: respondents who gave one of ``codes``.
        asked_otherwise: share asked among those who answered the parent otherwise.
        explained: share of the variance of being asked that the parent explains, among those who
            answered it; 1 where the filter alone decides, less where a ballot plays a part too.
    """

    parent: str
    codes: tuple[float, ...]
    excluded: int
    asked_otherwise: float
    explained: float

    def describe(self, variables: Mapping[str, Variable]) -> str:
        """One line naming the parent and its codes with their labels."""
        known = variables[self.parent]
        texts = dict(zip(known.codes, known.options, strict=True))
        codes = ", ".join(f"{c:g} {texts.get(c, '')}".strip() for c in self.codes[:6])
        more = f" and {len(self.codes) - 6} more" if len(self.codes) > 6 else ""
        return (
            f"not asked of the {self.excluded} who answered {self.parent} = {codes}{more} "
            f"({100 * self.asked_otherwise:.0f}% of the others were)"
        )


def routing_words(wording: str) -> str:
    """The words of a raw wording that say whom it was asked of ("IF YES"), "" if there are none."""
    match = _ROUTING.search(wording)
    if match is None:
        return ""
    return " ".join(wording[match.start() : match.end() + 30].split())


def not_asked(wave: Wave, variable: Variable) -> Bools:
    """Respondents of the wave to whom the question was not put, shape (respondents,).

    Missing for an unknown reason counts: a file that does not say so leaves skips empty.
    """
    return _missing(wave, variable, _NOT_ASKED)


def _missing(wave: Wave, variable: Variable, reasons: set[Missing]) -> Bools:
    column = wave.respondents[variable.name]
    empty = variable.system_missing in reasons
    if not column.dtype.is_numeric():
        return np.asarray(column.is_null().to_numpy() & empty)
    # NumPy: thousands of columns are looked at several times
    values = column.to_numpy()
    out = np.isnan(values) if empty else np.zeros(len(values), dtype=bool)
    codes = [c for c, reason in variable.missing.items() if reason in reasons]
    return np.asarray(out | np.isin(values, codes)) if codes else out


def find_filters(
    wave: Wave,
    candidates: Sequence[str],
    parents: Sequence[str],
    *,
    min_not_asked: float = 0.05,
    max_asked: float = 0.02,
    min_expected: float = 25.0,
    min_overlap: float = 0.95,
    max_values: int = 60,
) -> dict[str, Filter]:
    """Find, for each candidate, the earlier answer that kept respondents from being asked.

    Of several filters the one that explains most is returned. All pairs of candidate
    and parent answer are counted in one matrix product per block of answers: for 1000 variables of
    2500 respondents about two seconds.

    Args:
        candidates: variables to explain.
        parents: variables that may filter; leave out ballots, forms and interviewer variables.
        min_not_asked: candidates with a smaller share of respondents not asked are left alone.
        max_asked: largest share asked among holders of a filtering answer (routing errors).
        min_expected: how many holders of those answers would have been asked had the answer not
            mattered; 25 keeps chance findings among millions of pairs below one in a thousand.
        min_overlap: share of those asked the candidate who were asked the parent too.
        max_values: parents with more distinct values are not considered.
    """
    names, ask, bases, base_of = _asking(wave, candidates, min_not_asked)
    if not names:
        return {}
    n_asked = ask.sum(axis=0)
    best: dict[str, Filter] = {}
    block: list[tuple[str, Floats, Bools, npt.NDArray[np.float32]]] = []
    width = 0
    for i, name in enumerate(parents):
        coded = _answers(wave, wave.variables[name], max_values)
        if coded is not None:
            block.append((name, *coded))
            width += coded[2].shape[1]
        if block and (width >= _BLOCK or i == len(parents) - 1):
            held = np.concatenate([b[3] for b in block], axis=1)
            counts = (held.T @ ask).astype(np.float64)
            in_base = (held.T @ bases).astype(np.float64)[:, base_of]
            at = 0
            for parent, values, substantive, own in block:
                rows = slice(at, at := at + own.shape[1])
                found = _filtering(
                    counts[rows], in_base[rows], substantive, n_asked,
                    max_asked, min_expected, min_overlap,
                )  # fmt: skip
                for j in np.flatnonzero(found.any(axis=0)):
                    child = names[j]
                    better = _describe(
                        parent, values, found[:, j], counts[rows, j], in_base[rows, j]
                    )
                    if child == parent:
                        continue
                    if child not in best or better.explained > best[child].explained:
                        best[child] = better
            block, width = [], 0
    return best


def _asking(
    wave: Wave, candidates: Sequence[str], min_not_asked: float
) -> tuple[list[str], npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Candidates that were not put to all, who was asked them, and who was in the wave.

    Returns:
        names; asked, shape (respondents, names); the different sets of respondents who were in the
        wave, shape (respondents, sets); and which of these sets is the base of each name.
    """
    names: list[str] = []
    asked: list[Bools] = []
    sets: dict[bytes, int] = {}
    bases: list[Bools] = []
    base_of: list[int] = []
    for name in candidates:
        variable = wave.variables[name]
        base = ~_missing(wave, variable, {Missing.NOT_IN_WAVE})
        put = base & ~not_asked(wave, variable)
        if not base.any() or not min_not_asked < 1 - put.sum() / base.sum() < 1:
            continue
        names.append(name)
        asked.append(put)
        key = base.tobytes()
        if key not in sets:
            sets[key] = len(bases)
            bases.append(base)
        base_of.append(sets[key])
    if not names:
        nothing = np.zeros((len(wave), 0), dtype=np.float32)
        return [], nothing, nothing, np.zeros(0, dtype=np.intp)
    return (
        names,
        np.stack(asked, axis=1).astype(np.float32),
        np.stack(bases, axis=1).astype(np.float32),
        np.array(base_of, dtype=np.intp),
    )


def _describe(parent: str, values: Floats, codes: Bools, asked: Floats, sizes: Floats) -> Filter:
    """The filter that ``codes`` of ``parent`` are, from asked and all respondents per answer."""
    others = float(asked[~codes].sum() / sizes[~codes].sum())
    rate = float(asked.sum() / sizes.sum())
    excluded = float(sizes[codes].sum())
    explained = excluded / float(sizes.sum()) * others / (1 - rate)
    return Filter(parent, tuple(map(float, values[codes])), int(excluded), others, explained)


def _answers(
    wave: Wave, variable: Variable, max_values: int
) -> tuple[Floats, Bools, npt.NDArray[np.float32]] | None:
    """Values given to a question, which of them are answers, and who gave them (one-hot)."""
    column = wave.respondents[variable.name]
    if not column.dtype.is_numeric():
        return None
    raw = column.to_numpy()
    usable = ~_missing(wave, variable, {*_NOT_ASKED, Missing.NOT_IN_WAVE}) & ~np.isnan(raw)
    values, place = np.unique(raw[usable], return_inverse=True)
    if not 2 <= len(values) <= max_values:
        return None
    held = np.zeros((len(raw), len(values)), dtype=np.float32)
    held[np.flatnonzero(usable), place] = 1.0
    substantive = np.array([v not in variable.missing for v in values])
    return values, substantive, held


def _filtering(
    counts: Floats,
    sizes: Floats,
    substantive: Bools,
    n_asked: npt.NDArray[np.float32],
    max_asked: float,
    min_expected: float,
    min_overlap: float,
) -> Bools:
    """Answers of one parent that exclude from each candidate, shape (answers, candidates)."""
    both = counts.sum(axis=0)
    total = np.maximum(sizes.sum(axis=0), 1.0)
    nested = both >= min_overlap * n_asked
    excluded = counts <= max_asked * sizes
    expected = (sizes * excluded).sum(axis=0) * both / total
    enough = (expected >= min_expected) & (excluded & substantive[:, None]).any(axis=0)
    some_left = (~excluded & substantive[:, None]).any(axis=0)
    return np.asarray(excluded & (nested & enough & some_left)[None, :])
