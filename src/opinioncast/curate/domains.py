"""The part of a file that a wave recipe asks for: another sample, or a domain of the same one.

``sample`` cuts a file to one of several samples in it (a year of a cumulated file, a country):
strata and PSUs of the others are no part of its design. ``where`` asks for some of the people of
one sample. Their shares are the same, but those left out were drawn too: the design stays whole,
and standard errors are those of the same people as a group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import DataError, InputError
from opinioncast.readers.text_codes import number_of
from opinioncast.survey.wave import Variable, Wave

Mask = npt.NDArray[np.bool_]
Value = float | str
Condition = Value | tuple[Value, ...]
"""One value, or several of which any will do; a text is a value label of a coded variable."""


def only(wave: Wave, conditions: Mapping[str, Condition], field: str) -> Mask:
    """Respondents that fulfil all conditions, shape (respondents,).

    Args:
        field: of the recipe, for messages (``where``).

    Raises:
        InputError: a variable the file does not have, a label its variable does not have.
        DataError: nobody fulfils the conditions.
    """
    place = f"{wave.family} {wave.wave} ({wave.meta.get('file', 'file')})"
    absent = [v for v in conditions if v not in wave.respondents.columns]
    if absent:
        raise InputError(
            f"The recipe's `{field}` names variables the file does not have",
            where=place,
            expected=f"variables among the file's {len(wave.respondents.columns)}",
            found=", ".join(absent),
        )
    kept = np.ones(len(wave), dtype=bool)
    for name, condition in conditions.items():
        values = condition if isinstance(condition, tuple) else (condition,)
        variable = wave.variables.get(name, Variable(name))
        kept &= _holds(wave.respondents[name], variable, values, f"{place}, `{field}`")
    if not kept.any():
        raise DataError(
            f"No respondent fulfils the recipe's `{field}`",
            where=f"{place}, {dict(conditions)}",
            expected="at least one respondent",
            found=f"0 of {len(wave)}",
        )
    return kept


def cut(wave: Wave, kept: Mask, *notes: str) -> Wave:
    """The wave of these respondents only, with notes."""
    respondents = wave.respondents.filter(pl.Series(kept))
    meta = {
        **wave.meta,
        "respondents": respondents.height,
        "notes": [*wave.meta.get("notes", ()), *notes],
    }
    return replace(wave, respondents=respondents, meta=meta)


def _holds(column: pl.Series, variable: Variable, values: Sequence[Value], where: str) -> Mask:
    texts = [v for v in values if isinstance(v, str)]
    numbers = [float(v) for v in values if not isinstance(v, str)]
    if not column.dtype.is_numeric():
        if numbers:
            raise InputError(
                "A condition gives numbers for a text variable",
                where=f"{where}, variable {variable.name}",
                expected="texts (put them in quotes)",
                found=numbers,
            )
        held = column.cast(pl.String).str.strip_chars()
        strange = [t for t in texts if t not in set(held.drop_nulls().unique())]
        if strange:
            raise InputError(
                "A condition names a text the variable does not have",
                where=f"{where}, variable {variable.name}",
                expected="; ".join(held.drop_nulls().unique().sort().head(12)),
                found=", ".join(strange),
            )
        return held.is_in(texts).fill_null(False).to_numpy()
    labels = {o.casefold(): c for c, o in zip(variable.codes, variable.options, strict=True)}
    if not labels:  # "01" in quotes, of a column of numbers
        numbers += [value for t in texts if (value := number_of(t)) is not None]
        texts = [t for t in texts if number_of(t) is None]
    unknown = [t for t in texts if t.casefold() not in labels]
    if unknown:
        raise InputError(
            "A condition names a value label the variable does not have",
            where=f"{where}, variable {variable.name}",
            expected="; ".join(variable.options[:12]) or "a code: the variable has no labels",
            found=", ".join(unknown),
        )
    codes = [*numbers, *(labels[t.casefold()] for t in texts)]
    return column.cast(pl.Float64).is_in(codes).fill_null(False).to_numpy()
