"""The Ray backend on a cluster of two processes of this machine, beside the PyTorch backend."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("ray", reason="the [ray] extra is not installed")

from opinioncast.backends import LabelRequest, TextRequest
from opinioncast.backends.ray_backend import RayBackend
from opinioncast.backends.torch_backend import TorchBackend
from opinioncast.errors import ModelError
from opinioncast.methods.row_cache import RowCache
from opinioncast.predictor import Predictor
from opinioncast.survey import Question


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """One for all tests of the file: it takes seconds to start."""
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        address="local",
        num_cpus=2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield
    ray.shutdown()


def our_workers() -> list[int]:
    """Processes that Ray started for this one and that hold a worker."""
    parents, named = {}, []
    for entry in Path("/proc").iterdir():
        try:
            status = (entry / "stat").read_text()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        pid = int(entry.name) if entry.name.isdigit() else 0
        parents[pid] = int(status.rpartition(")")[2].split()[1])
        if command.startswith(b"ray::RayWorker"):
            named.append(pid)

    def ours(pid: int) -> bool:
        while pid > 1 and pid != os.getpid():
            pid = parents.get(pid, 0)
        return pid == os.getpid()

    return [pid for pid in named if ours(pid)]


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_the_same_table_as_one_machine_whatever_dies(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    """Resumed from rows that were finished, a worker killed (kill -9) in mid-run; then texts, a
    prompt that is refused, and rows of a cluster that serve one machine."""
    folder = make_folder("llama")
    asked = [Question(f"q{i}", f"Is {i} enough?", ("Yes", "No", "Maybe")) for i in range(8)]
    common: dict[str, Any] = {"method": "zero-shot", "model": str(folder), "dtype": "float32"}
    with RowCache(tmp_path / "one") as cache, Predictor(cache=cache, **common) as predictor:
        one = predictor.predict(asked, ["paper22"])
        alone = predictor.language_model
        texts = [TextRequest(f"Question: number {i}?\nAnswer:", 3) for i in range(4)]
        assert isinstance(alone, TorchBackend)
        said = dict(alone.generate(texts))
        fingerprint = alone.fingerprint

    done: list[int] = []
    total: list[int] = []

    def kill_one(finished: int, of: int) -> None:
        if done and finished > 0.3 * of and not killed:
            killed.append(our_workers()[0])
            os.kill(killed[0], signal.SIGKILL)
        done.append(finished)
        total.append(of)

    killed: list[int] = []
    many: dict[str, Any] = {**common, "backend": "ray", "workers": 2}
    with RowCache(tmp_path / "two") as cache, Predictor(cache=cache, **many) as predictor:
        predictor.predict(asked[:2], ["paper22"])  # what was finished before an interruption
        two = predictor.predict(asked, ["paper22"], progress=kill_one)
        backend = predictor.language_model
        assert isinstance(backend, RayBackend)
        assert backend.fingerprint == fingerprint, "rows in the cache serve both"
        assert backend.usage["workers_lost"] == 1
        assert dict(backend.generate(texts)) == said
        with pytest.raises(ModelError, match="longer than the model can read") as refused:
            list(backend.score([LabelRequest("Answer: " * 4000, ("A", "B"))]))
        assert str(refused.value.where).startswith("Ray worker on ")
    assert backend.crew is None
    assert not our_workers()
    assert killed
    assert done[0] == total[0] // 4, "two of eight questions came from the cache"
    assert done == sorted(set(done)), "none twice"
    assert two.frame.select("question", "group").equals(one.frame.select("question", "group"))
    assert two.table.content_hash == one.table.content_hash
    with RowCache(tmp_path / "two") as cache, Predictor(cache=cache, **common) as predictor:
        seen: list[int] = []
        again = predictor.predict(asked, ["paper22"], progress=lambda n, of: seen.append(n))
    assert seen == total[:1]
    assert again.table.content_hash == one.table.content_hash
