"""From a recipe to an opinion table: read, group, select, refine, scale, aggregate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.curate.aggregate import AggregateResult, aggregate
from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.groups import GroupMasks, group_masks
from opinioncast.curate.ordinality import normal_option
from opinioncast.curate.question_file import ChosenQuestion, read_questions
from opinioncast.curate.recipe import CurationRecipe, WaveRecipe
from opinioncast.curate.refine import Generate, RawQuestion, Refinement, refine
from opinioncast.curate.review import read_review
from opinioncast.curate.scale_file import read_scales, scale_of
from opinioncast.curate.select import REPORT_SCHEMA, read_selection, select
from opinioncast.errors import DataError, InputError
from opinioncast.readers import PLAIN, anes, atp, column_names, gss, read_wave
from opinioncast.readers.opinionqa import read_opinionqa
from opinioncast.survey import (
    Design,
    OpinionTable,
    Question,
    Variable,
    Wave,
    load_groups,
)

_CONVENTIONS = {"none": PLAIN, "gss": gss.CONVENTIONS, "anes": anes.CONVENTIONS}
CHOSEN = "chosen by question file"


@dataclass(frozen=True)
class CuratedWave:
    """One wave on its way from file to table.

    Attributes:
        report: one row per variable looked at: kept or dropped, and why.
        questions: what is kept, with its variable.
        scales: one row per question kept: options, ordinal, and who decided the scale.
        result: the table and what became of every cell.
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
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Curation:
    """All waves of a recipe, and their tables as one."""

    recipe: CurationRecipe
    waves: Sequence[CuratedWave]
    table: OpinionTable
    absent: Sequence[str]


def find_file(name: str, folders: Sequence[Path]) -> Path | None:
    """``name`` in the first of ``folders`` that has it."""
    return next((f / name for f in folders if (f / name).exists()), None)


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
        DataError: a file that cannot be used; no question left.
    """
    lacking = {
        i: [f for f in wave.files if find_file(f, folders) is None]
        for i, wave in enumerate(recipe.waves)
    }
    absent = [f for files in lacking.values() for f in files]
    waves = [w for i, w in enumerate(recipe.waves) if not lacking[i]]
    if absent and (not partial or not waves):
        raise InputError(
            f"{len(set(absent))} file(s) of the recipe are not here",
            where="; ".join(map(str, folders)),
            expected=f"the files of {recipe.name} ({recipe.citation})",
            found=", ".join(dict.fromkeys(absent)),
            hint="put them in the data folder (--data)"
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
    def file(name: str | None) -> Path | None:
        return find_file(name, folders) if name else None

    group_recipe_path = file(asked.groups)
    groups = load_group_recipe(group_recipe_path or asked.groups)
    chosen_file = file(asked.questions)
    chosen = read_questions(chosen_file, asked.wave) if chosen_file else None
    microdata = find_file(asked.file, folders)
    assert microdata is not None  # curate() looked for all files
    columns = None
    lost: list[str] = []
    if chosen is not None:
        available = set(_columns(asked, microdata))
        lost = [v for v in chosen if v not in available]
        wanted = [v for v in chosen if v in available]
        columns = list(dict.fromkeys([*wanted, *groups.columns(available), *asked.where]))
        chosen = {v: chosen[v] for v in wanted}
    wave = _read(asked, microdata, file(asked.codebook), file(asked.wording), columns)
    subpopulations = load_groups(*recipe.groups).subpopulations
    members = group_masks(wave, groups, subpopulations)
    notes = [f"{s} is not in the table: {why}" for s, why in members.missing]
    notes += list(members.notes)
    if chosen is None:
        decided = file(asked.selection)
        selection = select(
            wave,
            masks=members.masks,
            subpopulations=members.subpopulations,
            group_variables=groups.columns(wave.respondents.columns),
            settings=recipe.select,
            decided=read_selection(decided) if decided else None,
        )
        report, variables = selection.report, selection.kept
        review = file(asked.review)
        items = [
            RawQuestion(v, wave.variables[v].wording, wave.variables[v].options) for v in variables
        ]
        refinement = refine(items, read_review(review) if review else (), generate)
        notes += [f"{v}: reviewed wording not used, the source changed" for v in refinement.stale]
        notes += [f"{v}: in the review file but not a question" for v in refinement.unused]
        notes += [f"{v}: {why}; rules decided" for v, why in refinement.fallbacks.items()]
        texts = {v: ChosenQuestion(r.text) for v, r in refinement.refined.items()}
    else:
        report = _chosen_report(wave, chosen, lost)
        texts = {v: c for v, c in chosen.items() if not _misfit(wave.variables[v], c)}
        refinement, items = None, []
    if not texts:
        raise DataError(
            "No question is left",
            where=f"{asked.family} {asked.wave} ({asked.file})",
            expected="at least one usable question",
            found=dict(report["reason"].value_counts(sort=True).iter_rows()),
            hint="see the reasons; a selection file can keep what the rules drop",
        )
    overrides = file(asked.scales)
    scale_file = read_scales(overrides) if overrides else None
    questions, scales = [], []
    for name, text in texts.items():
        variable = wave.variables[name]
        options, order = _arranged(variable, text)
        scale = scale_of(replace(variable, wording=text.text), scale_file)
        ordinal = text.ordinal or tuple(scale.ordinal[i] for i in order)
        by = "question file" if text.ordinal else scale.rule
        question = Question(
            question_id=name,
            text=text.text,
            options=options,
            ordinal=ordinal,
            family=asked.family,
            wave=asked.wave,
        )
        questions.append((question, name))
        scales.append((name, list(options), list(ordinal), by))
    wave = _in_question_order(wave, texts)
    result = aggregate(
        wave,
        questions,
        members.subpopulations,
        members.masks,
        min_n=recipe.min_n,
        lonely_psu=recipe.lonely_psu,
    )
    return CuratedWave(
        recipe=asked,
        wave=wave,
        report=report,
        refinement=refinement,
        items=items,
        questions=questions,
        scales=pl.DataFrame(
            scales,
            schema={
                "variable": pl.String,
                "options": pl.List(pl.String),
                "ordinal": pl.List(pl.Float64),
                "decided_by": pl.String,
            },
            orient="row",
        ),
        groups=members,
        result=result,
        notes=(*wave.meta.get("notes", ()), *notes),
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
    conventions = atp.CONVENTIONS if asked.conventions == "atp" else _CONVENTIONS[asked.conventions]
    wave = read_wave(
        path,
        family=asked.family,
        wave=asked.wave,
        columns=columns,
        codebook=codebook,
        wording=wording,
        design=Design(asked.weight, asked.strata, asked.psu),
        respondent_id=asked.respondent_id,
        conventions=conventions,
        encoding=asked.encoding,
    )
    if not asked.where:
        return wave
    kept = wave.respondents.filter(pl.col(v) == value for v, value in asked.where.items())
    if kept.height == 0:
        raise DataError(
            "No respondent fulfils the recipe's `where`",
            where=f"{path.name}, {dict(asked.where)}",
            expected="at least one respondent",
            found=f"0 of {len(wave)}",
        )
    return replace(wave, respondents=kept)


def _misfit(variable: Variable, chosen: ChosenQuestion) -> str:
    """Why a chosen wording cannot be put to a variable's codes; "" where it can."""
    if len(variable.codes) < 2:
        return f"{len(variable.codes)} labelled option(s) in the file"
    if chosen.options is not None and len(chosen.options) != len(variable.codes):
        return (
            f"{len(chosen.options)} options {list(chosen.options)} for {len(variable.codes)} codes "
            f"{list(variable.options)}"
        )
    return ""


