"""The workers of a run on a Ray cluster: started, given blocks, replaced where they die.

Each worker has one block at a time. A worker that dies loses that block only, which another one is
given; what a worker says after it was given up is not listened to. So every request is answered
once. A block that costs three workers is given up: its requests are refused, and the run says so.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from opinioncast.backends.ray_settings import RaySettings
from opinioncast.backends.ray_worker import Ask, Described, PlacedFile, RayWorker, Reply, WorkerTask
from opinioncast.errors import ModelError

MOST_TRIES = 3
"""Workers that a block may cost: what kills three in turn (no memory) would kill the next."""

START_SECONDS = 900.0
"""How long no worker at all may take to start: a cluster that grows on demand needs minutes."""

_ROUND_SECONDS = 5.0
_LOCAL_STORE_BYTES = 128 * 2**20  # prompts and label probabilities are small


@dataclass(frozen=True)
class Room:
    """What the cluster has: machines, and processors and GPUs of all of them together."""

    machines: int
    cpus: float
    gpus: float


def places(settings: RaySettings, room: Room) -> tuple[int, dict[str, float]]:
    """How many workers, and what Ray is to keep for each.

    >>> places(RaySettings(), Room(4, 64, 0))
    (4, {'num_cpus': 16, 'num_gpus': 0})
    >>> places(RaySettings(workers=8), Room(4, 64, 0))
    (8, {'num_cpus': 8, 'num_gpus': 0})
    >>> places(RaySettings(engine="vllm", tensor_parallel=2), Room(2, 64, 8))
    (4, {'num_cpus': 1, 'num_gpus': 2})
    """
    each = settings.tensor_parallel if settings.engine == "vllm" else 1
    if room.gpus >= each and (settings.device or "cuda").startswith("cuda"):
        return settings.workers or int(room.gpus // each), {"num_cpus": 1, "num_gpus": each}
    workers = settings.workers or room.machines
    on_one = -(-workers // room.machines)
    cpus = max(1, int(room.cpus / room.machines // on_one))
    return workers, {"num_cpus": cpus, "num_gpus": 0}


class Crew:
    """Workers with one model; connects to the cluster when it is made.

    Attributes:
        lost: workers that died, while they started too.
        again: blocks that were given to another worker.
        workers: how many are wanted.

    Raises:
        ModelError: Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, settings: RaySettings, task: WorkerTask) -> None:
        self._ray = _ray()
        self.task = task
        self.settings = settings
        self.lost = self.again = 0
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, settings)
        self.workers, self._kept = places(settings, _room(self._ray))
        self._idle: list[Any] = []
        self._starting: dict[Any, Any] = {}
        self._failed_starts = 0
        self._known: dict[PlacedFile | None, Described] = {}
        self._users = 0

    @property
    def version(self) -> str:
        """Ray's."""
        return str(self._ray.__version__)

    def join(self) -> None:
        """Another model of the run is asked through this crew."""
        self._users += 1

    def leave(self) -> None:
        """One model fewer; with the last one the workers end, and a cluster of our own with
        them."""
        self._users -= 1
        if self._users > 0:
            return
        if self._ray.is_initialized():
            for worker in (*self._idle, *self._starting.values()):
                self._ray.kill(worker)
            if self._ours:
                self._ray.shutdown()
        self._idle, self._starting = [], {}

    def described(self, adapter: PlacedFile | None) -> Described:
        """The model with an adapter, as the first worker opened it.

        Raises:
            ModelError: it cannot be opened, or no worker starts.
        """
        if adapter not in self._known:
            for _ in self.answers("score", adapter, [[]]):
                raise AssertionError("nothing was asked")
        if adapter not in self._known:
            raise ModelError(
                "Ray workers die while they load the model",
                where=self.task.model.path,
                expected="a worker that stays alive",
                found=f"{MOST_TRIES} died",
                hint="they may lack memory: fewer --workers, or larger machines; Ray's logs say "
                "more",
            )
        return self._known[adapter]

    def answers(
        self, ask: Ask, adapter: PlacedFile | None, given: Sequence[Sequence[Any]]
    ) -> Iterator[tuple[int, int, Any]]:
        """Yield (block, place in it, answer) as blocks are answered; each place once.

        The answer is None where the block was given up.

        Raises:
            ModelError: what a worker's backend raises; workers with unlike models or versions; no
                worker that starts.
        """
        ray = self._ray
        waiting = deque(range(len(given)))
        tries: Counter[int] = Counter()
        at_work: dict[Any, tuple[Any, int]] = {}
        since = time.monotonic()
        try:
            while waiting or at_work:
                there = len(self._idle) + len(self._starting) + len(at_work)
                lacking = len(waiting) - len(self._starting) - len(self._idle)
                for _ in range(min(self.workers - there, lacking)):
                    self._start()
                while waiting and self._idle:
                    worker, block = self._idle.pop(), waiting.popleft()
                    reference = worker.answer.remote(ask, adapter, list(given[block]))
                    at_work[reference] = (worker, block)
                awaited = [*self._starting, *at_work]
                ready, _ = ray.wait(awaited, num_returns=1, timeout=_ROUND_SECONDS)
                if at_work or ready:
                    since = time.monotonic()
                elif time.monotonic() - since > START_SECONDS:
                    raise _no_start(_room(ray), self._kept)
                for reference in ready:
                    if reference in self._starting:
                        self._started(reference)
                        continue
                    worker, block = at_work[reference]
                    reply = self._reply(reference)
                    del at_work[reference]
                    if reply is None:
                        ray.kill(worker)  # it may live on behind a broken connection
                        self.lost += 1
                        tries[block] += 1
                        if tries[block] < MOST_TRIES:
                            self.again += 1
                            waiting.appendleft(block)
                        else:
                            yield from ((block, place, None) for place in range(len(given[block])))
                        continue
                    self._idle.append(worker)
                    self._check(reply, adapter, len(given[block]))
                    yield from ((block, place, answer) for place, answer in reply.found)
        finally:
            for worker, _ in at_work.values():  # left in mid-block: nobody waits for its answer
                ray.kill(worker)

    def _start(self) -> None:
        remote = self._ray.remote(RayWorker).options(max_restarts=0, **self._kept)
        worker = remote.remote(self.task)
        self._starting[worker.hello.remote()] = worker

    def _started(self, reference: Any) -> None:
        worker = self._starting.pop(reference)
        try:
            machine, there = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self.lost += 1
            self._failed_starts += 1
            if self._failed_starts >= MOST_TRIES:
                raise ModelError(
                    "Ray workers do not start",
                    expected="machines with this package in the Python that Ray runs",
                    found=error,
                    hint="install opinioncast on every machine of the cluster",
                ) from error
            return
        self._failed_starts = 0
        if there != version("opinioncast"):
            raise ModelError(
                "A machine of the cluster has another version of opinioncast",
                where=machine,
                expected=version("opinioncast"),
                found=there,
                hint="install the same version on every machine",
            )
        self._idle.append(worker)

    def _reply(self, reference: Any) -> Reply | None:
        """None where the worker died, or its answer was lost with its machine."""
        errors = self._ray.exceptions
        try:
            reply: Reply = self._ray.get(reference)
        except errors.RayTaskError as error:  # it lives, and its backend broke
            raise ModelError(
                "A Ray worker failed",
                where=self.task.model.path,
                expected="an answer",
                found=getattr(error, "cause", None) or error,
                hint="run a part of it with the backend of its engine alone "
                f"(--backend {self.task.engine}), which shows more",
            ) from error
        except errors.RayError:
            return None
        return reply

    def _check(self, reply: Reply, adapter: PlacedFile | None, asked: int) -> None:
        if reply.refused is not None:
            raise reply.refused.at(f"Ray worker on {reply.machine}")
        assert reply.described is not None
        first = self._known.setdefault(adapter, reply.described)
        unlike = [
            key
            for key in {**first.fingerprint, **reply.described.fingerprint}
            if first.fingerprint.get(key) != reply.described.fingerprint.get(key)
        ]
        if unlike:
            raise ModelError(
                "Machines of the cluster run unlike models",
                where=reply.machine,
                expected=", ".join(f"{k} {first.fingerprint.get(k)}" for k in unlike),
                found=", ".join(f"{k} {reply.described.fingerprint.get(k)}" for k in unlike),
                hint="put the same files on every machine; where processors differ, name --dtype",
            )
        if sorted(place for place, _ in reply.found) != list(range(asked)):
            raise ModelError(
                "A Ray worker did not answer each request once",
                where=reply.machine,
                expected=f"{asked} answers",
                found=f"{len(reply.found)}",
            )


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        import ray
    except ImportError as error:
        raise ModelError(
            "The Ray backend needs Ray",
            expected="the package of the [ray] extra, here and on every machine of the cluster",
            found=error,
            hint="pip install 'opinioncast[ray]', or divide the run with --shard",
        ) from error
    return ray


