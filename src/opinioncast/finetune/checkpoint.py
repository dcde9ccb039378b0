"""Checkpoints: what a killed run needs to go on to the same result. Safetensors and JSON only.

A checkpoint is a folder, written under another name and renamed when it is whole. Each holds the
trained weights, AdamW's moments and ``state.json``. The newest and the best are kept.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from opinioncast.documents import read_document
from opinioncast.errors import InputError, StorageError
from opinioncast.finetune.divergence import Start

WEIGHTS = "trained.safetensors"
OPTIMIZER = "optimizer.safetensors"
STATE = "state.json"
_PREFIX = "step-"


@dataclass
class RunState:
    """Where a run is.

    Attributes:
        fingerprint: of all that shapes the result; a checkpoint fits no other run.
        step: updates made.
        pack_tokens: the budget the run was started with.
        start_loss, uniform_loss: see :class:`opinioncast.finetune.divergence.Start`.
        curve: one entry per update and per check (see :mod:`opinioncast.finetune.trainer`); None
            where a check gave no number.
        best_step, best_value: of the check with the best metric.
        worse: checks since then.
    """

    fingerprint: dict[str, str]
    pack_tokens: int
    start_loss: float = 0.0
    uniform_loss: float = 0.0
    step: int = 0
    curve: list[dict[str, float | None]] = field(default_factory=list)
    best_step: int | None = None
    best_value: float | None = None
    worse: int = 0

    @property
    def start(self) -> Start:
        return Start(self.start_loss, self.uniform_loss)

    @property
    def checks(self) -> list[dict[str, float | None]]:
        """The entries of the validation checks."""
        return [entry for entry in self.curve if "valid_kl" in entry]


class Checkpoints:
    """The checkpoints of one run in ``folder``. Only the main process writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def newest(self, fingerprint: Mapping[str, str]) -> RunState | None:
        """The state of the newest whole checkpoint, None if there is none.

        Raises:
            InputError: something that shapes the result is another now: the error names it.
        """
        steps = self._steps()
        if not steps:
            return None
        path = self.folder / _name(steps[-1]) / STATE
        try:
            state = RunState(**read_document(path, "A checkpoint's state", error=StorageError))
        except (StorageError, TypeError) as error:
            raise self._unreadable(path, error) from error
        recorded = state.fingerprint
        differs = [k for k in {**fingerprint, **recorded} if fingerprint.get(k) != recorded.get(k)]
        if differs:
            raise InputError(
                "The checkpoint belongs to another run",
                where=str(path.parent),
                expected=f"the same {', '.join(fingerprint)}",
                found=f"another {', '.join(differs)}"
                if recorded.keys() == fingerprint.keys()
                else "a checkpoint of another version of opinioncast",
                hint="give another folder with --out, or delete this one to start anew",
            )
        return state

    def save(
        self,
        state: RunState,
        weights: Mapping[str, torch.Tensor],
        moments: Mapping[str, torch.Tensor],
        *,
        window: int = 0,
    ) -> None:
        """Write a checkpoint and drop those that are neither newest nor best, nor, with a
        ``window``, the newest of those at least so many updates old.

        Raises:
            StorageError: the folder cannot be written; the checkpoints before it stay.
        """
        target = self.folder / _name(state.step)
        work = self.folder / f".{target.name}.{secrets.token_hex(4)}"
        try:
            work.mkdir(parents=True)
            save_file({k: v.contiguous() for k, v in weights.items()}, work / WEIGHTS)
            save_file({k: v.contiguous() for k, v in moments.items()}, work / OPTIMIZER)
            (work / STATE).write_text(json.dumps(asdict(state), allow_nan=False), "utf-8")
            for file in work.iterdir():
                with file.open("rb+") as written:
                    os.fsync(written.fileno())
            if target.exists():  # made by this very run before it was killed: the same content
                shutil.rmtree(target)
            work.replace(target)
            kept = {state.step, state.best_step}
            if window:
                kept.add(self.last_step(before=state.step - window))
            for old in set(self._steps()) - kept:
                shutil.rmtree(self.folder / _name(old))
            for stray in self.folder.glob(f".{_PREFIX}*"):
                shutil.rmtree(stray)
        except (OSError, SafetensorError) as error:
            raise StorageError(
                "A checkpoint could not be written",
                where=str(target),
                expected="a folder that can be written, with free space",
                found=error,
                hint="free some space; the same command goes on from the checkpoint before",
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def last_step(self, *, before: int) -> int:
        """Of the newest whole checkpoint at or before that update, else of the oldest."""
        steps = self._steps()
        return max((step for step in steps if step <= before), default=steps[0])

    def weights(self, step: int) -> dict[str, torch.Tensor]:
        return self._load(step, WEIGHTS)

    def moments(self, step: int) -> dict[str, torch.Tensor]:
        return self._load(step, OPTIMIZER)

    def _load(self, step: int, name: str) -> dict[str, torch.Tensor]:
        path = self.folder / _name(step) / name
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise self._unreadable(path, error) from error

    def _steps(self) -> list[int]:
        names = (p.parent.name for p in self.folder.glob(f"{_PREFIX}*/{STATE}"))
        return sorted(int(n.removeprefix(_PREFIX)) for n in names)

    def _unreadable(self, path: Path, error: Exception) -> StorageError:
        steps = self._steps()
        spare = len(steps) > 1 and path.parent.name == _name(steps[-1])
        return StorageError(
            "A checkpoint cannot be read",
            where=str(path),
            expected="the files written there by opinioncast finetune",
            found=error,
            hint=f"delete {path.parent}: the run goes on from the checkpoint before it"
            if spare
            else f"delete {path.parent.parent}: the run starts anew",
        )


def _name(step: int) -> str:
    return f"{_PREFIX}{step:07d}"


_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
_OF = "|"  # between a moment's kind and its weight's name


def gather_weights(model: Any) -> dict[str, torch.Tensor]:
    """The trained weights by name, whole, on the CPU of the main process; all must call it."""
    found: dict[str, Any] = get_model_state_dict(model, options=_WHOLE)
    places: dict[tuple[int, torch.Size], str] = {}
    for name, weight in found.items():
        if isinstance(weight, torch.Tensor):  # tied ones are one weight, under its first name
            places.setdefault((weight.data_ptr(), weight.shape), name)
    return {name: found[name] for name in places.values()}


def gather_moments(model: Any, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """The optimizer's state by kind and name, as :func:`gather_weights` gives weights; empty before
    the first update: PyTorch's getter would make an update of nothing to have a state to give, and
    AdamW's step count would be one ahead ever after.
    """
    if not optimizer.state:
        return {}
    found: dict[str, Any] = get_optimizer_state_dict(model, optimizer, options=_WHOLE)
    return {
        f"{kind}{_OF}{name}": value
        for name, kinds in found.get("state", {}).items()
        for kind, value in kinds.items()
    }


def restore_weights(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Put trained weights back; every process must call it with all of them."""
    options = StateDictOptions(full_state_dict=True, cpu_offload=True, strict=False)
    set_model_state_dict(model, dict(weights), options=options)


def restore_moments(
    model: Any, optimizer: torch.optim.Optimizer, moments: Mapping[str, torch.Tensor]
) -> None:
    """Put ``moments`` back, as :func:`restore_weights`; hyper-parameters stay the optimizer's."""
    if not moments:  # of a checkpoint before the first update
        return
    state: dict[str, dict[str, torch.Tensor]] = {}
    for key, value in moments.items():
        kind, name = key.split(_OF)
        state.setdefault(name, {})[kind] = value
    (group,) = optimizer.param_groups
    settings = {k: v for k, v in group.items() if k != "params"}
    whole: dict[str, Any] = {"state": state, "param_groups": [settings | {"params": list(state)}]}
    set_optimizer_state_dict(model, optimizer, whole, options=_WHOLE)
