"""A first codebook, group recipe, group scheme and curation recipe, from what an inspection found.

The files say what they took for granted: every guess carries the word GUESS and what to check. They
are YAML that :mod:`opinioncast.documents` reads back, and ``opinioncast curate`` runs them as they
are.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from opinioncast.curate.inspection import Column, Inspection, Kind
from opinioncast.curate.traits import ENOUGH, HISPANIC, Bounds, Code, Trait
from opinioncast.readers.labels import missing_reason
from opinioncast.survey.groups import standard_attributes
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import TAGGED_BASE, Missing

GUESS = "GUESS"
FILL_IN = "TO FILL IN"


@dataclass(frozen=True)
class StarterFiles:
    """Texts of the files, by file name.

    Attributes:
        recipe: name of the curation recipe among them.
        questions: entries of the codebook.
        attributes: those of the group recipe.
    """

    texts: Mapping[str, str]
    recipe: str
    questions: int
    attributes: tuple[str, ...]


def starter_files(found: Inspection, folder: Path) -> StarterFiles:
    """The files that ``opinioncast init`` writes into ``folder``.

    Args:
        folder: where they will stand; the recipe names the microdata from there.
    """
    stem = _plain(found.path.stem)
    names = {k: f"{stem}_{k}.yaml" for k in ("codebook", "groups", "scheme", "recipe")}
    chosen = chosen_traits(found)
    columns = [c for c in found.columns.values() if _is_question(c, chosen)]
    texts = {
        names["codebook"]: "\n".join(_codebook(found, columns)) + "\n",
        names["groups"]: "\n".join(_groups(found, chosen, stem)) + "\n",
    }
    if chosen:
        texts[names["scheme"]] = "\n".join(_scheme(chosen)) + "\n"
    texts[names["recipe"]] = "\n".join(_recipe(found, folder, names, stem, bool(chosen))) + "\n"
    attributes = tuple(t.attribute for t in chosen)
    return StarterFiles(texts, names["recipe"], len(columns), attributes)


def chosen_traits(found: Inspection) -> list[Trait]:
    """The surest variable of each attribute; of one that leaves many out, its own groups too."""
    chosen: list[Trait] = []
    for like, candidates in found.traits.items():
        told = [t for t in candidates if t.groups]
        if like == HISPANIC or not told:
            continue
        chosen.append(told[0])
        own = [t for t in told if t.own and t.variable == told[0].variable]
        if not told[0].own and told[0].share < ENOUGH and own:
            chosen.append(own[0])
    return list({t.attribute: t for t in reversed(chosen)}.values())[::-1]


def _is_question(column: Column, chosen: Sequence[Trait]) -> bool:
    used = {t.variable for t in chosen}
    return (
        column.kind in (Kind.QUESTION, Kind.MANY)
        and column.name not in used
        and 2 <= len(column.options) <= MAX_OPTIONS
        and len({a.text for a in column.options}) == len(column.options)
    )


# --- text -----------------------------------------------------------------------------------------

_UNSAFE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def quoted(text: str) -> str:
    """A text as a YAML scalar in double quotes, whatever is in it."""
    return _UNSAFE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(text, ensure_ascii=False))


def _comment(text: str, width: int = 100) -> str:
    """A text that may stand after ``#``: one line, nothing that ends it."""
    line = " ".join(_UNSAFE.sub(" ", text).split())
    line = "".join(c for c in line if c.isprintable())
    return line if len(line) <= width else line[: width - 1] + "…"


def _plain(stem: str) -> str:
    return re.sub(r"\W+", "_", stem).strip("_").casefold() or "survey"


def _code(code: Code) -> str:
    return quoted(code) if isinstance(code, str) else f"{code:.15g}"


# --- codebook -------------------------------------------------------------------------------------


def _codebook(found: Inspection, columns: Sequence[Column]) -> Iterator[str]:
    yield f"# First codebook of {_comment(found.path.name)}, written by `opinioncast init`."
    yield f"# What is marked {GUESS} the file did not say: check it, correct it, delete the mark."
    yield '# Fields: docs/curation.md, "Formats". Other variables stay as the file has them.'
    if not any(not c.undecided for c in columns):
        yield "# No variable with 2 to 26 answers; `opinioncast inspect` says what there is."
        yield "[]"
    for column in columns:
        yield ""
        lines = _entry(found, column)
        if column.undecided:  # a guess must not stand in for a person's word
            yield f"# UNDECIDED, so not in the table until you take the marks away: {column.name}"
            lines = (f"# {line}" for line in lines)
        yield from lines


