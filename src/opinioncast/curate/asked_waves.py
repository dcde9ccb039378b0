"""The wave that a recipe asks for: its file, cut to its sample, with its weight and design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from opinioncast.curate.design import product_of_weights
from opinioncast.curate.domains import Mask, cut, only
from opinioncast.curate.ordinality import off_scale_options
from opinioncast.curate.points import complete_points, has_bare_points
from opinioncast.curate.recipe import WaveRecipe
from opinioncast.errors import InputError
from opinioncast.readers import column_names, read_wave
from opinioncast.readers.file_design import UNWEIGHTED
from opinioncast.readers.institutions import conventions
from opinioncast.readers.missing_answers import MissingRule
from opinioncast.readers.opinionqa import OPINIONQA, read_opinionqa
from opinioncast.survey import Design, Wave


def available_columns(asked: WaveRecipe, path: Path) -> list[str]:
    """The variables of the wave's file.

    Raises:
        InputError: OpinionQA's folders, which are read as a whole.
    """
    if asked.conventions == OPINIONQA:
        raise InputError(
            "OpinionQA's folders cannot be cut to chosen questions",
            where=f"{asked.family} {asked.wave}",
            expected="no `questions` in this wave; use a selection file",
        )
    return column_names(path, asked.encoding)


def design_columns(asked: WaveRecipe, available: Sequence[str], path: Path) -> list[str]:
    """Every column that the recipe's design, sample and domain need."""
    fpc = [asked.fpc] if isinstance(asked.fpc, str) else []
    replicates: Sequence[str] = ()
    if asked.replicates is not None:
        replicates = asked.replicates.weights(available, _place(asked, path)).columns
    weights = [w for w in asked.weights if w.casefold() != UNWEIGHTED]
    return [*weights, *fpc, *replicates, *asked.sample, *asked.where]


def read_asked_wave(
    asked: WaveRecipe,
    path: Path,
    codebook: Path | None,
    wording: Path | None,
    columns: Sequence[str] | None,
) -> tuple[Wave, Mask | None]:
    """The wave, and the respondents the table is about (None: all), shape (respondents,).

    Raises:
        InputError, DataError: a file, column, sample or domain that is not there or not usable.
    """
    if asked.conventions == OPINIONQA:
        if len(asked.weights) > 1 or asked.replicates or asked.fpc or asked.sample or asked.where:
            raise InputError(
                "OpinionQA's folders have one weight and no other design",
                where=_place(asked, path),
                expected="`weight` alone",
            )
        return read_opinionqa(path, weight=asked.weights[0] if asked.weights else None), None
    wave = read_wave(
        path,
        family=asked.family,
        wave=asked.wave,
        columns=columns,
        codebook=codebook,
        corrections=asked.correct,
        wording=wording,
        design=Design(asked.weights[0] if asked.weights else None, asked.strata, asked.psu),
        respondent_id=asked.respondent_id,
        conventions=conventions()[asked.conventions],
        encoding=asked.encoding,
        missing=MissingRule.of(asked.missing, f"{asked.family} {asked.wave}, missing"),
        decimal=asked.decimal,
        id_within=[*asked.where, *asked.sample],
    )
    if len(asked.weights) > 1:
        wave = product_of_weights(wave, asked.weights)
    wave = _with_points(_with_design(wave, asked, path))
    if asked.sample:
        kept = only(wave, asked.sample, "sample")
        note = f"{int(kept.sum())} of {len(wave)} respondents of the file ({dict(asked.sample)})"
        wave = cut(wave, kept, note)
    if not asked.where:
        return wave, None
    domain = only(wave, asked.where, "where")
    note = (
        f"{int(domain.sum())} of {len(wave)} respondents ({dict(asked.where)}), a domain: the "
        "design is that of all"
    )
    meta = {
        **wave.meta,
        "respondents": int(domain.sum()),
        "notes": [*wave.meta["notes"], note],
    }
    return replace(wave, meta=meta), domain


def _with_design(wave: Wave, asked: WaveRecipe, path: Path) -> Wave:
    design = wave.design
    if asked.fpc is not None:
        design = replace(design, fpc=asked.fpc)
    if asked.replicates is not None:
        weights = asked.replicates.weights(wave.respondents.columns, _place(asked, path))
        design = replace(design, replicates=weights, strata=None, psu=None)
    return wave if design == wave.design else replace(wave, design=design)


def _with_points(wave: Wave) -> Wave:
    """The wave with the points of its numbered scales that nobody chose, and a note on them."""
    variables = dict(wave.variables)
    added = []
    for name, variable in wave.variables.items():
        if not has_bare_points(variable):
            continue  # most variables: their texts need no second look
        whole = complete_points(variable, off_scale_options(variable.options))
        if whole is not variable:
            variables[name] = whole
            points = sorted(set(whole.codes) - set(variable.codes))
            added.append(f"{name} ({', '.join(f'{p:g}' for p in points)})")
    if not added:
        return wave
    more = f", ... ({len(added)} variables)" if len(added) > 10 else ""
    note = f"scale points that nobody chose, kept as options: {', '.join(added[:10])}{more}"
    meta = {**wave.meta, "notes": [*wave.meta.get("notes", ()), note]}
    return replace(wave, variables=variables, meta=meta)


def _place(asked: WaveRecipe, path: Path) -> str:
    return f"{asked.family} {asked.wave} ({path.name})"
