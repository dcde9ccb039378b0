"""Two processes on one machine, as torchrun starts them, forked from one that has the imports."""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import traceback
import types
from pathlib import Path
from typing import Any

import accelerate.state
import torch

from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.finetune.trainer import Trainer, TrainingRun
from opinioncast.jobs.finetune import finetune_to_folder

KILLED = 9


def launch(
    recipe: FinetuneRecipe,
    out: Path,
    *,
    settings: dict[str, str] | None = None,
    shards_on_cpus: bool = True,
    stop: int = 0,
) -> list[str]:
    """Train in two processes.

    Args:
        settings: environment, such as :data:`FSDP`.
        shards_on_cpus: tell accelerate that FSDP is for CPUs too.
        stop: kill both behind that update.

    Returns:
        What each process failed with, empty where it did not.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    out.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (port, recipe.model_dump_json(), str(out), settings or {}, shards_on_cpus, stop)
    processes = [context.Process(target=work, args=(rank, *arguments)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
        if process.is_alive():
            process.kill()
    return [
        "" if process.exitcode == 0 else error.read_text("utf-8") if error.is_file() else "killed"
        for rank, process in enumerate(processes)
        for error in [_note(out, f"error-{rank}")]
    ]


def kinds(out: Path) -> list[list[str]]:
    """Of the weights that each process held."""
    return [json.loads(_note(out, f"kinds-{rank}").read_text("utf-8")) for rank in range(2)]


def _note(out: Path, what: str) -> Path:
    return out.parent / f"{out.name}-{what}.txt"


def work(
    rank: int,
    port: int,
    recipe: str,
    out: str,
    settings: dict[str, str],
    shards_on_cpus: bool,
    stop: int,
) -> None:
    """What one process does."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **settings}
    torch.set_num_threads(1)
    if shards_on_cpus:
        # accelerate shards over the kinds of device on a list of its own; PyTorch does over CPUs
        # too (gloo)
        known = {kind.name: kind for kind in accelerate.state.DistributedType}
        known["MULTI_NEURON"] = accelerate.state.DistributedType.MULTI_CPU
        accelerate.state.DistributedType = types.SimpleNamespace(**known)
    train = Trainer.run

    def watched(self: Trainer) -> TrainingRun:
        found = sorted({type(w.data).__name__ for w in self._model.parameters()})
        _note(Path(out), f"kinds-{rank}").write_text(json.dumps(found), "utf-8")
        return train(self)

    def kill(moment: Any) -> None:
        if moment.step == stop:
            os._exit(KILLED)  # nothing is tidied up

    Trainer.run = watched  # type: ignore[method-assign]
    try:
        finetune_to_folder(
            parse_finetune(json.loads(recipe), "test"), Path(out), progress=kill if stop else None
        )
    except BaseException:
        _note(Path(out), f"error-{rank}").write_text(traceback.format_exc(), "utf-8")
        os._exit(1)
    os._exit(0)
