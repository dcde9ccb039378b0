"""Fine-tune: from a recipe and opinion tables to an adapter folder.

``out/adapter`` holds the PEFT adapter with its card (``README.md``), the loss curve, the recipe,
validation predictions and the manifest; ``out/checkpoints`` what a killed run resumes from.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import torch
import yaml
from accelerate import Accelerator

from opinioncast.backends.catalogue import CATALOGUE
from opinioncast.backends.packed_forward import longest_packed
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.backends.torch_model import choose_device
from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError, ModelError
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.files import atomic_path
from opinioncast.finetune.base import TrainingBase, open_base, source
from opinioncast.finetune.card import card, front_matter, sources
from opinioncast.finetune.fingerprint import run_fingerprint
from opinioncast.finetune.memory import available, check_memory
from opinioncast.finetune.model import (
    DistributionModel,
    add_adapter,
    compile_layers,
    save_trained,
)
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.finetune.targets import TrainingRow
from opinioncast.finetune.trainer import Moment, Trainer, TrainingRun
from opinioncast.finetune.validation import with_distance
from opinioncast.jobs.manifest import copy_finished, write_manifest
from opinioncast.jobs.trackers import FOLDER as TRACKERS
from opinioncast.jobs.trackers import check_trackers, told
from opinioncast.jobs.training_data import TrainingData, training_data
from opinioncast.output_folder import holds_folder, output_folder
from opinioncast.report.curve_chart import curve_figure, read_curve
from opinioncast.report.figure_files import write_figure
from opinioncast.survey import PredictionTable, opinion_row
from opinioncast.survey.sameness import TRAINING_QUESTIONS, digests
from opinioncast.survey.tables import ORIGIN

CURVE = "curve.csv"
CURVE_PICTURE = "curve.png"
SWEEP = "sweep.csv"
Progress = Callable[[Moment], None]


@dataclass(frozen=True)
class FinetuneRun:
    """What :func:`finetune_to_folder` made.

    Attributes:
        recipe: the one that was trained; with a sweep, the best.
        metric: what its best checkpoint was chosen by.
        scores: of the validation cells, None without validation.
        files: in ``folder``; empty on processes other than the main one.
    """

    recipe: FinetuneRecipe
    metric: str
    training: TrainingRun
    scores: CellScores | None
    folder: Path
    files: tuple[Path, ...]


@holds_folder("finetune", apart=("checkpoints", TRACKERS))
def finetune_to_folder(
    recipe: FinetuneRecipe,
    out: Path,
    *,
    beside: Path = Path(),
    progress: Progress | None = None,
) -> FinetuneRun:
    """Train a recipe, or every combination of its sweep; the same call resumes a killed run.

    Under ``torchrun`` or ``accelerate launch`` every process calls it; the main one writes. A
    sweep keeps each run in ``out/sweep/NAME`` and copies the best one's adapter to
    ``out/adapter``; a run of it that diverges is out of the choice and the others go on.

    Raises:
        InputError, DataError: recipe, table or groups do not fit; a checkpoint of another run.
        ModelError: no such device; the model cannot be loaded or is too large; a prompt that cannot
            be put to it; the training diverged (the adapter of the last good checkpoint is written
            first), of a sweep every one.
        StorageError: a file cannot be written.
    """
    device = recipe.device or ("cuda" if torch.cuda.is_available() else "cpu")
    choose_device(device)
    # an adapter's base is in 16 bits already; a whole model is kept in 32 and multiplied in 16
    mixed = recipe.lora is None and recipe.dtype is None and device != "cpu"
    accelerator = Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if mixed else "no",
        log_with=check_trackers(recipe) or None,  # of an empty list accelerate warns
        project_dir=str(out),
    )
    _check_sharded(accelerator)
    data = training_data(recipe, beside)
    if recipe.sweep is None:
        run = _finetune(recipe, data, out, accelerator, progress)
        if run.training.stopped == "diverged":
            raise _diverged(run)
        return run
    done = []
    for name, changed in _sweep(recipe).items():
        done.append(_finetune(changed, data, out / "sweep" / name, accelerator, progress))
        accelerator.free_memory()  # it would hold every run's model to the end
    finished = [run for run in done if run.training.stopped != "diverged"]
    best = min(finished or done, key=_value)
    if not accelerator.is_main_process:
        return best
    target = out / "adapter"
    copy_finished(best.folder, target, "finetune")
    table = pl.DataFrame(
        [
            {
                "learning_rate": run.recipe.optimizer.learning_rate,
                "batch_rows": run.recipe.optimizer.batch_rows,
                "best_step": run.training.best_step,
                run.metric: run.training.state.best_value,
                "stopped": run.training.stopped,
            }
            for run in done
        ]
    )
    write_csv(table, out / SWEEP, for_excel=False)
    record = {"recipe": recipe.model_dump(mode="json"), "best": best.folder.name}
    last = write_manifest(out, record, [out / SWEEP])
    if not finished:
        raise _diverged(best)
    files = (*(target / f.name for f in best.files), out / SWEEP, last)
    return FinetuneRun(best.recipe, best.metric, best.training, best.scores, target, files)


def _parallel(accelerator: Accelerator) -> str:
    """How several processes divide the work."""
    kind = str(accelerator.distributed_type.value)
    return f"FSDP{accelerator.state.fsdp_plugin.fsdp_version}" if kind == "FSDP" else kind


def _check_sharded(accelerator: Accelerator) -> None:
    """Raise ModelError where shards were asked for and every process would hold a whole model."""
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and accelerator.num_processes > 1 and _parallel(accelerator)[:4] != "FSDP":
        raise ModelError(
            "FSDP was asked for, and accelerate would run something else",
            where=f"{accelerator.num_processes} processes on {accelerator.device.type}",
            expected="devices that accelerate shards a model over (GPUs)",
            found=_parallel(accelerator),
            hint="start it with torchrun, without FSDP: every process holds the whole model",
        )


def _value(run: FinetuneRun) -> float:
    """How good a run is, least is best; one without a number is never the best."""
    value = run.training.state.best_value
    return math.inf if value is None else value


def _diverged(run: FinetuneRun) -> ModelError:
    state = run.training.state
    last = next(e for e in reversed(state.curve) if "loss" in e)
    return ModelError(
        "The training diverged and was stopped",
        where=f"update {state.step}",
        expected="a loss that falls",
        found=f"loss {last['loss']:.3g}, gradient norm {last['gradient_norm']:.3g}",
        hint=f"lower the learning rate ({run.recipe.optimizer.learning_rate:g}) and give another "
        f"--out; the adapter of update {run.training.best_step} is in {run.folder}",
    )


def _sweep(recipe: FinetuneRecipe) -> dict[str, FinetuneRecipe]:
    assert recipe.sweep is not None
    if recipe.validation is None:
        raise InputError(
            "A sweep needs validation rows to choose by",
            expected="validation: a table or a fraction",
            found="none",
        )
    rates = recipe.sweep.learning_rate or (recipe.optimizer.learning_rate,)
    batches = recipe.sweep.batch_rows or (recipe.optimizer.batch_rows,)
    return {
        f"lr{rate}-batch{rows}": recipe.changed(learning_rate=rate, batch_rows=rows)
        for rate, rows in product(rates, batches)
    }


def _finetune(
    recipe: FinetuneRecipe,
    data: TrainingData,
    out: Path,
    accelerator: Accelerator,
    progress: Progress | None,
) -> FinetuneRun:
    shards = accelerator.num_processes if accelerator.distributed_type.value == "FSDP" else 1
    memory = check_memory(
        source(recipe),
        recipe,
        device=accelerator.device,
        shards=shards,
        free=available(accelerator.device),
    )
    base = open_base(recipe, accelerator)
    trainer, model = build_trainer(
        recipe, data, base, out / "checkpoints", accelerator, progress=progress
    )
    with told(accelerator, recipe, out):
        run = trainer.run()
    scores = None
    predictions = None
    if data.valid is not None:
        shares = trainer.predict(
            data.valid_rows, orders="reversed", pack_tokens=run.state.pack_tokens
        )
        predictions = _prediction_table(data.valid_rows, shares, recipe, base)
        scores = score_cells(data.valid, predictions)
    folder = out / "adapter"
    files: list[Path] = []
    if accelerator.is_main_process:
        with output_folder(folder, "finetune"):
            files = save_trained(
                model, run.weights, folder, base=recipe.model, tokenizer=base.tokenizer
            )
            files += _write_records(recipe, data, base, run, trainer, scores, folder)
            if predictions is not None:
                written = predictions.write(folder / "validation.parquet")
                files += [written, written.with_name(written.name + ".json")]
            record = {
                "origin": "model trained on survey data, group level",
                "recipe": recipe.model_dump(mode="json"),
                "fingerprint": run.state.fingerprint,
                "tables": {
                    "train": data.train.content_hash,
                    "validation": None if data.valid is None else data.valid.content_hash,
                },
                "data": sources(data.train),
                "taken_out_of_training": data.taken_out.record() if data.taken_out else None,
                "stopped": run.stopped,
                "best_step": run.best_step,
                "best_value": run.state.best_value,
                "metric": trainer.metric if data.valid_rows else None,
                "steps": trainer.steps,
                "rows_per_second": round(run.rows_per_second, 2),
                "processes": accelerator.num_processes,
                "parallel": _parallel(accelerator),
                "pack_tokens": run.state.pack_tokens,
                "memory_estimate": None if memory is None else str(memory),
                "validation": {
                    "rows": len(data.valid_rows),
                    "asked_in_training_too": data.sameness.record() if data.sameness else None,
                    "rows_with_a_distance": len(with_distance(data.valid_rows)),
                },
                "scores": scores.mean() if scores else None,
            }
            files.append(write_manifest(folder, record, files))
    accelerator.wait_for_everyone()
    return FinetuneRun(recipe, trainer.metric, run, scores, folder, tuple(files))


def build_packer(recipe: FinetuneRecipe, data: TrainingData, base: TrainingBase) -> Packer:
    """What writes the rows' prompts for the base model."""
    return Packer(
        PromptTokenizer(base.tokenizer),
        data.groups,
        recipe.prompting,
        limit=longest_packed(base.causal.config.get_text_config()),
        whole_questions=recipe.loss.contrast > 0,
    )


