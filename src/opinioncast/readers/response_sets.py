"""Multiple-response sets: one question of which several answers could be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from opinioncast.readers.describe import Flags
from opinioncast.readers.raw import RawFile, ResponseSet
from opinioncast.survey.wave import Missing, Variable

CHOSEN, NOT_CHOSEN = "Chosen", "Not chosen"
_NOT_CHOSEN_CODE = -8_000_000.0
"""Stands for a cell that says nothing, of a respondent who chose others of the set."""


def mark_sets(
    frame: pl.DataFrame, variables: Mapping[str, Variable], raw: RawFile, flags: Flags
) -> tuple[pl.DataFrame, dict[str, Variable]]:
    """Respondents and variables with what the file's multiple-response sets mean for them.

    * One variable per option: everybody who chose an option of the set, or has any answer in it,
      was asked all of its options; an empty cell of theirs is "not chosen". (SPSS's percent of
      cases has the same base where empty cells are all that is not chosen.)
    * One variable per mention: the first mention's shares are nobody's shares. Such a variable is
      undecided.
    """
    done = dict(variables)
    for group in raw.sets:
        members = [v for v in group.variables if v in done]
        if not members:
            continue
        if group.counted is None:
            for name in members:
                place = f"mention {group.variables.index(name) + 1} of {len(group.variables)}"
                done[name] = replace(
                    done[name],
                    undecided=f"{place} of the multiple-response set {group.name}: the shares of "
                    "one mention are not shares of people; make a variable per option",
                )
            flags.add(
                "mentions of multiple-response sets, no questions of their own",
                group.name,
                ", ".join(members),
            )
        elif isinstance(group.counted, float) and len(members) == len(group.variables):
            frame = _one_per_option(frame, done, group, group.counted, flags)
    return frame, done


def _one_per_option(
    frame: pl.DataFrame,
    variables: dict[str, Variable],
    group: ResponseSet,
    counted: float,
    flags: Flags,
) -> pl.DataFrame:
    """Empty cells of the set's respondents become "not chosen"."""
    names = list(group.variables)
    if not all(frame[n].dtype.is_numeric() for n in names):
        return frame
    values = frame.select(pl.col(names).cast(pl.Float64)).to_numpy()
    answered = np.zeros(frame.height, dtype=bool)
    for i, name in enumerate(names):
        known = [*variables[name].codes, counted]
        answered |= np.isin(values[:, i], known)
    changed = []
    for i, name in enumerate(names):
        variable = variables[name]
        others = [c for c in variable.codes if c != counted]
        empty = answered & np.isnan(values[:, i])
        labels = dict(zip(variable.codes, variable.options, strict=True))
        met = np.unique(values[answered & ~np.isnan(values[:, i]), i]).tolist()
        bare = [c for c in met if c not in labels and c not in variable.missing and c != counted]
        if not others and not empty.any() and not bare:
            continue
        if not empty.any() and len(labels) >= 2:
            continue  # the file says itself what was not chosen
        code = others[0] if others else bare[0] if bare else _NOT_CHOSEN_CODE
        if len(others) > 1 or len(bare) > 1:
            continue
        column = values[:, i].copy()
        column[empty] = code
        frame = frame.with_columns(pl.Series(name, column, nan_to_null=True))
        missing = {c: r for c, r in variable.missing.items() if c not in (code, counted)}
        variables[name] = replace(
            variable,
            codes=(counted, code),
            options=(labels.get(counted, CHOSEN), labels.get(code, NOT_CHOSEN)),
            ordinal=None,
            missing=missing,
            system_missing=Missing.NOT_ASKED,
        )
        changed.append(name)
    if changed:
        flags.add(
            "multiple-response sets in which an empty cell, beside other choices, is not chosen",
            group.name,
            ", ".join(changed),
        )
    return frame
