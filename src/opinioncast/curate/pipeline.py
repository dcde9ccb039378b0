"""From a recipe to an opinion table: read, group, select, refine, scale, aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.curate.aggregate import AggregateResult, aggregate
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
from opinioncast.readers import PLAIN, anes, atp, column_names, gss, read_wave
from opinioncast.readers.opinionqa import read_opinionqa
from opinioncast.survey import Design, OpinionTable, Question, Subpopulation, Wave, load_groups

_CONVENTIONS = {
    "none": PLAIN,
    "gss": gss.CONVENTIONS,
    "anes": anes.CONVENTIONS,
    "atp": atp.CONVENTIONS,
}
CHOSEN = "chosen by question file"
MISFIT = "options do not fit the file"
NOT_IN_FILE = "not in the file"
UNUSABLE = "cannot be put as a question"

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
) -> Curation:
    """Run a recipe.

    Args:
        folders: where its files are looked for, in this order.
        partial: go on without the waves whose files are absent; they are named in ``absent``.
        generate: a language model that refines wordings (Figure 6); rules when left out.

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
    done = []
    for i, wave in enumerate(waves):
        if progress:
            progress(i, len(waves))
        done.append(_curate_wave(recipe, wave, folders, generate))
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
                | {k: v for k, v in w.result.table.meta.items() if k not in ("notes", "flags")}
                for w in done
            ],
            "absent": absent,
        },
    )
    return Curation(recipe, done, table, absent)


def _curate_wave(
    recipe: CurationRecipe,
    asked: WaveRecipe,
    folders: Sequence[Path],
    generate: Generate | None,
) -> CuratedWave:
    def file(names: File | None) -> Path | None:
        return find_file(names, folders) if names else None

    # a shipped name wins: a folder of that name (gss) may stand among the data
    own = None if asked.groups in builtin_recipes() else file((asked.groups,))
    groups = load_group_recipe(own or asked.groups)
    microdata = find_file(asked.file, folders)
    assert microdata is not None  # curate() looked for all files
    question_file = file(asked.questions)
    chosen = read_questions(question_file, asked.wave) if question_file else None
    columns = None
    if chosen is not None:
        available = _columns(asked, microdata)
        wanted = [v for v in chosen if v in set(available)]
        columns = list(dict.fromkeys([*wanted, *groups.columns(available), *asked.where]))
    wave = _read(asked, microdata, file(asked.codebook), file(asked.wording), columns)
    place = f"{asked.family} {asked.wave} ({microdata.name})"
    # a group file may stand beside the recipe; any other name or expression is looked for nowhere
    schemes = [(g.endswith(".yaml") and find_file(g, folders)) or g for g in recipe.groups]
    subpopulations = load_groups(*schemes).subpopulations
    members = group_masks(wave, groups, subpopulations)
    if not members.subpopulations:
        raise DataError(
            "No group asked for is in a wave",
            where=place,
            expected=f"respondents in at least one of {len(subpopulations)} group(s)",
            found="; ".join(f"{s}: {why}" for s, why in members.missing),
            hint="check the group recipe of the wave (`groups`)",
        )
    if chosen is None:
        selection, review = file(asked.selection), file(asked.review)
        picked = _select(recipe, wave, groups, members, selection, review, generate)
    else:
        picked = _take(wave, chosen)
    overrides = file(asked.scales)
    wave, questions, scales, report = _as_questions(
        wave, picked, read_scales(overrides) if overrides else None
    )
    if not questions:
        raise DataError(
            "No question is left",
            where=place,
            expected="at least one usable question",
            found=dict(report["reason"].value_counts(sort=True).iter_rows()),
            hint="see the reasons; a selection file can keep what the rules drop",
        )
    result = aggregate(
        wave,
        questions,
        members.subpopulations,
        members.masks,
        min_n=recipe.min_n,
        lonely_psu=recipe.lonely_psu,
    )
    unfit = report.filter(~pl.col("kept")) if chosen is not None else report.clear()
    return CuratedWave(
        recipe=asked,
        wave=wave,
        report=report,
        refinement=picked.refinement,
        items=picked.items,
        questions=questions,
        scales=scales,
        groups=members,
        result=result,
        dropped=_dropped(result, questions, members, unfit, subpopulations),
        notes=(
            *wave.meta.get("notes", ()),
            *(f"{s} is not in the table: {why}" for s, why in members.missing),
            *members.notes,
            *picked.notes,
        ),
    )


def _columns(asked: WaveRecipe, path: Path) -> list[str]:
    if asked.conventions == "opinionqa":
        raise InputError(
            "OpinionQA's folders cannot be cut to chosen questions",
            where=f"{asked.family} {asked.wave}",
            expected="no `questions` in this wave; use a selection file",
        )
    return column_names(path, asked.encoding)


def _read(
    asked: WaveRecipe,
    path: Path,
    codebook: Path | None,
    wording: Path | None,
    columns: Sequence[str] | None,
) -> Wave:
    if asked.conventions == "opinionqa":
        return read_opinionqa(path, weight=asked.weight)
    wave = read_wave(
        path,
        family=asked.family,
        wave=asked.wave,
        columns=columns,
        codebook=codebook,
        corrections=asked.correct,
        wording=wording,
        design=Design(asked.weight, asked.strata, asked.psu),
        respondent_id=asked.respondent_id,
        conventions=_CONVENTIONS[asked.conventions],
        encoding=asked.encoding,
    )
    if not asked.where:
        return wave
    absent = [v for v in asked.where if v not in wave.respondents.columns]
    if absent:
        raise InputError(
            "The recipe's `where` names variables the file does not have",
            where=f"{asked.family} {asked.wave} ({path.name})",
            expected=f"variables among the file's {len(wave.respondents.columns)}",
            found=", ".join(absent),
        )
    kept = wave.respondents.filter(pl.col(v) == value for v, value in asked.where.items())
    if kept.height == 0:
        raise DataError(
            "No respondent fulfils the recipe's `where`",
            where=f"{path.name}, {dict(asked.where)}",
            expected="at least one respondent",
            found=f"0 of {len(wave)}",
        )
    note = f"{kept.height} of {len(wave)} respondents of the file ({dict(asked.where)})"
    meta = {**wave.meta, "respondents": kept.height, "notes": [*wave.meta["notes"], note]}
    return replace(wave, respondents=kept, meta=meta)


def _select(
    recipe: CurationRecipe,
    wave: Wave,
    groups: GroupRecipe,
    members: GroupMasks,
    decided: Path | None,
    review: Path | None,
    generate: Generate | None,
) -> _Picked:
    """The questions the rules keep, reworded by review file, model or rules."""
    selection = select(
        wave,
        masks=members.masks,
        subpopulations=members.subpopulations,
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