def build_trainer(
    recipe: FinetuneRecipe,
    data: TrainingData,
    base: TrainingBase,
    checkpoints: Path,
    accelerator: Accelerator,
    *,
    progress: Progress | None = None,
) -> tuple[Trainer, DistributionModel]:
    """Put adapter, prompts and rows together.

    Raises:
        ModelError: the adapter's targets are not in the model, its layers cannot be compiled, a
            prompt is too long for it or has a label it cannot write.
        InputError: a loss or metric that needs scales where there are none, a question with too
            many options for its letters.
    """
    causal = base.causal
    inner = causal if recipe.lora is None else add_adapter(causal, recipe.lora, seed=recipe.seed)
    if recipe.compile:
        compile_layers(causal)
    model = DistributionModel(inner)
    packer = build_packer(recipe, data, base)
    packer.check([*data.train_rows, *data.valid_rows])
    trainer = Trainer(
        recipe,
        model,
        packer,
        data.train_rows,
        data.valid_rows,
        fingerprint=run_fingerprint(recipe, data.train_rows, data.valid_rows, packer, base),
        folder=checkpoints,
        accelerator=accelerator,
        progress=progress,
    )
    return trainer, model


def _prediction_table(
    rows: Sequence[TrainingRow], shares: Sequence[Any], recipe: FinetuneRecipe, base: TrainingBase
) -> PredictionTable:
    listed = []
    for row, share in zip(rows, shares, strict=True):
        k = len(row.question.options)
        listed.append(
            opinion_row(
                row.question,
                row.subpopulation,
                (share[:k] / share[:k].sum()).tolist(),
                refusal_rate=float(share[k]) if len(share) > k else None,
                model=f"{base.name} + {recipe.name}",
                method=f"fine-tuned {recipe.format}, {recipe.layout} layout, {recipe.answers}",
            )
        )
    return PredictionTable.from_rows(listed, {"origin": ORIGIN})


