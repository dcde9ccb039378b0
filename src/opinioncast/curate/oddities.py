"""What a person should look at in a file before anything else, the gravest first."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl

from opinioncast.curate.guesses import DesignGuess
from opinioncast.curate.inspection import Column, Kind
from opinioncast.curate.traits import Code, Trait
from opinioncast.readers.labels import says_dont_know
from opinioncast.survey.groups import standard_attributes
from opinioncast.survey.wave import Variable, Wave


def odd_answers(variable: Variable, counts: Mapping[Code, int]) -> list[str]:
    """What is odd about the answers of one variable."""
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


def odd_things(
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
    told = wave.meta.get("design_notes", ())  # of a recipe, which there is none yet
    odd += [str(note) for note in wave.meta.get("notes", ()) if note not in told]
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
