"""From a recipe to an opinion table: read, group, select, refine, scale, aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.curate.advice import (
    CHOSEN,
    MISFIT,
    NOT_IN_FILE,
    UNDECIDED,
    UNUSABLE,
    advice,
    limits,
)
from opinioncast.curate.aggregate import AggregateResult, aggregate, empty_result
from opinioncast.curate.asked_groups import asked_groups
from opinioncast.curate.asked_waves import available_columns, design_columns, read_asked_wave
from opinioncast.curate.domains import Mask, cut
from opinioncast.curate.group_recipe import GroupRecipe, builtin_recipes, load_group_recipe
from opinioncast.curate.groups import GroupMasks, group_masks
from opinioncast.curate.question_file import ChosenQuestion, match_options, read_questions
from opinioncast.curate.recipe import CurationRecipe, File, WaveRecipe
from opinioncast.curate.refine import Generate, RawQuestion, Refinement, refine
from opinioncast.curate.review import read_review
from opinioncast.curate.scale_file import ScaleFile, read_scales, scale_of
from opinioncast.curate.select import REPORT_SCHEMA, read_selection, select
from opinioncast.curate.sources import described, find_file
from opinioncast.errors import DataError, InputError
from opinioncast.survey import OpinionTable, Question, Subpopulation, Wave

DROPPED_SCHEMA: dict[str, Any] = {
    "question_id": pl.String,
    "variable": pl.String,
    "attribute": pl.String,
    "group": pl.String,
    "n_group": pl.Int64,
    "n": pl.Int64,
    "reason": pl.String,
}
"""Of the cells that are not in a table; counts are null where nothing could be counted."""

_SCALES_SCHEMA: dict[str, Any] = {
    "variable": pl.String,
    "options": pl.List(pl.String),
    "ordinal": pl.List(pl.Float64),
    "decided_by": pl.String,
}


@dataclass(frozen=True)
class CuratedWave:
    """One wave on its way from file to table.

    Attributes:
        report: one row per variable looked at: kept or dropped, and why.
        questions: what is kept, with its variable.
        scales: one row per question kept: options, ordinal, and who decided the scale.
        result: the table and the counts of every cell that could be computed.
        dropped: every question x subpopulation asked for that is not in the table, and why
            (:data:`DROPPED_SCHEMA`): cells that ``result`` dropped, those of groups the file cannot
            tell, and all cells of chosen questions that do not fit the file.
        notes: what a reader of the table should know: groups without a column, stale reviews, ...
        wave: the respondents the table is about; ``groups`` has their masks.
        sample, sample_masks: all respondents that were drawn, more than ``wave`` has where the
            recipe's ``where`` asks for some of them: a design and a bootstrap are of them.
    """

    recipe: WaveRecipe
    wave: Wave
    report: pl.DataFrame
    refinement: Refinement | None
    items: Sequence[RawQuestion]
    questions: Sequence[tuple[Question, str]]
    scales: pl.DataFrame
    groups: GroupMasks
    result: AggregateResult
    dropped: pl.DataFrame
    notes: tuple[str, ...]
    sample: Wave
    sample_masks: Mask


@dataclass(frozen=True)
class Curation:
    """All waves of a recipe, and their tables as one."""

    recipe: CurationRecipe
    waves: Sequence[CuratedWave]
    table: OpinionTable
    absent: Sequence[str]


@dataclass(frozen=True)
class _Picked:
    """Which variables become questions, and how they are worded."""

    report: pl.DataFrame
    texts: Mapping[str, ChosenQuestion]
    refinement: Refinement | None = None
    items: Sequence[RawQuestion] = ()
    notes: tuple[str, ...] = ()


def curate(
    recipe: CurationRecipe,
    folders: Sequence[Path],
    *,
    partial: bool = False,
    generate: Generate | None = None,
    progress: Callable[[int, int], None] | None = None,
    empty: bool = False,
) -> Curation:
    """Run a recipe.

    Args:
        folders: where its files are looked for, in this order.
        partial: go on without the waves whose files are absent; they are named in ``absent``.
        generate: a language model that refines wordings (Figure 6); rules when left out.
        empty: return a curation of which nothing is left, with its report, instead of raising.

    Raises:
        InputError: files are absent (all are named), or a decision file does not fit.
        DataError: a file that cannot be used; no question or no group left.
    """
    lacking = [[f for f in wave.files if find_file(f, folders) is None] for wave in recipe.waves]
    absent = list(dict.fromkeys(described(f) for files in lacking for f in files))
    waves = [w for w, files in zip(recipe.waves, lacking, strict=True) if not files]
    if absent and (not partial or not waves):
        raise InputError(
            f"{len(absent)} file(s) of the recipe {recipe.name} are not here",
            where="; ".join(map(str, folders)),
            expected=", ".join(absent),
            hint="put them in the data folder (--data); docs/curation.md says where they come from"
            + ("; or curate the waves that are there with --partial" if waves else ""),
        )
    told = [_groups_of(wave, folders) for wave in waves]
    done = []
    for i, wave in enumerate(waves):
        if progress:
            progress(i, len(waves))
        done.append(_curate_wave(recipe, wave, folders, generate, told[i], told))
    if progress:
        progress(len(waves), len(waves))
    table = OpinionTable(
        pl.concat([w.result.table.frame for w in done]),
        {
            "recipe": recipe.name,
            "citation": recipe.citation,
            "terms": recipe.terms,
            "redistribution": recipe.redistribution,
            "wording": recipe.wording,
            "paraphrase": recipe.wording.startswith("paraphrase"),
            "waves": [
                {"family": w.wave.family, "wave": w.wave.wave, "topic": w.recipe.topic}
                | {
                    k: v
                    for k, v in w.result.table.meta.items()
                    if k not in ("notes", "flags", "missing_decisions")
                }
                for w in done
            ],
            "absent": absent,
        },
    )
    curation = Curation(recipe, done, table, absent)
    if not len(table) and not empty:
        raise nothing_left(curation)
    return curation


def nothing_left(curation: Curation) -> DataError:
    """The error that says why no question is left, and what to do about it."""
    report = pl.concat([w.report for w in curation.waves])
    counted = dict(report["reason"].value_counts(sort=True).iter_rows())
    cells = pl.concat([w.dropped for w in curation.waves])
    if any(w.questions for w in curation.waves):
        counted = dict(cells["reason"].value_counts(sort=True).iter_rows())
    return DataError(
        "No question is left",
        where="; ".join(
            f"{w.wave.family} {w.wave.wave} ({w.wave.meta.get('file', 'folder')})"
            for w in curation.waves
        ),
        expected=f"at least one usable question (limits: {limits(curation.recipe.select)})",
        found=counted,
        hint="; ".join(advice(report)[:6]),
    )


def _groups_of(asked: WaveRecipe, folders: Sequence[Path]) -> GroupRecipe:
    # a shipped name wins: a folder of that name (gss) may stand among the data
    own = None if asked.groups in builtin_recipes() else find_file((asked.groups,), folders)
    return load_group_recipe(own or asked.groups)


def _curate_wave(
    recipe: CurationRecipe,
    asked: WaveRecipe,
    folders: Sequence[Path],
    generate: Generate | None,
    groups: GroupRecipe,
    told: Sequence[GroupRecipe],
) -> CuratedWave:
    def file(names: File | None) -> Path | None:
        return find_file(names, folders) if names else None

    microdata = find_file(asked.file, folders)
    assert microdata is not None  # curate() looked for all files
    question_file = file(asked.questions)
    chosen = read_questions(question_file, asked.wave) if question_file else None
    columns = None
    if chosen is not None:
        available = available_columns(asked, microdata)
        wanted = [v for v in chosen if v in set(available)]
        design = design_columns(asked, available, microdata)
        columns = list(dict.fromkeys([*wanted, *groups.columns(available), *design]))
    wave, domain = read_asked_wave(
        asked, microdata, file(asked.codebook), file(asked.wording), columns
    )
    place = f"{asked.family} {asked.wave} ({microdata.name})"
    subpopulations, unasked = asked_groups(recipe.groups, groups, told, folders)
    members = group_masks(wave, groups, subpopulations, domain)
    if not members.subpopulations:
        raise DataError(
            "No group asked for is in a wave",
            where=place,
            expected=f"respondents in at least one of {len(subpopulations)} group(s)",
            found="; ".join(f"{s}: {why}" for s, why in members.missing),
            hint="check the group recipe of the wave (`groups`)",
        )
    # questions are judged by those the table is about; the design stays that of all
    looked_at, masks = wave, members.masks
    if domain is not None:
        looked_at, masks = cut(wave, domain), masks[domain]
    if chosen is None:
        selection, review = file(asked.selection), file(asked.review)
        picked = _select(
            recipe, looked_at, groups, masks, members.subpopulations, selection, review, generate
        )
    else:
        picked = _take(looked_at, chosen)
    overrides = file(asked.scales)
    wave, questions, scales, report = _as_questions(
        wave, picked, read_scales(overrides) if overrides else None
    )
    result = empty_result(wave)
    if questions:
        result = aggregate(
            wave,
            questions,
            members.subpopulations,
            members.masks,
            min_n=recipe.min_n,
            lonely_psu=recipe.lonely_psu,
            domain=domain,
            empty=True,
        )
    unfit = report.filter(~pl.col("kept")) if chosen is not None else report.clear()
    return CuratedWave(
        recipe=asked,
        wave=wave if domain is None else cut(wave, domain),
        report=report,
        refinement=picked.refinement,
        items=picked.items,
        questions=questions,
        scales=scales,
        groups=replace(members, masks=masks),
        result=result,
        dropped=_dropped(result, questions, members, unfit, subpopulations),
        notes=(
            *wave.meta.get("notes", ()),
            *(f"{s} is not in the table: {why}" for s, why in members.missing),
            *members.notes,
            *unasked,
            *picked.notes,
            *(() if questions else ("no question is left", *advice(report))),
        ),
        sample=wave,
        sample_masks=members.masks,
    )


def _select(
    recipe: CurationRecipe,
    wave: Wave,
    groups: GroupRecipe,
    masks: Mask,
    subpopulations: Sequence[Subpopulation],
    decided: Path | None,
    review: Path | None,
    generate: Generate | None,
) -> _Picked:
    """The questions the rules keep, reworded by review file, model or rules."""
    selection = select(
        wave,
        masks=masks,
        subpopulations=subpopulations,
        group_variables=groups.columns(wave.respondents.columns),
        settings=recipe.select,
        decided=read_selection(decided) if decided else None,
    )
    items = [
        RawQuestion(v, wave.variables[v].wording, wave.variables[v].options) for v in selection.kept
    ]
    refinement = refine(items, read_review(review) if review else (), generate)
    return _Picked(
        selection.report,
        {v: ChosenQuestion(r.text) for v, r in refinement.refined.items()},
        refinement,
        items,
        (
            *(f"{v}: reviewed wording not used, the source changed" for v in refinement.stale),
            *(f"{v}: in the review file but not a question" for v in refinement.unused),
            *(f"{v}: {why}; rules decided" for v, why in refinement.fallbacks.items()),
        ),
    )


def _take(wave: Wave, chosen: Mapping[str, ChosenQuestion]) -> _Picked:
    """The questions of a question file that fit the wave, in its order."""
    rows = []
    for name, question in chosen.items():
        variable = wave.variables.get(name)
        if variable is None:
            rows.append((name, "", question.text, False, NOT_IN_FILE, "", 0))
            continue
        if variable.undecided:
            row = (name, variable.label, question.text, False, UNDECIDED, variable.undecided, 0)
            rows.append(row)
            continue
        match = match_options(variable, question)
        kept = bool(match.places)
        column = wave.respondents[name]
        n = int(column.is_in(list(variable.codes)).sum()) if column.dtype.is_numeric() else 0
        reason = CHOSEN if kept else MISFIT
        rows.append((name, variable.label, question.text, kept, reason, match.note, n))
    report = pl.DataFrame(rows, schema=REPORT_SCHEMA, orient="row")
    return _Picked(report, {v: chosen[v] for v in report.filter("kept")["variable"]})


def _as_questions(
    wave: Wave, picked: _Picked, overrides: ScaleFile | None
) -> tuple[Wave, list[tuple[Question, str]], pl.DataFrame, pl.DataFrame]:
    """Questions with their scales; the wave with each one's codes in the order of its options.

    What cannot be put as a question (two options alike, ...) is dropped in the report.
    """
    variables = dict(wave.variables)
    questions, scales, unusable = [], [], {}
    for name, text in picked.texts.items():
        variable = wave.variables[name]
        match = match_options(variable, text)
        scale = scale_of(replace(variable, wording=text.text), overrides)
        try:
            question = Question(
                question_id=name,
                text=text.text,
                options=match.options,
                ordinal=text.ordinal or tuple(scale.ordinal[i] for i in match.places),
                family=wave.family,
                wave=wave.wave,
            )
        except InputError as error:
            unusable[name] = f"{error.title}: {error.found or ''}"
            continue
        variables[name] = replace(
            variable,
            codes=tuple(variable.codes[i] for i in match.places),
            options=match.options,
            ordinal=None,
        )
        questions.append((question, name))
        by = "question file" if text.ordinal else scale.rule
        scales.append((name, list(question.options), list(question.ordinal), by))
    bad = pl.col("variable").is_in(list(unusable))
    details = pl.col("variable").replace_strict(unusable, default=None, return_dtype=pl.String)
    report = picked.report.with_columns(
        kept=pl.col("kept") & ~bad,
        reason=pl.when(bad).then(pl.lit(UNUSABLE)).otherwise("reason"),
        detail=pl.when(bad).then(details).otherwise("detail"),
    )
    table = pl.DataFrame(scales, schema=_SCALES_SCHEMA, orient="row")
    return replace(wave, variables=variables), questions, table, report


def _dropped(
    result: AggregateResult,
    questions: Sequence[tuple[Question, str]],
    members: GroupMasks,
    unfit: pl.DataFrame,
    subpopulations: Sequence[Subpopulation],
) -> pl.DataFrame:
    """Every cell asked for that is not in the table.

    Args:
        unfit: rows of the report whose questions were asked for and are not put.
    """
    rows = [
        (question.question_id, name, *s.key, None, None, why)
        for question, name in questions
        for s, why in members.missing
    ]
    rows += [
        (row["variable"], row["variable"], *s.key, None, None, row["reason"])
        for row in unfit.iter_rows(named=True)
        for s in subpopulations
    ]
    uncounted = pl.DataFrame(rows, schema=DROPPED_SCHEMA, orient="row")
    return pl.concat([result.dropped, uncounted])
