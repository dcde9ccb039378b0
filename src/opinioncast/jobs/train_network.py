"""Train a model on sentence embeddings: weights, history, card and manifest."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.curate.overlap import question_key, sameness_of
from opinioncast.errors import InputError
from opinioncast.evaluate.score_lines import score_lines
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.evidence.worth import OVERALL, measure_worth
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import write_manifest
from opinioncast.methods.embedding.features import TextEncoder
from opinioncast.methods.embedding.kernel_regression import (
    KernelRegression,
    KernelSettings,
    fit_kernel,
)
from opinioncast.methods.embedding.measure import Metric, check_measurable
from opinioncast.methods.embedding.training import TrainingSettings, train_network
from opinioncast.methods.network import load_embedding_model
from opinioncast.methods.prediction import Progress
from opinioncast.output_folder import holds_folder
from opinioncast.survey import Cells, OpinionTable
from opinioncast.survey.sameness import Sameness

if TYPE_CHECKING:
    from opinioncast.methods.network import EmbeddingModel

CARD = "README.md"
HISTORY = "history.csv"


@dataclass(frozen=True)
class NetworkRun:
    """What :func:`train_network_to_folder` made; ``scores`` are those of the validation cells,
    ``metric`` what was chosen by."""

    model: EmbeddingModel
    metric: Metric
    scores: CellScores
    files: tuple[Path, ...]


@holds_folder("train-network")
def train_network_to_folder(
    train: OpinionTable,
    validation: OpinionTable,
    encoder: TextEncoder,
    settings: TrainingSettings | KernelSettings,
    out: Path,
    *,
    metric: Metric = "wd",
    progress: Progress | None = None,
) -> NetworkRun:
    """Train and write ``network.safetensors``, ``network.json``, ``README.md`` (the card: data,
    groups, scores with bounds, limits), for a network ``history.csv``, and, last,
    ``manifest.json``. The type of ``settings`` says which model is trained.

    Validation chooses each network's epoch and the temperature: its score flatters a little, a
    test table's does not.

    Args:
        metric: what epochs and temperature are chosen by, and the card shows: Wasserstein distance,
            or KL divergence where the validation has no scales.

    Raises:
        InputError: the validation asks a question the training table asks too, or has no scales to
            measure a distance on.
        DataError: an attribute without wording, no totals (kernel). ModelError: training diverged.
        StorageError: the folder cannot be written.
    """
    started = time.monotonic()
    check_measurable(validation, metric)
    same = _checked_apart(train, validation, encoder)
    files = []
    if isinstance(settings, KernelSettings):
        files += fit_kernel(
            train, validation, encoder, settings, metric=metric, progress=progress
        ).save(out)
    else:
        network, histories = train_network(
            train,
            validation,
            encoder,
            settings,
            metric=metric,
            progress=lambda done, total, _: progress(done, total) if progress else None,
        )
        files += network.save(out)
        rows = [{"member": i} | epoch for i, h in enumerate(histories) for epoch in h]
        files.append(write_csv(pl.DataFrame(rows), out / HISTORY, for_excel=False, decimals=6))
    model = load_embedding_model(out, encoder)  # what is scored is what was written
    prediction = model.predict(Cells.of_table(validation))
    scores = score_cells(validation, prediction.table)
    low, high = scores.interval(metric)
    summary = scores.mean() | {f"{metric}_low": _finite(low), f"{metric}_high": _finite(high)}
    files.append(out / CARD)
    with atomic_path(files[-1]) as temporary:
        temporary.write_text(_card(model, train, scores, same), "utf-8")
    record = {
        "origin": "model trained on survey data, group level",
        "method": model.name,
        "record": dict(model.record),
        "train": _source(train),
        "validation": _source(validation),
        "asked_in_training_too": same.record(),
        "scores": summary,
        "seconds": round(time.monotonic() - started, 1),
    }
    files.append(write_manifest(out, record, files))
    return NetworkRun(model, metric, scores, tuple(files))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _checked_apart(train: OpinionTable, validation: OpinionTable, encoder: TextEncoder) -> Sameness:
    """The validation questions that the training table asks too: none, or it is refused."""
    same = sameness_of(validation, train, encoder.encode)
    if same.found:
        first = same.found[0]
        cosine = "" if first.cosine is None else f", cosine {first.cosine:.2f}"
        raise InputError(
            "The validation asks what the training table asks too",
            where=f"{len(same.found)} of {same.questions} questions; "
            f"{question_key(*first.question[:3])} and {question_key(*first.other[:3])}",
            expected="questions that differ in key and wording, and whose embeddings have a cosine "
            f"below {same.threshold}",
            found=f"{first.question.text} / {first.other.text} (the same {first.reason}{cosine})",
            hint="split one table with linked questions kept together (`split` and `overlap` in a "
            "curation recipe)",
        )
    return same


def _source(table: OpinionTable) -> Mapping[str, Any]:
    wanted = ("recipe", "citation", "terms", "redistribution", "part", "split")
    return {
        "rows": len(table),
        "questions": len(table.questions()),
        "groups": len(table.subpopulations()),
        "content_hash": table.content_hash,
    } | {key: table.meta[key] for key in wanted if key in table.meta}


def _card(
    model: EmbeddingModel,
    train: OpinionTable,
    scores: CellScores,
    same: Sameness,
) -> str:
    record = model.record
    worth = measure_worth(scores)
    surveys = ", ".join(
        f"{family} {wave}"
        for family, wave in train.frame.select("family", "wave")
        .unique(maintain_order=True)
        .iter_rows()
    )
    return "\n".join(
        [
            f"# {model.name.capitalize()} for survey answers",
            "",
            "Predicts how groups of people answer a closed question. Its output is model output, "
            "not survey data, and does not stand for respondents.",
            "",
            f"* Sentence model (frozen): {model.encoder.name}, fingerprint "
            f"`{model.encoder.fingerprint}`",
            f"* {_size(model)}; temperature {model.temperature:g}",
            f"* Trained on {record['train_questions']} questions of {surveys}, "
            f"{record['groups']} groups, {len(train)} cells; group-level shares only",
            f"* Data: {train.meta.get('citation', 'not stated')}",
            f"* Terms of the data: {train.meta.get('terms', 'not stated')}",
            "",
            "## Validation",
            "",
            f"{record['validation_questions']} questions, of which the training table asks "
            f"{same.words()}; they chose epochs and temperature, so the figure flatters a little.",
            "",
            *([f"In respondents a group: {worth[OVERALL]}.", ""] if worth else []),
            *score_lines(scores),
            "## Limits",
            "",
            "Most of what is wrong is a question's overall level: a frozen sentence model knows "
            "little of what people think. Refusals are not predicted. Questions unlike those of "
            "the training surveys get something near the uniform distribution. Groups that were "
            "not trained on are read from their wording alone.",
            "",
        ]
    )


def _size(model: EmbeddingModel) -> str:
    if isinstance(model, KernelRegression):
        return f"{len(model.weights)} training options"
    return f"{len(model.members)} networks averaged"
