"""What the program understands of a microdata file before anybody has said anything about it.

For every variable: what it is, its answers with their counts, what counts as missing and why. For
the file: weights and design, which variables look like region, age, sex, ..., and what is odd. What
is guessed is marked; ``opinioncast init`` writes the guesses into files to correct.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from opinioncast.curate.bands import read_band
from opinioncast.curate.guesses import (
    DesignGuess,
    apart_codes,
    conventions_by_label,
    guess_design,
    ordered_texts,
    unlabelled_codes,
)
from opinioncast.curate.inspection import Answer, Column, Inspection, Kind
from opinioncast.curate.intervals import AGE_CEILING
from opinioncast.curate.oddities import odd_answers, odd_things
from opinioncast.curate.subjects import subject_of
from opinioncast.curate.traits import HISPANIC, Answers, Code, Trait, traits_of
from opinioncast.readers import Conventions, column_names, read_wave
from opinioncast.readers.institutions import conventions as institutions
from opinioncast.readers.institutions import recognised
from opinioncast.readers.labels import missing_reason, reading
from opinioncast.readers.text_codes import number_of, shape
from opinioncast.survey.groups import standard_attributes
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import TAGGED_BASE, Missing, Variable, Wave


@dataclass
class _Draft:
    """A column while the whole file is still to be looked at."""

    variable: Variable
    counts: dict[Code, int]
    empty: int
    answers: list[Answer] = field(default_factory=list)
    guessed: bool = False
    number: bool = False
    open_text: bool = False
    odd: list[str] = field(default_factory=list)


def inspect(
    path: str | Path,
    *,
    codebook: str | Path | None = None,
    wording: str | Path | None = None,
    encoding: str | None = None,
) -> Inspection:
    """Look at a microdata file: SPSS, Stata, SAS, CSV or parquet.

    Args:
        codebook, wording: files that already say something about it.

    Raises:
        DataError: as :func:`opinioncast.readers.read_wave`.
    """
    path = Path(path)

    def read(conventions: Conventions) -> Wave:
        return read_wave(
            path,
            family=path.stem,
            wave="1",
            codebook=codebook,
            wording=wording,
            encoding=encoding,
            conventions=replace(conventions, layout=None),
        )

    names = column_names(path, encoding)
    conventions = recognised(names) or ("none", "")
    wave = read(institutions()[conventions[0]])
    if conventions[0] == "none":
        conventions = conventions_by_label(wave)
        if conventions[0] != "none":
            wave = read(institutions()[conventions[0]])
    drafts = {name: _draft(wave, v) for name, v in wave.variables.items()}
    design = guess_design(wave)
    _guess_unlabelled(drafts, set(design.columns))
    year = _year(wave, path)
    traits = _traits(drafts, wave, design, year)
    columns = {name: _column(d, wave, design, traits) for name, d in drafts.items()}
    return Inspection(
        path=path,
        respondents=len(wave),
        conventions=conventions,
        design=design,
        columns=columns,
        traits=traits,
        year=year,
        odd=tuple(odd_things(wave, columns, design, traits)),
        notes=tuple(wave.meta.get("notes", ())),
        codebook=Path(codebook) if codebook else None,
        wording=Path(wording) if wording else None,
    )


def _draft(wave: Wave, variable: Variable) -> _Draft:
    column = wave.respondents[variable.name]
    empty = column.null_count()
    held = column.drop_nulls()
    if not column.dtype.is_numeric():
        texts: dict[Code, int] = dict(Counter(held.to_list()).most_common())
        return _text_draft(variable, texts, empty)
    codes, tally = np.unique(held.to_numpy(), return_counts=True)
    counts: dict[Code, int] = dict(zip(codes.tolist(), tally.tolist(), strict=True))
    draft = _Draft(variable, counts, empty)
    draft.answers = [
        Answer(c, t, counts.get(c, 0))
        for c, t in zip(variable.codes, variable.options, strict=True)
    ]
    draft.answers += [
        Answer(c, _code_text(c), counts.get(c, 0), reason, _why(c))
        for c, reason in sorted(variable.missing.items(), reverse=True)
    ]
    draft.number = not variable.codes
    if variable.options:
        draft.odd += odd_answers(variable, counts)
    return draft


def _code_text(code: float) -> str:
    if TAGGED_BASE - 26 <= code < TAGGED_BASE:
        return f".{chr(ord('a') + int(TAGGED_BASE - code) - 1)}"
    return f"{code:g}"


def _why(code: float) -> str:
    lettered = TAGGED_BASE - 26 <= code < TAGGED_BASE
    return "missing letter" if lettered else "declared missing, or its label or code says so"


_OPEN_TEXTS = 15  # so many different texts are no list of answers
_PER_TEXT = 3  # nor are texts that hardly anybody gave twice


def _text_draft(variable: Variable, counts: Mapping[Code, int], empty: int) -> _Draft:
    """A text column: its texts are the answers if they are few and given by many.

    Texts between which only the shape of apostrophes, dashes and quotes differs are one.
    """
    counts = _by_shape(counts)
    draft = _Draft(variable, dict(counts), empty)
    missing = {t: _reason(str(t)) for t in counts} | _set_apart(counts)
    answers = [str(t) for t in counts if missing[t] is None]
    n = sum(counts[t] for t in answers)
    if len(answers) > _OPEN_TEXTS or n < _PER_TEXT * len(answers):
        draft.open_text = True
        numbers = sum(c for t, c in counts.items() if re.fullmatch(r"-?[\d.,]+", str(t)))
        total = sum(counts.values())
        if total and 0.5 < numbers / total < 1:
            others = sorted((t for t in counts if not re.fullmatch(r"-?[\d.,]+", str(t))), key=str)
            shown = ", ".join(f'"{t:.20}"' for t in others[:3]) if len(others) <= 5 else ""
            draft.odd.append(
                f"numbers in {numbers / total:.0%} of its cells, {len(others)} text(s) besides"
                + (f": {shown}" if shown else "")
            )
        return draft
    several = _joined(answers)
    if several and sum(counts[t] for t in several) >= _JOINED * n:
        draft.open_text = True
        draft.odd.append(f'several choices in one cell ("{several[0]:.40}"): split them first')
        return draft
    draft.guessed = True
    draft.answers = [Answer(t, t, counts[t], None, "text") for t in ordered_texts(answers, counts)]
    draft.answers += [
        Answer(t, str(t), counts[t], reason, "its text says so")
        for t, reason in missing.items()
        if reason is not None
    ]
    return draft


_JOINED = 0.02  # of the answers; single cells may be slips


def _by_shape(counts: Mapping[Code, int]) -> dict[Code, int]:
    """Texts with their counts, all writings of one under that of most people."""
    shapes: dict[str, list[Code]] = {}
    for text in counts:  # the commonest first
        shapes.setdefault(shape(str(text)), []).append(text)
    return {texts[0]: sum(counts[t] for t in texts) for texts in shapes.values()}


def _reason(text: str) -> Missing | None:
    """Why a text is no answer: as a label says it, or because nobody had it read out ("DK")."""
    said = reading(text)
    if said is not None and said.volunteered:
        return said.reason
    return missing_reason(text, declared=False)


def _set_apart(counts: Mapping[Code, int]) -> dict[Code, Missing]:
    """Of numbers kept as texts ("1", "2", "9"), those that stand apart as missing codes do."""
    values = {number_of(str(t)): t for t in counts}
    held = {v: counts[t] for v, t in values.items() if v is not None}
    guess = unlabelled_codes(held, frozenset()) if len(held) == len(counts) else None
    return {values[v]: Missing.UNKNOWN for v in guess[1]} if guess else {}


def _joined(texts: Sequence[str]) -> list[str]:
    """Texts that are others strung together: "Bus; Train" where both stand alone, too."""
    alone = {t.strip() for t in texts}
    return [
        t
        for t in texts
        for sign in ",;|"
        if sign in t and all(part.strip() in alone for part in t.split(sign))
    ]


def _guess_unlabelled(drafts: Mapping[str, _Draft], design: set[str]) -> None:
    """Answers of number columns without labels: few whole numbers, those set apart missing.

    Codes that the conventions or the codebook call missing stay what they are called; the guess is
    about the others.
    """
    bare = {
        name: d
        for name, d in drafts.items()
        if d.number and set(d.counts) - set(d.variable.missing) and name not in design
    }
    file_wide = apart_codes(
        [[c for c in d.counts if c not in d.variable.missing] for d in bare.values()]
    )
    for draft in bare.values():
        declared = draft.variable.missing
        held = {float(c): n for c, n in draft.counts.items() if c not in declared}
        guess = unlabelled_codes(held, file_wide)
        if guess is None:
            continue
        codes, missing = guess
        draft.number, draft.guessed = False, True
        known = [a for a in draft.answers if a.missing is not None]
        draft.answers = [Answer(c, f"{c:g}", draft.counts[c], None, "no label") for c in codes]
        draft.answers += [
            Answer(c, f"{c:g}", draft.counts[c], Missing.UNKNOWN, why) for c, why in missing.items()
        ]
        draft.answers += known


def _traits(
    drafts: Mapping[str, _Draft], wave: Wave, design: DesignGuess, year: int | None
) -> dict[str, list[Trait]]:
    """Candidates for each attribute, in the order of the standard attributes."""
    found: dict[str, list[Trait]] = {name: [] for name in (*standard_attributes(), HISPANIC)}
    for name, draft in drafts.items():
        label = draft.variable.label or draft.variable.wording
        if draft.open_text and (ages := _as_numbers(draft.counts)):
            # ages with "80+" among them
            for trait in traits_of(Answers(name, label, {}, ages, number=True), year):
                found[trait.like].append(trait)
        if name in design.columns or draft.open_text:
            continue
        options = {a.code: a.text for a in draft.answers if a.missing is None}
        gone = {a.code for a in draft.answers if a.missing is not None}
        counts = {c: n for c, n in draft.counts.items() if c not in gone}
        number = not isinstance(next(iter(counts), ""), str) and len(counts) > MAX_OPTIONS
        bare = draft.guessed and wave.respondents[name].dtype.is_numeric()
        for trait in traits_of(Answers(name, label, options, counts, number, bare), year):
            found[trait.like].append(trait)
    return {a: sorted(t, key=lambda t: -t.rank) for a, t in found.items() if t}


def _as_numbers(texts: Mapping[Code, int]) -> dict[Code, int]:
    """Texts as numbers, where all are numbers or bands with one end; "80+" has none."""
    counts: dict[Code, int] = {}
    for text, n in texts.items():
        if _reason(str(text)) is not None:
            continue
        band = read_band(str(text))
        if band is None or (band.low < band.high and math.isfinite(band.low + band.high)):
            return {}
        value = band.low if math.isfinite(band.low) else band.high
        if math.isinf(band.high):
            value = max(value, AGE_CEILING)
        counts[value] = counts.get(value, 0) + n
    return counts


def _year(wave: Wave, path: Path) -> int | None:
    """The year of the survey: of a column ``year`` with one value, else in the file's name."""
    for name in wave.respondents.columns:
        if name.casefold() == "year" and wave.respondents[name].dtype.is_numeric():
            years = wave.respondents[name].drop_nulls().unique()
            return int(years[0]) if years.len() == 1 else None
    found = re.search(r"(?<!\d)(19[5-9]\d|20[0-4]\d)", path.stem)
    return int(found[1]) if found else None


