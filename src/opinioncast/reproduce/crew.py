"""A reproduction under torchrun: one process does the work, the others join it in every training.

    torchrun --nproc-per-node 8 -m opinioncast reproduce table1 --setting paper ...

The first process curates, predicts and writes, and alone holds the folder. Before a training it
tells the others which; they train with it and then wait again, without any pending exchange,
however long its next steps take. What is told goes through a store that all processes reach, so
several machines with one file system work alike.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from opinioncast.documents import parse_json
from opinioncast.errors import ModelError, OpinioncastError
from opinioncast.finetune.recipe import FinetuneRecipe, parse_finetune
from opinioncast.finetune.trainer import Moment
from opinioncast.jobs.finetune import finetune_to_folder

_PREFIX = "opinioncast/reproduce"
_PAUSE = 0.2  # seconds between two looks


class Board(Protocol):
    """Where what is told is written: :class:`torch.distributed.Store` is one."""

    def set(self, key: str, value: str, /) -> Any: ...
    def get(self, key: str, /) -> bytes: ...
    def check(self, keys: list[str], /) -> bool: ...


@dataclass
class Crew:
    """The processes of one ``torchrun``.

    Attributes:
        rank: of this process; 0 does the work.
        size: how many there are.
    """

    rank: int
    size: int
    board: Board
    _told: int = field(default=0)

    @property
    def leads(self) -> bool:
        """Whether this process does the work."""
        return self.rank == 0

    def train(
        self, recipe: FinetuneRecipe, folder: Path, progress: Callable[[Moment], None] | None
    ) -> None:
        """Train with all processes; called by the one that leads.

        Raises:
            OpinioncastError: as :func:`opinioncast.jobs.finetune.finetune_to_folder`.
        """
        where = str(folder.resolve())
        self._tell({"train": recipe.model_dump(mode="json"), "folder": where})
        finetune_to_folder(recipe, folder, beside=folder, progress=progress)

    def end(self) -> None:
        """Let the others go; called by the one that leads, however its work ended."""
        self._tell({})

    def follow(self) -> None:
        """Join each training that is told, until there is none; called by the others.

        A training that fails fails in all processes: the one that leads says so.
        """
        while True:
            told = self._next()
            if not told:
                return
            folder = Path(told["folder"])
            recipe = parse_finetune(told["train"], str(folder))
            with suppress(OpinioncastError):
                finetune_to_folder(recipe, folder, beside=folder)

    def _tell(self, what: dict[str, Any]) -> None:
        self.board.set(f"{_PREFIX}/{self._told}", json.dumps(what))
        self._told += 1

    def _next(self) -> dict[str, Any]:
        key = f"{_PREFIX}/{self._told}"
        while not self.board.check([key]):
            time.sleep(_PAUSE)
        self._told += 1
        found: dict[str, Any] = parse_json(
            self.board.get(key), where="the store of torchrun", what="What the first process told"
        )
        return found


def crew_of_torchrun() -> Crew | None:
    """The processes that torchrun or ``accelerate launch`` started; None where it started one.

    Raises:
        ModelError: several processes without a store to speak through.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size < 2:
        return None
    import torch.distributed as dist

    rank = int(os.environ.get("RANK", "0"))
    # the launcher's own store where it hosts one; else one beside it, which the first process hosts
    hosted = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    try:
        board = dist.TCPStore(  # type: ignore[attr-defined]  # public, documented, not in __all__
            os.environ["MASTER_ADDR"],
            int(os.environ["MASTER_PORT"]) + (0 if hosted else 1),
            is_master=rank == 0 and not hosted,
            wait_for_workers=False,
            timeout=timedelta(minutes=5),
        )
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(
            "The processes of this run cannot speak to each other",
            expected="torchrun or accelerate launch, whose MASTER_ADDR every process reaches",
            found=error,
            hint="start it with torchrun --standalone --nproc-per-node N -m opinioncast reproduce",
        ) from error
    return Crew(rank, size, board)
