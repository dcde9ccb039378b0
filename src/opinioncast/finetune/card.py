"""The adapter's model card: what it was trained on, how well it does, what it is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opinioncast.evaluate.score_lines import score_lines
from opinioncast.evaluate.scores import CellScores
from opinioncast.evidence.worth import OVERALL, measure_worth
from opinioncast.finetune.recipe import FinetuneRecipe, SplitValidation
from opinioncast.finetune.targets import TrainingRow
from opinioncast.survey import OpinionTable
from opinioncast.survey.sameness import TRAINING_QUESTIONS, Sameness, repeated

LIMITS = """\
Predictions are model output. They are not survey data, do not stand for respondents, and must not
be used to describe, profile or target a person. They are group averages as one survey weighted
them, in the country and years of the training surveys. Questions unlike those trained on, groups
without training rows, and events after the surveys are where it errs most; most of its error is in
a question's overall level, less in the differences between groups. Check against people before
anything depends on it."""


def front_matter(base: str, licence: str | None, *, adapter: bool) -> str:
    """The YAML block that model hubs read."""
    library = "peft" if adapter else "transformers"
    lines = [
        "---",
        f"base_model: {base}",
        f"library_name: {library}",
        "tags: [survey, opinioncast]",
    ]
    return "\n".join([*lines, *([f"license: {licence}"] if licence else []), "---", ""])


def sources(table: OpinionTable) -> list[Mapping[str, Any]]:
    """What the table says of each table it was made of."""
    parts: Sequence[Mapping[str, Any]] = table.meta.get("tables") or [table.meta]
    wanted = ("recipe", "title", "citation", "terms", "redistribution", "wording", "split", "part")
    return [{k: part[k] for k in wanted if k in part} for part in parts]


def card(
    recipe: FinetuneRecipe,
    *,
    base: str,
    notice: str,
    table: OpinionTable,
    rows: Sequence[TrainingRow],
    valid_rows: Sequence[TrainingRow],
    sameness: Sameness | None,
    taken_out: Sameness | None,
    scores: CellScores | None,
    metric: str,
    checks: int,
    best_step: int,
    steps: int,
) -> str:
    """The text of ``README.md``.

    Args:
        notice: terms of the base model, if it has any to pass on.
        rows, valid_rows: what was trained on, and what was held out to validate on.
        sameness: of the validation rows' questions with those of the training rows.
        taken_out: of the training questions that were left out, with those of the validation.
        scores: of the validation cells; None without validation.
        metric: what the update was chosen by.
        checks: how often the validation rows were looked at, before the first update included.
    """
    surveys = sorted({f"{family} {wave}".strip() for family, wave, _ in _questions(rows)})
    groups = sorted({str(r.subpopulation) for r in rows})
    lora = recipe.lora
    trained = (
        f"LoRA rank {lora.rank}, alpha {lora.alpha:g}, dropout {lora.dropout:g} on "
        f"{lora.targets if isinstance(lora.targets, str) else ', '.join(lora.targets)}"
        if lora
        else "all weights"
    )
    mix = ", ".join(f"{k} {v:g}" for k, v in recipe.loss.model_dump().items() if v)
    text = [
        f"# {recipe.name}",
        "",
        "Predicts how groups of people answer a closed question, as shares of each option. Its "
        "output is model output, not survey data.",
        "",
        "```",
        "opinioncast predict QUESTIONNAIRE --method zero-shot "
        + (f"--model {recipe.model} --adapter FOLDER " if lora else "--model FOLDER ")
        + recipe.prompting.flags(),
        "```",
        "",
        "## Training",
        "",
        f"* Base model: {base}. {notice}".rstrip(),
        f"* Trained: {trained}",
        f"* Prompts: {recipe.layout} layout, {recipe.format} format, answers in {recipe.answers}, "
        f"options in {recipe.option_order} order",
        f"* Loss: {mix}; targets {recipe.target}"
        + (f" x {recipe.augment}" if recipe.augment else "")
        + f"; rows weighted {recipe.row_weight}",
        f"* AdamW, learning rate {recipe.optimizer.learning_rate:g}, about "
        f"{recipe.optimizer.batch_rows} rows per update; update {best_step} of {steps} was kept "
        f"(best {metric} on the validation rows of {checks} checks, the first before "
        "training)"
        if scores
        else f"* AdamW, learning rate {recipe.optimizer.learning_rate:g}, about "
        f"{recipe.optimizer.batch_rows} rows per update, {steps} updates; no validation",
        f"* Data: {len(rows)} rows (group-level shares only) of {_counted(rows)} of "
        f"{', '.join(surveys)}",
        f"* Split: {_split(recipe, valid_rows)}",
        *_overlap(sameness, taken_out),
        f"* What it was asked in training is kept in `{TRAINING_QUESTIONS}` (hashes of keys and "
        "wordings): predictions and evaluations say which of their questions are among them",
        f"* Groups ({len(groups)}): {'; '.join(groups)}",
        "",
        *_data(table),
        *_scores(scores),
        "## Limits",
        "",
        LIMITS,
        "",
    ]
    return "\n".join(text)


def _questions(rows: Sequence[TrainingRow]) -> set[tuple[str, str, str]]:
    return {(r.question.family, r.question.wave, r.question.question_id) for r in rows}


def _counted(rows: Sequence[TrainingRow]) -> str:
    """How many questions, and how many of them are different ones."""
    asked = list(dict.fromkeys(r.question for r in rows))
    again = repeated(asked)
    more = f" ({len(asked) - again} different ones: waves and surveys repeat some)" if again else ""
    return f"{len(asked)} questions{more}"


def _overlap(sameness: Sameness | None, taken_out: Sameness | None) -> list[str]:
    """What training and validation ask alike, and what was taken out for it."""
    lines = []
    if sameness is not None:
        lines.append(f"* Validation questions that the training rows ask too: {sameness.words()}")
    if taken_out is not None:
        lines.append(
            "* Training questions that were taken out, as the validation asks them too: "
            f"{taken_out.words()}"
        )
    return lines


def _split(recipe: FinetuneRecipe, valid_rows: Sequence[TrainingRow]) -> str:
    if not valid_rows:
        return "none; nothing was held out"
    held = recipe.validation
    how = (
        f"a share of {held.fraction:g} of the table, drawn by {held.by} with seed {held.seed}"
        if isinstance(held, SplitValidation)
        else "a table of its own"
    )
    count = len(_questions(valid_rows))
    return f"held out for validation: {len(valid_rows)} rows of {count} questions, {how}"


def _data(table: OpinionTable) -> list[str]:
    lines = ["## Data and terms", ""]
    for part in sources(table):
        lines.append(f"* {part.get('citation', 'source not stated')}")
        lines.append(f"  Terms: {part.get('terms', 'not stated')}")
    return [*lines, ""]


def _scores(scores: CellScores | None) -> list[str]:
    if scores is None:
        return ["## Scores", "", "None: there were no validation rows.", ""]
    worth = measure_worth(scores)
    return [
        "## Scores on the validation rows",
        "",
        "They chose the checkpoint, so the figures may flatter a little.",
        "",
        *([f"In respondents a group: {worth[OVERALL]}.", ""] if worth else []),
        *score_lines(scores),
    ]
