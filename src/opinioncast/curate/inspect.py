"""What the program understands of a microdata file before anybody has said anything about it.

For every variable: what it is, its answers with their counts, what counts as missing and why. For
the file: weights and design, which variables look like region, age, sex, ..., and what is odd. What
is guessed is marked; ``opinioncast init`` writes the guesses into files to correct.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import polars as pl

from opinioncast.curate.guesses import (
    DesignGuess,
    apart_codes,
    conventions_by_label,
    conventions_by_name,
    guess_design,
    ordered_texts,
    unlabelled_codes,
)
from opinioncast.curate.subjects import subject_of
from opinioncast.curate.traits import HISPANIC, Answers, Code, Trait, traits_of
from opinioncast.readers import PLAIN, Conventions, anes, atp, column_names, gss, read_wave
from opinioncast.readers.labels import missing_reason, says_dont_know
from opinioncast.survey.groups import standard_attributes
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import TAGGED_BASE, Missing, Variable, Wave

CONVENTIONS: Mapping[str, Conventions] = {
    "none": PLAIN,
    "gss": gss.CONVENTIONS,
    "anes": anes.CONVENTIONS,
    "atp": atp.CONVENTIONS,
}


class Kind(StrEnum):
    """What a variable is."""

    QUESTION = "question"
    ATTRIBUTE = "about the person"
    DESIGN = "design"
    ADMINISTRATIVE = "administrative"
    KNOWLEDGE = "knowledge test"
    MANY = "many answers"
    NUMBER = "number"
    TEXT = "text"
    ONE_ANSWER = "one answer"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Answer:
    """One code of a variable.

    Attributes:
        missing: why it is no answer; None for an answer.
        why: who says that it is missing, or that the text is a guess.
    """

    code: Code
    text: str
    n: int
    missing: Missing | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One variable as understood.

    Attributes:
        answers: answers first, in order, then missing codes; empty for numbers and texts.
        n: respondents with an answer.
        empty: respondents with an empty cell.
        range: lowest and highest number of a variable that counts something.
        guessed: its answers are no labels of the file.
        odd: what a person should look at.
        text: the column holds texts, not numbers.
        ordinal: the scale that a codebook gives.
        undecided: why a person has to say which of its codes are missing.
    """

    name: str
    label: str
    wording: str
    kind: Kind
    answers: tuple[Answer, ...]
    n: int
    empty: int
    range: tuple[float, float] | None = None
    guessed: bool = False
    odd: tuple[str, ...] = ()
    text: bool = False
    ordinal: tuple[float, ...] | None = None
    undecided: str = ""

    @property
    def options(self) -> tuple[Answer, ...]:
        return tuple(a for a in self.answers if a.missing is None)

    @property
    def missing(self) -> tuple[Answer, ...]:
        return tuple(a for a in self.answers if a.missing is not None)


@dataclass(frozen=True)
class Inspection:
    """A file as understood.

    Attributes:
        conventions: name of the missing-code policy that seems to fit, with the reason.
        design: weight, strata, PSU and respondent id that were found.
        traits: attribute -> candidates, surest first.
        year: of the survey, as its column ``year`` or its name says.
        odd: what to look at before anything else.
        notes: of the reader.
    """

    path: Path
    respondents: int
    conventions: tuple[str, str]
    design: DesignGuess
    columns: Mapping[str, Column]
    traits: Mapping[str, Sequence[Trait]]
    year: int | None
    odd: tuple[str, ...]
    notes: tuple[str, ...]
    codebook: Path | None = None
    wording: Path | None = None

    def of_kind(self, kind: Kind) -> list[Column]:
        return [c for c in self.columns.values() if c.kind is kind]


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
    conventions = conventions_by_name(names) or ("none", "")
    wave = read(CONVENTIONS[conventions[0]])
    if conventions[0] == "none":
        conventions = conventions_by_label(wave)
        if conventions[0] != "none":
            wave = read(CONVENTIONS[conventions[0]])
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
        odd=tuple(_odd_things(wave, columns, design, traits)),
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
        draft.odd += _odd_options(variable, counts)
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
    """A text column: its texts are the answers if they are few and given by many."""
    draft = _Draft(variable, dict(counts), empty)
    missing = {t: missing_reason(str(t), declared=False) for t in counts}
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
    draft.guessed = True
    draft.answers = [Answer(t, t, counts[t], None, "text") for t in ordered_texts(answers, counts)]
    draft.answers += [
        Answer(t, str(t), counts[t], reason, "its text says so")
        for t, reason in missing.items()
        if reason is not None
    ]
    return draft


def _guess_unlabelled(drafts: Mapping[str, _Draft], design: set[str]) -> None:
    """Answers of number columns without labels: few whole numbers, those set apart missing."""
    bare = {
        name: d
        for name, d in drafts.items()
        if d.number and not d.variable.missing and d.counts and name not in design
    }
    file_wide = apart_codes([list(d.counts) for d in bare.values()])
    for draft in bare.values():
        guess = unlabelled_codes({float(c): n for c, n in draft.counts.items()}, file_wide)
        if guess is None:
            continue
        codes, missing = guess
        draft.number, draft.guessed = False, True
        draft.answers = [Answer(c, f"{c:g}", draft.counts[c], None, "no label") for c in codes]
        draft.answers += [
            Answer(c, f"{c:g}", draft.counts[c], Missing.UNKNOWN, why) for c, why in missing.items()
        ]


