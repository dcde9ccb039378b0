"""Workers that die, do not start, are unlike or answer wrongly: the crew over a stand-in for Ray.

The stand-in runs each call where it is made and kills workers where a test says so; Ray itself is
run by ``test_ray_backend.py``.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from opinioncast.backends import ray_crew
from opinioncast.backends.ray_blocks import block_size, blocks
from opinioncast.backends.ray_crew import Crew, Room, places
from opinioncast.backends.ray_settings import RaySettings
from opinioncast.backends.ray_worker import PACKAGE, Described, PlacedFile, Reply, WorkerTask
from opinioncast.errors import InputError, ModelError

MODEL = Described("m", {"weights": "w"}, {}, False)


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class StandIn:
    """``ray`` as far as a crew uses it.

    Args:
        dies: whether the worker of that number dies over a block.
        version: of the package where workers run; None: they do not start.
    """

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)
    __version__ = "0"

    def __init__(
        self,
        dies: Callable[[int, Sequence[Any]], bool] = lambda worker, block: False,
        *,
        version: str | None = "same",
        fingerprints: Callable[[int], Mapping[str, Any]] = lambda worker: MODEL.fingerprint,
        short: bool = False,
        full: bool = False,
    ) -> None:
        self.dies, self.version = dies, version
        self.fingerprints, self.short, self.full = fingerprints, short, full
        self.numbers = itertools.count()
        self.killed: list[int] = []
        self.kept: list[dict[str, Any]] = []

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0}}]

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 2.0}

    def remote(self, worker: type) -> Any:
        return self

    def options(self, **kept: Any) -> Any:
        self.kept.append(kept)
        return SimpleNamespace(remote=lambda task: self.worker(next(self.numbers)))

    def worker(self, number: int) -> Any:
        def hello() -> Any:
            return RayError("no machine") if self.version is None else ("host", self.version)

        def answer(ask: str, adapter: Any, requests: list[Any]) -> Any:
            if "bug" in requests:
                return RayTaskError("a bug")
            if self.dies(number, requests):
                return RayError("died")
            described = Described("m", self.fingerprints(number), {}, False)
            found = [(i, f"{request} answered") for i, request in enumerate(requests)]
            return Reply("host", described, found[1:] if self.short else found)

        def call(does: Callable[..., Any]) -> Any:
            return SimpleNamespace(remote=lambda *given: Outcome(does(*given)))

        return SimpleNamespace(number=number, hello=call(hello), answer=call(answer))

    def wait(self, awaited: list[Any], **how: Any) -> tuple[list[Any], list[Any]]:
        return ([], awaited) if self.full else (awaited[:1], awaited[1:])

    def get(self, reference: Outcome) -> Any:
        if isinstance(reference.value, Exception):
            raise reference.value
        return reference.value

    def kill(self, worker: Any) -> None:
        self.killed.append(worker.number)


class Outcome:
    def __init__(self, value: Any) -> None:
        self.value = value


@pytest.fixture
def crew_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[StandIn], Crew]:
    def make(ray: StandIn) -> Crew:
        monkeypatch.setattr(ray_crew, "_ray", lambda: ray)
        monkeypatch.setattr(ray_crew, "version", lambda package: "same")
        return Crew(RaySettings(workers=2), WorkerTask("torch", PlacedFile("m", False)))

    return make


BLOCKS = [["a", "b"], ["c"], ["d", "e", "f"], ["g"]]
ALL = Counter((b, i) for b, block in enumerate(BLOCKS) for i in range(len(block)))


def test_every_place_once_whoever_dies(crew_of: Callable[[StandIn], Crew]) -> None:
    ray = StandIn(lambda worker, block: worker < 2)  # the first two, over their first block
    crew = crew_of(ray)
    found = list(crew.answers("score", None, BLOCKS))
    assert Counter((b, i) for b, i, _ in found) == ALL
    assert all(answer == f"{BLOCKS[b][i]} answered" for b, i, answer in found)
    assert (crew.lost, crew.again, sorted(ray.killed)) == (2, 2, [0, 1])
    assert ray.kept[0] == {"max_restarts": 0, "num_cpus": 1, "num_gpus": 0}


def test_a_block_that_kills_every_worker_is_given_up(crew_of: Callable[[StandIn], Crew]) -> None:
    crew = crew_of(StandIn(lambda worker, block: "e" in block))
    found = list(crew.answers("score", None, BLOCKS))
    assert Counter((b, i) for b, i, _ in found) == ALL
    assert {(b, i) for b, i, answer in found if answer is None} == {(2, 0), (2, 1), (2, 2)}
    assert (crew.lost, crew.again) == (3, 2)


def test_workers_die_while_they_load(crew_of: Callable[[StandIn], Crew]) -> None:
    with pytest.raises(ModelError, match="die while they load"):
        crew_of(StandIn(lambda worker, block: True)).described(None)


def test_left_in_mid_run_its_workers_are_not_listened_to(
    crew_of: Callable[[StandIn], Crew],
) -> None:
    ray = StandIn()
    crew = crew_of(ray)
    answers = crew.answers("score", None, BLOCKS)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(list(crew.answers("score", None, BLOCKS))) == 7
    crew.join()
    crew.leave()
    assert sorted(ray.killed) == list(range(next(ray.numbers)))


def test_machines_that_cannot_serve(crew_of: Callable[[StandIn], Crew]) -> None:
    for ray, said in {
        StandIn(version=None): "do not start",
        StandIn(version="older"): "another version",
        StandIn(fingerprints=lambda worker: {"weights": worker}): "unlike models",
        StandIn(short=True): "each request once",
    }.items():
        with pytest.raises(ModelError, match=said):
            list(crew_of(ray).answers("score", None, BLOCKS))
    with pytest.raises(ModelError, match="worker failed"):
        list(crew_of(StandIn()).answers("score", None, [["bug"]]))


def test_a_cluster_that_is_full(
    crew_of: Callable[[StandIn], Crew], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_crew, "START_SECONDS", 0.0)
    with pytest.raises(ModelError, match="No Ray worker has started"):
        list(crew_of(StandIn(full=True)).answers("score", None, BLOCKS))


def test_what_the_engine_would_ignore_is_refused() -> None:
    with pytest.raises(InputError, match="no --tensor-parallel with --engine torch"):
        RaySettings(tensor_parallel=2)
    with pytest.raises(InputError, match="no --device with --engine vllm"):
        RaySettings(engine="vllm", device="cpu")
    with pytest.raises(InputError, match="--gpu-memory"):
        RaySettings(engine="vllm", gpu_memory=1.5)
    with pytest.raises(InputError, match="1 or more"):
        RaySettings(workers=0)
    assert RaySettings(engine="vllm", gpu_memory=0.5, adapter="a").of_engine == {"gpu_memory": 0.5}


def test_who_is_kept_for_a_worker() -> None:
    """Processors and GPUs by hand: 4 machines of 16 cores; 2 machines with 4 GPUs each."""
    plain, gpus = Room(4, 64, 0), Room(2, 64, 8)
    assert places(RaySettings(), plain) == (4, {"num_cpus": 16, "num_gpus": 0})
    assert places(RaySettings(workers=6), plain) == (6, {"num_cpus": 8, "num_gpus": 0})
    assert places(RaySettings(workers=100), plain) == (100, {"num_cpus": 1, "num_gpus": 0})
    assert places(RaySettings(), gpus) == (8, {"num_cpus": 1, "num_gpus": 1})
    assert places(RaySettings(device="cpu"), gpus) == (2, {"num_cpus": 32, "num_gpus": 0})
    wide = RaySettings(engine="vllm", tensor_parallel=4)
    assert places(wide, gpus) == (2, {"num_cpus": 1, "num_gpus": 4})


def test_blocks_hold_whole_families() -> None:
    assert blocks(["a", "b", "a", "c", "d"], 3) == [[0, 2, 1], [3, 4]]
    assert blocks(["a", "a", "a", "b"], 2) == [[0, 1, 2], [3]]
    assert blocks([], 2) == []
    assert [block_size(n, 2, 64) for n in (0, 3, 40, 10_000)] == [1, 1, 5, 64]


def test_files_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ships with the package is taken from the package there; the rest by its whole path."""
    inside = PlacedFile.of(str(PACKAGE / "models" / "adapter"))
    assert (inside.path, inside.here()) == ("models/adapter", str(PACKAGE / "models" / "adapter"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert PlacedFile.of("mine").here() == str(tmp_path / "mine")
    assert PlacedFile.of("some/model").here() == "some/model"