def _arranged(variable: Variable, chosen: ChosenQuestion) -> tuple[tuple[str, ...], list[int]]:
    """Options as prompted, and which of the variable's codes each stands for.

    Options named by the question file are matched to the file's labels; where they are worded
    otherwise, they stand in the order of the codes.
    """
    given = list(range(len(variable.codes)))
    if chosen.options is None:
        return variable.options, given
    place = {normal_option(o): i for i, o in enumerate(variable.options)}
    order = [place.get(normal_option(o)) for o in chosen.options]
    found = [i for i in order if i is not None]
    return chosen.options, found if sorted(found) == given else given


def _in_question_order(wave: Wave, chosen: Mapping[str, ChosenQuestion]) -> Wave:
    """The wave with each chosen variable's codes in the order of the question's options."""
    variables = dict(wave.variables)
    for name, question in chosen.items():
        variable = variables[name]
        options, order = _arranged(variable, question)
        variables[name] = replace(
            variable,
            codes=tuple(variable.codes[i] for i in order),
            options=options,
            ordinal=None,
        )
    return replace(wave, variables=variables)


def _chosen_report(
    wave: Wave, chosen: Mapping[str, ChosenQuestion], lost: Sequence[str]
) -> pl.DataFrame:
    """The report of a wave whose questions were chosen by a file."""
    rows: list[tuple[Any, ...]] = []
    for name, question in chosen.items():
        variable = wave.variables[name]
        misfit = _misfit(variable, question)
        answers = int(wave.respondents[name].is_in(list(variable.codes)).sum())
        reason = "options do not fit the file" if misfit else CHOSEN
        rows.append((name, variable.label, question.text, not misfit, reason, misfit, answers))
    rows += [(v, "", "", False, "not in the file", "", 0) for v in lost]
    return pl.DataFrame(rows, schema=REPORT_SCHEMA, orient="row")