def _entry(found: Inspection, column: Column) -> Iterator[str]:
    yield f"- variable: {quoted(column.name)}"
    if column.label and column.label != column.name:
        yield f"  variable_label: {quoted(column.label)}"
    yield from _question(column)
    options = column.options
    yield f"  codes: [{', '.join(_code(a.code) for a in options)}]"
    listed = f"  options: [{', '.join(quoted(a.text) for a in options)}]"
    if not column.guessed:
        yield listed
    elif column.text:
        yield f"{listed}  # {GUESS}: the texts that occur; their order"
    else:
        yield f"{listed}  # {GUESS}: the file has no labels; give the answers' texts"
    if column.ordinal is not None:
        yield f"  ordinal: [{', '.join(f'{v:g}' for v in column.ordinal)}]"
    for line in column.odd:
        yield f"  # look: {_comment(line)}"
    yield from _missing(column)
    post = found.design.post
    if post and re.match(r"\W*post\b", column.label, re.IGNORECASE):
        yield f"  weight: {quoted(post)}  # {GUESS}: its label begins with POST"


def _question(column: Column) -> Iterator[str]:
    if column.wording:
        yield f"  question: {quoted(column.wording)}"
        return
    label = " ".join(column.label.split())
    text = label or column.name
    yield f"  question: {quoted(text)}  # {GUESS}: the label; give the question as it was asked"
    yield "  wording: from_label"


def _missing(column: Column) -> Iterator[str]:
    lettered = [a for a in column.missing if not isinstance(a.code, str) and a.code < TAGGED_BASE]
    listed = [a for a in column.missing if a not in lettered and (a.n or column.guessed)]
    if lettered:
        letters = ", ".join(f"{a.text} {a.missing}" for a in lettered)
        yield f"  # missing letters of the file: {_comment(letters)}"
    if not listed:
        return
    yield "  missing_codes:"
    for answer in listed:
        assert answer.missing is not None  # column.missing
        reason = answer.missing.value
        if missing_reason(answer.text, declared=True) is answer.missing:
            reason = answer.text
        elif answer.missing is Missing.UNKNOWN:
            reason = "missing"
        mark = f"  # {GUESS}: {_comment(answer.why)}" if column.guessed else ""
        yield f"    {_code(answer.code)}: {quoted(reason)}{mark}"


# --- groups ---------------------------------------------------------------------------------------


def _groups(found: Inspection, chosen: Sequence[Trait], stem: str) -> Iterator[str]:
    yield f"# Which answers of {_comment(found.path.name)} put a respondent in which group: a first"
    yield f"# group recipe, written by `opinioncast init`. All of it is a {GUESS}: check the"
    yield '# variables and the codes. Fields: docs/curation.md, "Formats".'
    yield f"name: {quoted(stem)}"
    yield "attributes:" if chosen else "attributes: {}"
    for trait in chosen:
        yield from _attribute(found, trait)
    for like, candidates in found.traits.items():
        if like != HISPANIC and candidates and not candidates[0].groups:
            yield from _to_fill_in(found, like, candidates[0])


def _attribute(found: Inspection, trait: Trait) -> Iterator[str]:
    column = found.columns[trait.variable]
    yield f"  {trait.attribute}:"
    yield f"    # {GUESS}: {_comment(column.label or column.name, 70)} ({_comment(trait.evidence)})"
    yield f"    # {trait.share:.0%} of the {column.n} who answered are in these groups"
    if trait.left:
        yield f"    # in no group: {_comment('; '.join(trait.left))}"
    others = [t.variable for t in found.traits[trait.like][1:] if t.variable != trait.variable]
    if others:
        yield f"    # others that look like it: {_comment(', '.join(dict.fromkeys(others)))}"
    hispanic = found.traits.get(HISPANIC)
    known = standard_attributes().get(trait.attribute)
    if trait.attribute == "RACE" and "Hispanic" not in trait.groups and hispanic:
        yield from _race(trait, hispanic[0])
        return
    if known is not None and not trait.own:
        lacking = [g for g in known.groups if g not in trait.groups]
        if lacking:
            yield "    absent:"
            for group in lacking:
                yield f"      {quoted(group)}: {quoted(f'{trait.variable} does not tell it apart')}"
    yield f"    variable: {quoted(trait.variable)}"
    yield "    groups:"
    texts = {a.code: a.text for a in column.options}
    for group, members in trait.groups.items():
        shown = "" if isinstance(members, Bounds) else "; ".join(texts.get(c, "") for c in members)
        note = f"  # {_comment(shown)}" if shown and shown != group else ""
        yield f"      {quoted(group)}: {_condition(members)}{note}"


def _condition(members: tuple[Code, ...] | Bounds) -> str:
    if isinstance(members, Bounds):
        low, high = members
        ends = [
            f"min: {low:.15g}" if low != -inf else "",
            f"max: {high:.15g}" if high != inf else "",
        ]
        return "{" + ", ".join(filter(None, ends)) + "}"
    return f"[{', '.join(_code(c) for c in members)}]"


def _race(trait: Trait, hispanic: Trait) -> Iterator[str]:
    """Race and Hispanic origin asked apart: Hispanic goes first, the others are not Hispanic."""
    yield f"    # Hispanic origin was asked apart ({_comment(hispanic.variable)})"
    yield "    groups:"
    yes, no = (
        f"{{variable: {quoted(hispanic.variable)}, {_key(members)}: {_condition(members)}}}"
        for members in (hispanic.groups["Yes"], hispanic.groups["No"])
    )
    yield f'      "Hispanic": {yes}'
    for group, members in trait.groups.items():
        race = f"{{variable: {quoted(trait.variable)}, {_key(members)}: {_condition(members)}}}"
        yield f"      {quoted(group)}: {{all: [{race}, {no}]}}"


