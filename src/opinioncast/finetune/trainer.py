"""The training loop, on accelerate: devices, mixed precision, DDP and FSDP come from there.

Every update is planned the same way on every process; its micro-batches are dealt out, and the
losses are divided by what an update weighs on average over the epoch, so one process and many make
the same steps. Randomness is drawn from the seed, the step and the micro-batch, so a resumed run
makes the same steps too, on as many processes as there are then.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator

from opinioncast.backends.trees import Tree
from opinioncast.errors import InputError, ModelError
from opinioncast.finetune.checkpoint import (
    Checkpoints,
    RunState,
    gather_moments,
    gather_weights,
    restore_moments,
    restore_weights,
)
from opinioncast.finetune.divergence import (
    WINDOW,
    has_diverged,
    is_suspicious,
    watched,
)
from opinioncast.finetune.epoch import Ask, epoch_plan, update_weight
from opinioncast.finetune.model import DistributionModel, uniform_log_shares
from opinioncast.finetune.objective import PARTS, batch_losses, has_loss, mixed
from opinioncast.finetune.packing import Packer, Update, share
from opinioncast.finetune.recipe import FinetuneRecipe
from opinioncast.finetune.schedule import schedule
from opinioncast.finetune.targets import TrainingRow
from opinioncast.finetune.validation import choose_metric, mean_distance, mean_kl, predict_rows

BUDGETS = {"cpu": (512, 1_024, 2_048), "cuda": (4_096, 8_192, 16_384, 32_768)}


@dataclass(frozen=True, slots=True)
class Moment:
    """What a progress display shows.

    Attributes:
        loss: mean over the last ten updates.
        wd, kl: of the last validation; None without validation rows.
        rows_per_second: of this process's run, validation excluded.
    """

    step: int
    steps: int
    loss: float
    wd: float | None
    kl: float | None
    rows_per_second: float
    seconds_left: float


@dataclass(frozen=True)
class TrainingRun:
    """What training made.

    Attributes:
        weights: the trained weights of the best checkpoint, by name, whole; without validation of
            the last one, or where the run diverged, of the last one before that.
        state: where the run ended, with the whole curve.
        best_step: the update ``weights`` are of.
        stopped: ``finished``, ``early`` (patience ran out) or ``diverged``.
        rows_per_second: since it was last resumed, validation excluded.
    """

    weights: dict[str, torch.Tensor]
    state: RunState
    best_step: int
    stopped: Literal["finished", "early", "diverged"]
    rows_per_second: float


class Trainer:
    """Trains one recipe.

    Args:
        model: base and adapter; only what requires a gradient is trained.
        train, valid: rows; without validation rows nothing stops early and the last is the best.
        fingerprint: of all that shapes the result (:mod:`opinioncast.finetune.fingerprint`).
        folder: where checkpoints go.
    """

    def __init__(
        self,
        recipe: FinetuneRecipe,
        model: DistributionModel,
        packer: Packer,
        train: Sequence[TrainingRow],
        valid: Sequence[TrainingRow],
        *,
        fingerprint: dict[str, str],
        folder: Path,
        accelerator: Accelerator,
        progress: Callable[[Moment], None] | None = None,
    ) -> None:
        self._recipe = recipe
        self._packer = packer
        self._train = train
        self._valid = valid
        self._fingerprint = fingerprint
        self._checkpoints = Checkpoints(folder)
        self._accelerator = accelerator
        self._progress = progress
        self.metric = choose_metric(recipe, valid)
        trained = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained,
            lr=recipe.optimizer.learning_rate,
            betas=recipe.optimizer.betas,
            weight_decay=recipe.optimizer.weight_decay,
        )
        self._model, wrapped = accelerator.prepare(model, optimizer)
        self._optimizer: torch.optim.Optimizer = wrapped.optimizer
        self._trained = [p for p in self._model.parameters() if p.requires_grad]
        plan = self._plan(0)
        self._watched = watched(plan)
        self._updates = len(plan)
        self._weight = update_weight(
            train, target=recipe.target, augment=recipe.augment, updates=len(plan)
        )
        if not has_loss(recipe.loss, train, self._weight):
            raise InputError(
                "The recipe's loss has nothing to train on",
                where=f"{len(train)} rows",
                expected="wasserstein: a target with people on a scale; contrast: a question with "
                "two groups",
                found="none",
                hint="give the loss a kl part",
            )
        self.steps = self._updates * recipe.optimizer.epochs
        every = self._updates if recipe.checks.every == "epoch" else recipe.checks.every
        self._every = every or max(1, math.ceil(self.steps / 10))

    def run(self) -> TrainingRun:
        """Train to the end, from the newest checkpoint if there is one; afterwards the model holds
        the best weights.

        Raises:
            InputError: the checkpoint belongs to another run.
            ModelError: no check gave a number to choose a checkpoint by.
            StorageError: a checkpoint cannot be written or read.
        """
        state = self._checkpoints.newest(self._fingerprint)
        if state is None:
            state = RunState(self._fingerprint, self._recipe.pack_tokens or self._probe())
            state.start_loss, state.uniform_loss = self._look(state.pack_tokens)
            if not math.isfinite(state.start_loss):
                raise ModelError(
                    "The base model's shares are no numbers, so there is nothing to train from",
                    where=f"loss on {len(self._watched)} rows before the first update",
                    expected="a number",
                    found=state.start_loss,
                    hint="try dtype: float32, or another base model",
                )
            self._check(state)
        else:
            restore_weights(self._model, self._checkpoints.weights(state.step))
            restore_moments(self._model, self._optimizer, self._checkpoints.moments(state.step))
        first, started, training, rows = state.step, time.monotonic(), 0.0, 0
        stopped: Literal["finished", "early", "diverged"] = "finished"
        plan: list[list[Ask]] = []
        while state.step < self.steps:
            if self._out_of_patience(state):
                stopped = "early"
                break
            epoch, within = divmod(state.step, self._updates)
            if not plan or within == 0:
                plan = self._plan(epoch)
            begun = time.monotonic()
            update = self._packer.update(plan[within], state.pack_tokens)
            entry = self._step(update, state.step)
            training += time.monotonic() - begun
            rows += len(update.asks)
            state.step += 1
            state.curve.append({"step": state.step, "epoch": state.step / self._updates, **entry})
            self._accelerator.log(entry, step=state.step)
            if not all(math.isfinite(entry[name]) for name in ("loss", "gradient_norm")):
                stopped = "diverged"
                break
            losses = [loss for e in state.curve if (loss := e.get("loss")) is not None]
            # by the step alone: a run that was killed looks when it would have looked
            due = state.step % WINDOW == 0 and is_suspicious(losses, state.start)
            if due and has_diverged(self._look(state.pack_tokens)[0], state.start):
                stopped = "diverged"
                break
            if state.step % self._every == 0 or state.step == self.steps:
                self._check(state)
            if self._progress is not None and self._accelerator.is_main_process:
                recent = losses[-WINDOW:]
                per_step = (time.monotonic() - started) / (state.step - first)
                self._progress(
                    Moment(
                        state.step,
                        self.steps,
                        sum(recent) / len(recent),
                        _last(state.curve, "valid_wd"),
                        _last(state.curve, "valid_kl"),
                        rows / training,
                        per_step * (self.steps - state.step),
                    )
                )
        best = state.best_step
        if best is None and self._valid and stopped != "diverged":
            raise ModelError(
                "No check of the validation rows gave a number",
                where=f"{len(state.checks)} checks, checks.metric: {self.metric}",
                expected="a number in one check at least",
                found="the model's shares are no numbers, or 0 for an option that people chose",
                hint="see valid_wd and valid_kl in checkpoints/*/state.json; set the other metric, "
                "or another dtype",
            )
        if best is None:  # without validation; there is one: the check before the first update
            since = 2 * WINDOW if stopped == "diverged" else 0
            best = self._checkpoints.last_step(before=state.step - since)
        weights = self._checkpoints.weights(best)
        restore_weights(self._model, weights)
        return TrainingRun(weights, state, best, stopped, rows / training if training else 0.0)

    def predict(
        self, rows: Sequence[TrainingRow], *, orders: str, pack_tokens: int
    ) -> list[npt.NDArray[np.float64]]:
        """The model's shares for ``rows`` as it stands (:func:`predict_rows`)."""
        return predict_rows(
            self._model,
            rows,
            self._packer,
            orders=orders,
            seed=self._recipe.seed,
            pack_tokens=pack_tokens,
            accelerator=self._accelerator,
        )

    def _plan(self, epoch: int) -> list[list[Ask]]:
        recipe = self._recipe
        return epoch_plan(
            self._train,
            layout=recipe.layout,
            batch_rows=recipe.optimizer.batch_rows,
            option_order=recipe.option_order,
            target=recipe.target,
            augment=recipe.augment,
            epoch=epoch,
            seed=recipe.seed,
            groups_per_question=recipe.groups_per_question,
        )

    def _step(self, update: Update, step: int) -> dict[str, float]:
        """One optimizer step; the weighted mean loss of the update's rows, and its parts."""
        accelerator = self._accelerator
        self._model.train()
        rate = self._recipe.optimizer.learning_rate * schedule(
            step, self.steps, self._recipe.optimizer
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        sums = torch.zeros(len(PARTS) + 1, device=accelerator.device)
        mine = share(update, accelerator.process_index, accelerator.num_processes)
        for i, (number, trees, counts) in enumerate(mine):
            torch.manual_seed(_seed(self._recipe.seed, step, number))
            batch = update.batch(trees).to(accelerator.device)
            with nullcontext() if i == len(mine) - 1 else accelerator.no_sync(self._model):
                log_shares = self._model(batch.pack, batch.reading)
                parts = batch_losses(log_shares, batch, *self._weight)
                # DDP and FSDP take the mean over processes; the sum is wanted
                again = accelerator.num_processes if counts else 0.0
                accelerator.backward(mixed(parts, self._recipe.loss) * again)
            if counts:
                own = batch_losses(log_shares.detach(), batch, update.weight, update.scaled_weight)
                sums += torch.stack([mixed(own, self._recipe.loss), *own.values()])
        norm = self._clip()
        if math.isfinite(norm):  # else the run ends here, with the weights it has
            self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        if accelerator.num_processes > 1:
            sums = accelerator.reduce(sums, "sum")
        names = ("loss", *PARTS, "gradient_norm", "learning_rate", "rows")
        return dict(zip(names, [*sums.tolist(), norm, rate, len(update.asks)], strict=True))

    def _look(self, pack_tokens: int) -> tuple[float, float]:
        """The recipe's loss on the watched rows: the model's as it stands, a uniform guess's."""
        accelerator = self._accelerator
        update = self._packer.update(self._watched, pack_tokens)
        sums = torch.zeros(2, device=accelerator.device)
        self._model.eval()
        with torch.no_grad():
            for _, trees, counts in share(
                update, accelerator.process_index, accelerator.num_processes
            ):
                batch = update.batch(trees).to(accelerator.device)
                found = self._model(batch.pack, batch.reading)
                for i, log_shares in enumerate((found, uniform_log_shares(batch.reading))):
                    parts = batch_losses(log_shares, batch, update.weight, update.scaled_weight)
                    sums[i] += mixed(parts, self._recipe.loss) * counts
        self._model.train()
        if accelerator.num_processes > 1:
            sums = accelerator.reduce(sums, "sum")
        model, uniform = sums.tolist()
        return model, uniform

    def _clip(self) -> float:
        """Clip the gradient if the recipe says so; its norm before."""
        most = self._recipe.optimizer.clip
        norm = self._accelerator.clip_grad_norm_(self._trained, math.inf if most is None else most)
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def _check(self, state: RunState) -> None:
        """Validate, then keep a checkpoint."""
        checks = self._recipe.checks
        if self._valid:
            shares = self.predict(self._valid, orders=checks.orders, pack_tokens=state.pack_tokens)
            found = {
                "valid_kl": mean_kl(self._valid, shares),
                "valid_wd": mean_distance(self._valid, shares),
            }
            state.curve.append({"step": state.step, **found})
            numbers = {name: v for name, v in found.items() if v is not None}
            self._accelerator.log(numbers, step=state.step)
            value = found[f"valid_{self.metric}"]
            if value is not None and (state.best_value is None or value < state.best_value):
                state.best_value, state.best_step, state.worse = value, state.step, 0
            else:
                state.worse += 1
        weights = gather_weights(self._model)
        moments = gather_moments(self._model, self._optimizer)
        if self._accelerator.is_main_process:
            # diverging is seen some updates late: without a best checkpoint an older one is kept
            window = 0 if state.best_step is not None else 2 * WINDOW
            self._checkpoints.save(state, weights, moments, window=window)
        self._accelerator.wait_for_everyone()

    def _out_of_patience(self, state: RunState) -> bool:
        patience = self._recipe.checks.patience
        return patience is not None and state.worse >= patience

    def _probe(self) -> int:
        """Tokens per micro-batch: the candidate with the most tokens per second here.

        With several processes a fixed one is taken: they would have to try in step.
        """
        budgets = BUDGETS.get(self._accelerator.device.type, BUDGETS["cpu"])
        if self._accelerator.num_processes > 1:
            return budgets[1]
        self._model.train()
        best, best_speed = budgets[0], 0.0
        for budget in budgets:
            update = self._packer.update(self._plan(0)[0], budget)
            first, *more = update.micro_batches()
            try:
                self._forward_backward(update, first)  # the first pass of a size is always slow
                begun = time.monotonic()
                tokens = sum(self._forward_backward(update, b) for b in [first, *more][-2:])
            except torch.OutOfMemoryError:
                break
            speed = tokens / (time.monotonic() - begun)
            if speed > 1.03 * best_speed:
                best, best_speed = budget, speed
            if not more:  # the whole update fits: a larger budget changes nothing
                break
        self._optimizer.zero_grad(set_to_none=True)
        return best

    def _forward_backward(self, update: Update, trees: Sequence[Tree]) -> int:
        batch = update.batch(trees).to(self._accelerator.device)
        log_shares = self._model(batch.pack, batch.reading)
        parts = batch_losses(log_shares, batch, update.weight, update.scaled_weight)
        self._accelerator.backward(parts["kl"])
        return batch.tokens


def _seed(seed: int, step: int, batch: int) -> int:
    return (seed * 1_000_003 + step) * 65_537 + batch


def _last(curve: Sequence[Mapping[str, float | None]], name: str) -> float | None:
    return next((entry[name] for entry in reversed(curve) if name in entry), None)