def _write_records(
    recipe: FinetuneRecipe,
    data: TrainingData,
    base: TrainingBase,
    run: TrainingRun,
    trainer: Trainer,
    scores: CellScores | None,
    folder: Path,
) -> list[Path]:
    shipped = CATALOGUE.get(recipe.model)
    text = card(
        recipe,
        base=base.name,
        notice="" if shipped is None else shipped.notice,
        table=data.train,
        rows=data.train_rows,
        valid_rows=data.valid_rows,
        sameness=data.sameness,
        taken_out=data.taken_out,
        scores=scores,
        metric=trainer.metric,
        checks=len(run.state.checks),
        best_step=run.best_step,
        steps=trainer.steps,
    )
    licence = None if shipped is None else shipped.licence
    texts = {
        folder / "README.md": front_matter(base.name, licence, adapter=recipe.lora is not None)
        + text,
        folder / "recipe.yaml": yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False),
        folder / TRAINING_QUESTIONS: digests(r.question for r in data.train_rows).replace(" ", "\n")
        + "\n",
    }
    for path, content in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(content, "utf-8")
    curve = pl.DataFrame(run.state.curve, infer_schema_length=None)
    written = [*texts, write_csv(curve, folder / CURVE, for_excel=False)]
    figure = curve_figure({recipe.name: read_curve(curve)}, title=f"Training of {recipe.name}")
    return [*written, write_figure(figure, folder / CURVE_PICTURE, dpi=120)]
