"""Training a community module: causal-LM LoRA on a text corpus, with Hugging Face's Trainer.

The paper's modules (Appendix D) are language models fine-tuned on text of a community. What is
learned is to continue its text; what that is worth is the perplexity of documents held out.
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from opinioncast.backends.torch_model import LoadedModel
from opinioncast.documents import read_document
from opinioncast.errors import InputError, ModelError, StorageError
from opinioncast.files import atomic_path
from opinioncast.finetune.model import add_adapter
from opinioncast.finetune.recipe import LoraRecipe

_PREFIX = "checkpoint-"
_STATE = "trainer_state.json"
RUN = "run.json"
Progress = Callable[[int, int], None]
"""Called with (updates made, updates in all)."""


@dataclass(frozen=True)
class CommunitySettings:
    """How a community module is trained.

    Attributes:
        lora: the adapter.
        epochs: passes over the training documents.
        learning_rate: peak; it warms up over a twentieth of the updates and falls to zero.
        batch_blocks: blocks per update.
        micro_blocks: blocks per forward pass; the whole vocabulary is projected at every token,
            so memory grows with it.
        block_tokens: length of a block.
        held_out: share of the documents that perplexity is measured on.
        saves: checkpoints per run.
        seed: of held-out documents, order, adapter and dropout.

    Raises:
        InputError: a value out of range.
    """

    lora: LoraRecipe = field(default_factory=LoraRecipe)
    epochs: int = 1
    learning_rate: float = 2e-4
    batch_blocks: int = 8
    micro_blocks: int = 2
    block_tokens: int = 256
    held_out: float = 0.05
    saves: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        counts = (self.epochs, self.batch_blocks, self.micro_blocks, self.saves)
        if (
            min(counts) < 1
            or self.batch_blocks % self.micro_blocks
            or not self.learning_rate > 0
            or not 0 < self.held_out < 1
            or self.block_tokens < 16
        ):
            raise InputError(
                "A community module cannot be trained like this",
                expected="1 or more epochs, blocks and saves, a batch that is a multiple of the "
                "blocks per pass, a learning rate above 0, between 0 and 1 of the documents held "
                "out, blocks of 16 tokens or more",
                found=str(self.record),
            )

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says, and what a checkpoint must have been made with."""
        return {
            "lora": self.lora.model_dump(mode="json"),
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "batch_blocks": self.batch_blocks,
            "micro_blocks": self.micro_blocks,
            "block_tokens": self.block_tokens,
            "held_out": self.held_out,
            "saves": self.saves,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class CommunityTraining:
    """A trained module.

    Attributes:
        model: the PEFT model.
        before, after: perplexity of the held-out blocks, without and with the adapter.
        steps: updates.
        curve: one entry per logged update: step, loss, learning_rate.
    """

    model: Any
    before: float
    after: float
    steps: int
    curve: Sequence[Mapping[str, float]]

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        """The trained weights by name."""
        return {n: p.detach().cpu() for n, p in self.model.named_parameters() if p.requires_grad}


def train_module(
    loaded: LoadedModel,
    train: Sequence[Sequence[int]],
    held: Sequence[Sequence[int]],
    settings: CommunitySettings,
    checkpoints: Path,
    fingerprint: Mapping[str, str],
    *,
    progress: Progress | None = None,
) -> CommunityTraining:
    """Put an adapter on ``loaded`` and train it; go on from the newest checkpoint, if any.

    Trainer's checkpoints hold the optimizer's state as PyTorch files (read back with
    ``weights_only``); they are for resuming only and never leave ``checkpoints``.

    Args:
        train, held: blocks of token ids.
        fingerprint: of corpus, settings and base; a checkpoint fits no other run.

    Raises:
        InputError: the checkpoint belongs to another run.
        ModelError: the adapter does not fit, or the loss is not a number.
        StorageError: checkpoints cannot be written or read.
    """
    newest = _newest(checkpoints)
    before = _begun(checkpoints, fingerprint, resumed=newest is not None)
    if before is None:
        before = perplexity(loaded.causal, held, settings.micro_blocks)
        _begin(checkpoints, fingerprint, before)
    model = add_adapter(loaded.causal, settings.lora, seed=settings.seed)
    per_epoch = math.ceil(len(train) / settings.batch_blocks)
    steps = per_epoch * settings.epochs
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=settings.micro_blocks,
        gradient_accumulation_steps=settings.batch_blocks // settings.micro_blocks,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, steps // 20),
        max_grad_norm=1.0,
        logging_steps=max(1, steps // 20),
        save_strategy="steps",
        save_steps=max(1, steps // settings.saves),
        save_total_limit=2,
        seed=settings.seed,
        use_cpu=loaded.device.type == "cpu",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    data = [{"input_ids": list(b), "labels": list(b)} for b in train]
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=data,
        data_collator=_collate,
        callbacks=[_Report(progress)] if progress else None,
    )
    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    except OSError as error:
        raise StorageError(
            "A checkpoint could not be written or read",
            where=str(checkpoints),
            expected="a folder that can be written, with free space",
            found=error,
            hint="free some space; the same command goes on from the checkpoint before",
        ) from error
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    curve = [{k: e[k] for k in ("step", "loss", "learning_rate") if k in e} for e in logged]
    after = perplexity(model, held, settings.micro_blocks)
    if not math.isfinite(after):
        raise ModelError(
            "The training diverged",
            where=f"after {trainer.state.global_step} updates",
            expected="a perplexity that is a number",
            found=after,
            hint="lower --learning-rate and give another folder",
        )
    return CommunityTraining(model, before, after, int(trainer.state.global_step), curve)


def perplexity(model: Any, blocks: Sequence[Sequence[int]], batch: int) -> float:
    """exp of the mean loss per predicted token; every token but a block's first is predicted."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    total, count = 0.0, 0
    by_length: dict[int, list[Sequence[int]]] = {}
    for block in blocks:
        by_length.setdefault(len(block), []).append(block)
    with torch.inference_mode():
        for length, same in by_length.items():
            for start in range(0, len(same), batch):
                ids = torch.tensor([list(b) for b in same[start : start + batch]], device=device)
                logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
                loss = torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="sum"
                )
                total += float(loss)
                count += len(ids) * (length - 1)
    model.train(was_training)
    return math.exp(min(total / count, 700.0)) if count else math.nan


class _Report(TrainerCallback):  # type: ignore[misc]
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._progress(state.global_step, state.max_steps)


def _collate(rows: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
    """Blocks as tensors; they are of one length (a short block is the only one of its run)."""
    return {key: torch.tensor([row[key] for row in rows]) for key in ("input_ids", "labels")}


def _newest(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint; halves, from a run killed while writing, are removed."""
    whole: dict[int, Path] = {}
    for folder in _folders(checkpoints):
        try:
            read_document(folder / _STATE, "A checkpoint's state")  # Trainer writes it last
            whole[int(folder.name.removeprefix(_PREFIX))] = folder
        except (InputError, ValueError):
            shutil.rmtree(folder, ignore_errors=True)
    return whole[max(whole)] if whole else None


def _folders(checkpoints: Path) -> list[Path]:
    """Trainer's folders: ``checkpoint-`` and a number, and no other that has something like it."""
    found = checkpoints.iterdir() if checkpoints.is_dir() else ()
    return [f for f in found if f.is_dir() and re.fullmatch(rf"{_PREFIX}\d+", f.name)]


def forget_checkpoints(checkpoints: Path) -> None:
    """Remove what a finished run would have resumed from, and nothing else."""
    for folder in _folders(checkpoints):
        shutil.rmtree(folder, ignore_errors=True)
    (checkpoints / RUN).unlink(missing_ok=True)
    with suppress(OSError):
        checkpoints.rmdir()  # something of a user's is in it


def _begun(checkpoints: Path, fingerprint: Mapping[str, str], *, resumed: bool) -> float | None:
    """Perplexity measured when the run began, None for a new one.

    Raises:
        InputError: the folder's checkpoints belong to another run.
    """
    path = checkpoints / RUN
    try:
        found = read_document(path, "A run's record")
        differs = [k for k, v in fingerprint.items() if found["fingerprint"].get(k) != v]
        before = float(found["perplexity_before"])
    except (InputError, ValueError, KeyError, TypeError, AttributeError):
        differs, before = (["(unknown)"] if resumed else []), None
    if differs:
        raise InputError(
            "The checkpoint belongs to another run",
            where=str(checkpoints),
            expected=f"the same {', '.join(fingerprint)}",
            found=f"another {', '.join(differs)}",
            hint="give another folder with --out, or delete this one to start anew",
        )
    return before


def _begin(checkpoints: Path, fingerprint: Mapping[str, str], before: float) -> None:
    with atomic_path(checkpoints / RUN) as temporary:
        record = {"fingerprint": dict(fingerprint), "perplexity_before": before}
        temporary.write_text(json.dumps(record, indent=2) + "\n", "utf-8")