def _traits(
    drafts: Mapping[str, _Draft], wave: Wave, design: DesignGuess, year: int | None
) -> dict[str, list[Trait]]:
    """Candidates for each attribute, in the order of the standard attributes."""
    found: dict[str, list[Trait]] = {name: [] for name in (*standard_attributes(), HISPANIC)}
    for name, draft in drafts.items():
        if name in design.columns or draft.open_text:
            continue
        options = {a.code: a.text for a in draft.answers if a.missing is None}
        gone = {a.code for a in draft.answers if a.missing is not None}
        counts = {c: n for c, n in draft.counts.items() if c not in gone}
        label = draft.variable.label or draft.variable.wording
        number = not isinstance(next(iter(counts), ""), str) and len(counts) > MAX_OPTIONS
        bare = draft.guessed and wave.respondents[name].dtype.is_numeric()
        for trait in traits_of(Answers(name, label, options, counts, number, bare), year):
            found[trait.like].append(trait)
    return {a: sorted(t, key=lambda t: -t.rank) for a, t in found.items() if t}


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
        odd=tuple(filter(None, [getattr(variable, "undecided", ""), *draft.odd])),
        text=not wave.respondents[name].dtype.is_numeric(),
        ordinal=variable.ordinal,
        undecided=getattr(variable, "undecided", ""),
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


def _odd_options(variable: Variable, counts: Mapping[Code, int]) -> list[str]:
    found = []
    folded = Counter(o.casefold() for o in variable.options)
    alike = [o for o, n in folded.items() if n > 1]
    if alike:
        found.append(f'two answers read alike: "{alike[0]:.40}"')
    unsure = [
        (c, o)
        for c, o in zip(variable.codes, variable.options, strict=True)
        if says_dont_know(o) and c != max(variable.codes)
    ]
    if unsure:
        found.append(f'"{unsure[0][1]:.30}" ({unsure[0][0]:g}) stands inside the answers')
    never = sum(counts.get(c, 0) == 0 for c in variable.codes)
    if never > len(variable.codes) / 2:
        found.append(f"{never} of {len(variable.codes)} answers nobody gave")
    return found


def _odd_things(
    wave: Wave,
    columns: Mapping[str, Column],
    design: DesignGuess,
    traits: Mapping[str, Sequence[Trait]],
) -> list[str]:
    """What to look at first, the gravest first."""
    odd = list(design.odd)
    frame = wave.respondents
    blank = frame.filter(pl.all_horizontal(pl.all().is_null())).height
    if blank:
        odd.append(f"{blank} row(s) are empty")
    rounds = [n for n in ("year", "round", "wave") if n in columns and columns[n].n]
    for name in rounds:
        values = frame[name].drop_nulls().unique().sort()
        if 1 < values.len() <= 60:
            line = f"{name} holds {values.len()} values: several waves may be in the file"
            if values.dtype.is_numeric():
                line += f"; one of them in a recipe: `sample: {{{name}: {values[-1]:g}}}`"
            odd.append(line)
    guessed = [c.name for c in columns.values() if c.guessed and not c.text]
    if guessed:
        odd.append(
            f"{len(guessed)} variable(s) are numbers without labels, such as {guessed[0]}: what "
            "their codes mean is not in the file; missing codes among them are guesses"
        )
    apart = [c.name for c in columns.values() if c.guessed and not c.text and c.missing]
    if apart:
        odd.append(
            f"{len(apart)} of them have codes set apart from the others, taken as missing, such "
            f"as {apart[0]} ({', '.join(a.text for a in columns[apart[0]].missing)})"
        )
    zeros = [
        c for c in columns.values() if c.guessed and any(a.code == 0 and a.n for a in c.missing)
    ]
    if zeros:
        odd.append(
            f"0 is taken as missing in {len(zeros)} variable(s), such as {zeros[0].name}: most of "
            "the file uses it so; where it is an answer (none, no days) put it back"
        )
    by_kind: dict[str, list[str]] = {}
    for column in columns.values():
        for line in column.odd:
            by_kind.setdefault(re.sub(r'"[^"]*"|\d+', "…", line), []).append(column.name)
    for names in by_kind.values():
        first = columns[names[0]]
        like = next(x for x in first.odd if by_kind.get(re.sub(r'"[^"]*"|\d+', "…", x)) is names)
        odd.append(f"{first.name}: {like}" + (f"; {len(names)} like it" if len(names) > 1 else ""))
    odd += [str(note) for note in wave.meta.get("notes", ())]
    for kind in (Kind.EMPTY, Kind.ONE_ANSWER):
        names = [c.name for c in columns.values() if c.kind is kind]
        if names:
            what = "hold nothing" if kind is Kind.EMPTY else "have one answer only"
            odd.append(f"{len(names)} variable(s) {what}: {', '.join(names[:5])}")
    bare = [t[0].variable for t in traits.values() if not t[0].groups]
    if bare:
        odd.append(
            f"{', '.join(bare)}: about the person by name, but the codes have no labels: the group "
            "recipe of `opinioncast init` has a place to say which is which"
        )
    absent = [n for n in standard_attributes() if n not in traits]
    if absent:
        odd.append(f"nothing looks like {', '.join(absent)}")
    return odd