def _key(members: Sequence[Code]) -> str:
    return "labels" if all(isinstance(m, str) for m in members) else "codes"


def _to_fill_in(found: Inspection, like: str, trait: Trait) -> Iterator[str]:
    column = found.columns[trait.variable]
    groups = standard_attributes()[like].groups
    codes = [_code(a.code) for a in column.options]
    yield f"  # {like}: {_comment(trait.variable)} looks like it, but its codes have no labels. Say"
    yield "  # which code is which group and take the marks away (and `{}` after `attributes:`):"
    yield f"  # {like}:"
    yield f"  #   variable: {quoted(trait.variable)}"
    yield f"  #   groups: {{{quoted(groups[0])}: [{codes[0]}], {quoted(groups[1])}: [{codes[1]}]}}"
    yield f"  #   # codes that occur: {', '.join(codes)}"


def _scheme(chosen: Sequence[Trait]) -> Iterator[str]:
    yield "# The groups that the table will have; delete those you do not want. `opinioncast"
    yield "# predict -g` takes this file too. How an attribute of your own is put in a prompt is"
    yield "# said here: question, bio, portray."
    own = [t for t in chosen if t.own]
    if own:
        yield "attributes:"
    for trait in own:
        like = standard_attributes()[trait.like]
        yield f"  {trait.attribute}:"
        yield f"    label: {quoted(like.label)}"
        yield f"    question: {quoted(like.question)}  # {GUESS}: as asked for {trait.like}"
        yield f"    bio: {quoted(like.bio)}"
        yield f"    portray: {quoted(like.portray)}"
        yield f"    groups: [{', '.join(quoted(g) for g in trait.groups)}]"
    yield "groups:"
    for trait in chosen:
        names = list(trait.groups)
        if trait.attribute == "RACE" and "Hispanic" not in names:
            names.append("Hispanic")  # told by another variable, or absent with a reason
        yield f"  {trait.attribute}: [{', '.join(quoted(g) for g in names)}]"


# --- recipe ---------------------------------------------------------------------------------------


def _recipe(
    found: Inspection, folder: Path, names: Mapping[str, str], stem: str, grouped: bool
) -> Iterator[str]:
    design = found.design
    yield f"# First curation recipe of {_comment(found.path.name)}, written by `opinioncast init`:"
    yield f"#     opinioncast curate {names['recipe']}"
    yield "# Fields: docs/curation.md."
    yield f"name: {quoted(stem)}"
    yield f'citation: "{FILL_IN}: who made the data, and how to cite them"'
    yield f'terms: "{FILL_IN}: what may be done with the data and with results from them"'
    yield "redistribution: none  # group-level, once you know that results may be passed on"
    yield 'wording: "from the file\'s labels where the codebook has no question"'
    groups = f"[total, {names['scheme']}]" if grouped else "[total]"
    yield f"groups: {groups}"
    if design.strata or design.psu:
        yield f"lonely_psu: certainty  # {GUESS}: a stratum of one PSU adds nothing to errors"
    yield "waves:"
    yield f"  - family: {quoted(stem.upper())}"
    year = f"  # {GUESS}" if found.year else f"  # {GUESS}: no year was found"
    yield f"    wave: {quoted(str(found.year or 1))}{year}"
    yield f"    file: {quoted(_from_folder(found.path, folder))}"
    name, why = found.conventions
    yield f"    conventions: {name}  # {GUESS}: {_comment(why)}"
    yield f"    codebook: {names['codebook']}"
    yield f"    groups: {names['groups']}"
    if design.weight:
        others = ", ".join(design.weights[1:6])
        more = f"; others that look like one: {_comment(others)}" if others else ""
        if design.by_file:
            yield f"    # the file is weighted by {_comment(design.weight)}, which is taken{more}"
        elif design.gaps:
            yield f"    # {GUESS}: unweighted; it is empty for {design.gaps} respondents{more}"
            yield f"    # weight: {quoted(design.weight)}"
        else:
            yield f"    weight: {quoted(design.weight)}  # {GUESS}{more}"
    else:
        yield "    # weight: no column looks like one, so every respondent counts one"
    for field in ("strata", "psu", "respondent_id"):
        value = getattr(design, field)
        if value:
            yield f"    {field}: {quoted(value)}  # {GUESS}"
    if design.replicates:
        first, last = design.replicates[0], design.replicates[-1]
        yield f"    # replicate weights: {_comment(first)} to {_comment(last)}"
    yield "    # what else the file made one wonder (opinioncast inspect):"
    for line in found.odd[:12]:
        yield f"    # - {_comment(line)}"


def _from_folder(path: Path, folder: Path) -> str:
    """The microdata as seen from the recipe's folder, with forward slashes."""
    try:
        return os.path.relpath(path.resolve(), folder.resolve()).replace(os.sep, "/")
    except ValueError:  # another drive
        return str(path.resolve())
