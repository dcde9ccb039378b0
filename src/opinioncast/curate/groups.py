"""Which respondents of a wave are in which group."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.curate.group_recipe import (
    Alternative,
    AttributeRecipe,
    Codes,
    Combined,
    Condition,
    GroupRecipe,
    Interval,
    Labels,
)
from opinioncast.curate.intervals import (
    UnreadableError,
    answered,
    in_interval,
    intervals_of,
    outside,
)
from opinioncast.errors import DataError
from opinioncast.survey.groups import Subpopulation
from opinioncast.survey.wave import Variable, Wave

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class GroupMasks:
    """Members of each subpopulation.

    Attributes:
        masks: shape (respondents, groups).
        subpopulations: what each column of ``masks`` stands for.
        missing: subpopulations without a column (the file cannot tell them, or nobody is in them)
            and why.
        notes: which variables tell each attribute, how many respondents are in none of its groups,
            and what the recipe says about it.
    """

    masks: Mask
    subpopulations: tuple[Subpopulation, ...]
    missing: tuple[tuple[Subpopulation, str], ...]
    notes: tuple[str, ...]


class _CannotTellError(Exception):
    """A condition cannot be evaluated in this file; the text says why."""


def group_masks(
    wave: Wave,
    recipe: GroupRecipe,
    subpopulations: Sequence[Subpopulation],
    domain: Mask | None = None,
) -> GroupMasks:
    """Apply ``recipe`` to ``wave`` for each of ``subpopulations``.

    Of an attribute's alternatives the one that tells most groups in this file counts, the first of
    equals. Intersections hold where all their conditions hold, the total population everywhere.
    A group the file cannot tell is listed in ``missing``; the others are not affected.

    Args:
        domain: the respondents that are looked at, shape (respondents,); None: all. The others are
            in no group, and no note counts them.

    Raises:
        DataError: a respondent is in two groups of one attribute that are not declared
            ``overlapping``, or a code has no value label though the variable's codes have labels
            and no other alternative tells the attribute.
    """
    inside: Mask = np.ones(len(wave), dtype=bool) if domain is None else domain
    wanted = dict.fromkeys(a for s in subpopulations for a, _ in s.conditions)
    told: dict[str, Mapping[str, Mask]] = {}
    why: dict[tuple[str, str], str] = {}
    notes: list[str] = []
    for name in wanted:
        attribute = recipe.attributes.get(name)
        if attribute is None:
            continue
        told[name], reasons, about = _attribute_masks(wave, attribute, recipe.source, inside)
        why.update({(name, group): reason for group, reason in reasons.items()})
        notes += about
    columns: list[Mask] = []
    kept: list[Subpopulation] = []
    missing: list[tuple[Subpopulation, str]] = []
    for subpopulation in subpopulations:
        mask = inside.copy()
        reason = ""
        for name, group in subpopulation.conditions:
            member = told.get(name, {}).get(group)
            if member is None:
                reason = why.get((name, group)) or _not_in_recipe(recipe, name, group)
                break
            mask &= member
        if not reason and not mask.any():
            reason = "no respondent is in it"
        if reason:
            missing.append((subpopulation, reason))
        else:
            columns.append(mask)
            kept.append(subpopulation)
    masks = np.stack(columns, axis=1) if columns else np.zeros((len(wave), 0), dtype=bool)
    return GroupMasks(masks, tuple(kept), tuple(missing), tuple(notes))


def _not_in_recipe(recipe: GroupRecipe, name: str, group: str) -> str:
    attribute = recipe.attributes.get(name)
    if attribute is None:
        return f"{recipe.source} has no attribute {name} (it has {', '.join(recipe.attributes)})"
    if group in attribute.absent:
        return attribute.absent[group]
    return f"{recipe.source} has no group {group} of {name} (it has {'; '.join(attribute.groups)})"


def _attribute_masks(
    wave: Wave, attribute: AttributeRecipe, source: str, domain: Mask
) -> tuple[Mapping[str, Mask], Mapping[str, str], list[str]]:
    """Masks by group, reasons by group that has none, and notes on the attribute."""
    best: tuple[dict[str, Mask], Alternative] | None = None
    reasons: dict[str, list[str]] = {}
    wrong: DataError | None = None
    for way in attribute.alternatives:
        masks = {}
        try:
            _check_names(wave, way)
            for group, condition in way.groups.items():
                try:
                    masks[group] = _holds(condition, wave) & domain
                except _CannotTellError as reason:
                    reasons.setdefault(group, []).append(str(reason))
        except DataError as error:
            wrong = wrong or error
            continue
        if best is None or len(masks) > len(best[0]):
            best = masks, way
    if wrong is not None and (best is None or not best[0]):
        raise wrong.at(f"{source}, {attribute.name}")
    assert best is not None  # a recipe has at least one alternative
    masks, way = best
    lost = {g: "; ".join(dict.fromkeys(texts)) for g, texts in reasons.items() if g not in masks}
    for group in attribute.groups:
        if group not in masks and group not in lost:
            lost[group] = f"{', '.join(sorted(way.variables))} does not tell it apart"
    _check_overlap(masks, attribute, source)
    return masks, lost, _notes(wave, attribute, way, masks, domain)


def _check_names(wave: Wave, way: Alternative) -> None:
    """Refuse a group made of one code and named as the file labels a code of another group."""
    told = {g: c for g, c in way.groups.items() if isinstance(c, Codes)}
    for group, condition in told.items():
        column = _column(wave, condition.variable)
        variable = wave.variables.get(column) if column else None
        if variable is None:
            continue
        labels = dict(zip(variable.codes, map(_plain, variable.options), strict=True))
        named = [c for c, text in labels.items() if text == _plain(group)]
        others = [
            other
            for other, its in told.items()
            if other != group and its.variable == condition.variable and set(named) & set(its.codes)
        ]
        # a code without a label is refused by itself
        known = set(condition.codes) <= set(labels)
        if named and others and known and not set(named) & set(condition.codes):
            raise DataError(
                "A group has the codes of another one",
                where=f"variable {variable.name}, group {group}",
                expected=f"code {named[0]:g}, which the file labels so",
                found=f"codes {', '.join(f'{c:g}' for c in condition.codes)}; {named[0]:g} is in "
                f"{others[0]}",
                hint="exchange the codes; if the file's labels are wrong, correct them (`correct`, "
                "with `relabel: true`)",
            )


def _notes(
    wave: Wave,
    attribute: AttributeRecipe,
    way: Alternative,
    masks: Mapping[str, Mask],
    domain: Mask,
) -> list[str]:
    if not masks:
        return [f"{attribute.name}: not in {wave.family} {wave.wave}"]
    total = int(domain.sum())
    out = total - int(np.any(list(masks.values()), axis=0).sum())
    used = sorted(c for v in way.variables if (c := _column(wave, v)))
    parts = [f"{attribute.name}: from {', '.join(used)}; {out} of {total} in none of its groups"]
    notes = ["; ".join([*parts, *(n for n in (attribute.note, way.note) if n)])]
    ranges = intervals_of(way.groups[group] for group in masks)
    for name, limits in ranges.items():
        column, variable = _look_up(wave, name)
        told = outside(wave.respondents[column].filter(domain), variable, limits)
        notes += [f"{attribute.name}, {column}: {line}" for line in told]
    return notes


def _check_overlap(masks: Mapping[str, Mask], attribute: AttributeRecipe, source: str) -> None:
    groups = list(masks)
    for i, first in enumerate(groups):
        for second in groups[i + 1 :]:
            both = int((masks[first] & masks[second]).sum())
            if both and not {first, second} <= attribute.overlapping:
                raise DataError(
                    f"{both} respondents are in two groups of one attribute",
                    where=f"{source}, {attribute.name}",
                    expected="groups without common members",
                    found=f"{first} and {second}",
                    hint="correct the conditions (add `none:` for those to be left out), or list "
                    "both groups under `overlapping:`",
                )


def _holds(condition: Condition, wave: Wave, beside: bool = False) -> Mask:
    """Where ``condition`` holds, shape (respondents,).

    Args:
        beside: it is part of an ``all`` with a condition that only answers fulfil.
    """
    match condition:
        case Combined("none", parts):
            out = np.stack([_holds(p, wave) for p in parts]).any(axis=0)
            known = True if beside else _answered(condition, wave)
            return np.asarray(~out & known)
        case Combined(how, parts):
            joint = how == "all" and (beside or any(not _negative(p) for p in parts))
            stacked = np.stack([_holds(p, wave, joint) for p in parts])
            return np.asarray(stacked.all(axis=0) if how == "all" else stacked.any(axis=0))
        case Codes(name, codes):
            column, variable = _look_up(wave, name)
            return _in_codes(wave.respondents[column], variable, codes)
        case Labels(name, labels):
            column, variable = _look_up(wave, name)
            return _in_labels(wave.respondents[column], variable, labels)
        case Interval(name, low, high):
            column, variable = _look_up(wave, name)
            try:
                return in_interval(wave.respondents[column], variable, low, high)
            except UnreadableError as reason:
                raise _CannotTellError(str(reason)) from reason


def _negative(condition: Condition) -> bool:
    """Whether nothing but ``none`` says who fulfils it."""
    if not isinstance(condition, Combined):
        return False
    return condition.how == "none" or all(map(_negative, condition.parts))


def _answered(condition: Condition, wave: Wave) -> Mask:
    """Who has answered every variable that ``condition`` names, shape (respondents,)."""
    known: Mask = np.ones(len(wave), dtype=bool)
    for name in Alternative({"": condition}).variables:
        column, variable = _look_up(wave, name)
        known &= answered(wave.respondents[column], variable)
    return known


def _column(wave: Wave, name: str) -> str | None:
    """The file's spelling: GSS and ATP files differ in case between SPSS and Stata releases."""
    columns = wave.respondents.columns
    if name in columns:
        return name
    alike = [c for c in columns if c.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _look_up(wave: Wave, name: str) -> tuple[str, Variable]:
    column = _column(wave, name)
    if column is None:
        near = difflib.get_close_matches(name, wave.respondents.columns, n=3)
        raise _CannotTellError(
            f"variable {name} is not in the file" + (f" (like it: {', '.join(near)})" * bool(near))
        )
    return column, wave.variables.get(column, Variable(column))


def _in_codes(values: pl.Series, variable: Variable, codes: tuple[float, ...]) -> Mask:
    if not values.dtype.is_numeric():
        raise DataError(
            "A group recipe gives codes for a text variable",
            where=f"variable {variable.name}",
            expected="`labels` (its texts), or `min` and `max` (of the numbers and bands it holds)",
            found=list(codes),
        )
    unlabelled = [c for c in codes if c not in variable.codes and c not in variable.missing]
    if variable.codes and unlabelled:
        raise DataError(
            "A group recipe gives a code that has no value label",
            where=f"variable {variable.name}",
            expected="; ".join(
                f"{c:g} {o}" for c, o in zip(variable.codes, variable.options, strict=True)
            ),
            found=", ".join(f"{c:g}" for c in unlabelled),
            hint="the file may be of another year or coding: give `labels`, or an alternative",
        )
    return values.cast(pl.Float64).is_in(list(codes)).fill_null(False).to_numpy()


def _in_labels(values: pl.Series, variable: Variable, labels: tuple[str, ...]) -> Mask:
    wanted = [_plain(label) for label in labels]

    def fits(text: str) -> bool:
        plain = _plain(text)
        return any(
            plain.startswith(w[:-1].rstrip()) if w.endswith("*") else plain == w for w in wanted
        )

    if not values.dtype.is_numeric():
        texts = [t for t in values.unique().to_list() if t is not None and fits(str(t))]
        return values.is_in(texts).fill_null(False).to_numpy()
    codes = [c for c, o in zip(variable.codes, variable.options, strict=True) if fits(o)]
    codes = codes or [c for t, c in variable.texts.items() if fits(t) and c in variable.codes]
    if not codes:
        shown = "; ".join(variable.options[:12]) or "none"
        raise _CannotTellError(
            f"no value label of {variable.name} reads {' or '.join(labels)} (they are: {shown})"
        )
    return values.cast(pl.Float64).is_in(codes).fill_null(False).to_numpy()


_NUMBERING = re.compile(r"^\(?\d{1,3}[.)]\s+")
_SIGNS = str.maketrans({"’": "'", "‘": "'", "`": "'", "–": "-", "—": "-", "“": '"', "”": '"'})


def _plain(label: str) -> str:
    text = " ".join(label.translate(_SIGNS).split())
    return _NUMBERING.sub("", text).casefold()