def _connect(ray: Any, settings: RaySettings) -> None:
    address = settings.ray_address or os.environ.get("RAY_ADDRESS")
    local: dict[str, Any] = {}
    if address is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        local = {
            "num_cpus": max(cores or 1, settings.workers or 1),
            "object_store_memory": _LOCAL_STORE_BYTES,
            "include_dashboard": False,
        }
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level="ERROR", **local)
    except Exception as error:  # Ray's own kinds, and those of sockets
        raise ModelError(
            "The Ray cluster cannot be reached",
            where=address or "this machine",
            expected="a cluster that was started with `ray start --head`",
            found=error,
            hint="check --ray-address and RAY_ADDRESS, or leave both out to use this machine",
        ) from error


def _room(ray: Any) -> Room:
    machines = [node for node in ray.nodes() if node["Alive"]]
    there = ray.cluster_resources()
    with_cpus = [node for node in machines if node["Resources"].get("CPU")]
    return Room(max(1, len(with_cpus)), there.get("CPU", 1.0), there.get("GPU", 0.0))


def _no_start(room: Room, kept: dict[str, float]) -> ModelError:
    return ModelError(
        "No Ray worker has started",
        where="the cluster",
        expected=f"a machine with {kept['num_cpus']:g} free processors and {kept['num_gpus']:g} "
        "free GPUs",
        found=f"{room.machines} machines with {room.cpus:g} processors and {room.gpus:g} GPUs in "
        f"all, and none for {START_SECONDS:.0f} s",
        hint="wait for other work on the cluster to end, or ask for less: --workers, "
        "--tensor-parallel",
    )