def _column(
    draft: _Draft, wave: Wave, design: DesignGuess, traits: Mapping[str, Sequence[Trait]]
) -> Column:
    variable, name = draft.variable, draft.variable.name
    answers = tuple(draft.answers)
    gone = {a.code for a in answers if a.missing is not None}
    held = {c: n for c, n in draft.counts.items() if c not in gone}
    numbers = [c for c in held if not isinstance(c, str)]
    return Column(
        name=name,
        label=variable.label,
        wording=variable.wording,
        kind=_kind(draft, held, design, traits),
        answers=answers,
        n=sum(held.values()),
        empty=draft.empty,
        range=(min(numbers), max(numbers)) if numbers else None,
        guessed=draft.guessed,
        odd=tuple(filter(None, [variable.undecided, *draft.odd])),
        text=not wave.respondents[name].dtype.is_numeric(),
        ordinal=variable.ordinal,
        undecided=variable.undecided,
    )


def _kind(
    draft: _Draft,
    held: Mapping[Code, int],
    design: DesignGuess,
    traits: Mapping[str, Sequence[Trait]],
) -> Kind:
    name = draft.variable.name
    options = [a for a in draft.answers if a.missing is None]
    if not held:
        return Kind.EMPTY
    if name in design.columns:
        return Kind.DESIGN
    if any(t.variable == name and t is best[0] for best in traits.values() for t in best[:1]):
        return Kind.ATTRIBUTE
    subject, _ = subject_of(draft.variable)
    if subject:
        return {
            "administrative": Kind.ADMINISTRATIVE,
            "demographic": Kind.ATTRIBUTE,
            "knowledge": Kind.KNOWLEDGE,
        }[subject]
    if draft.open_text:
        return Kind.TEXT
    if draft.number or not options:
        return Kind.NUMBER
    if len(options) == 1 or sum(a.n > 0 for a in options) == 1:
        return Kind.ONE_ANSWER
    return Kind.MANY if len(options) > 10 else Kind.QUESTION
