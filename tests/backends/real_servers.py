"""Servers that others wrote, started on loopback for tests, where they are installed.

- llama.cpp's ``llama-server``: on the PATH, or named by ``OPINIONCAST_LLAMA_SERVER``. It comes as
  source; building it takes ten minutes and more.
- ``transformers serve``: where this Python, or the one that ``OPINIONCAST_SERVE_PYTHON`` names, has
  the packages of ``transformers[serving]``. It gives texts, no log-probabilities.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

LLAMA_SERVER = os.environ.get("OPINIONCAST_LLAMA_SERVER") or shutil.which("llama-server")
_SERVES = all(find_spec(name) for name in ("transformers", "fastapi", "uvicorn", "openai"))
SERVE_PYTHON = os.environ.get("OPINIONCAST_SERVE_PYTHON") or (sys.executable if _SERVES else None)
_START_SECONDS = 180


@dataclass(frozen=True)
class RealServer:
    """A server that runs.

    Attributes:
        model: what it calls its model.
        begins: what its log says when it takes up a prompt, answered in the end or not.
    """

    base_url: str
    model: str
    log: Path
    begins: str

    @property
    def begun(self) -> int:
        """Prompts it has taken up so far, by its own log."""
        return len(re.findall(self.begins, self.log.read_text("utf-8", errors="replace")))

    def settled(self) -> int:
        """The same, once it has taken up nothing new for three seconds."""
        before = -1
        while before != (now := self.begun):
            before = now
            time.sleep(3)
        return now


@contextmanager
def llama_server(weights: Path, log: Path, *more: str) -> Iterator[RealServer]:
    """llama.cpp's server with ``weights`` (GGUF), and options of its own."""
    command = [str(LLAMA_SERVER), "-m", str(weights), "-t", "1", "-c", "4096"]
    with _running([*command, *more], log) as address:
        yield RealServer(f"{address}/v1", "gemma", log, r"processing task")


@contextmanager
def transformers_serve(folder: Path, log: Path) -> Iterator[RealServer]:
    """``transformers serve`` with the model in ``folder``, on the CPU."""
    command = [str(SERVE_PYTHON), "-m", "transformers.cli.transformers", "serve", str(folder)]
    with _running([*command, "--device", "cpu"], log) as address:
        yield RealServer(f"{address}/v1", str(folder), log, r"\[Request received\]")


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    given = [*command, "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(given, stdout=output, stderr=subprocess.STDOUT) as server,
    ):
        try:
            deadline = time.monotonic() + _START_SECONDS
            while True:
                assert server.poll() is None, log.read_text("utf-8", errors="replace")[-2000:]
                try:
                    with urllib.request.urlopen(f"{address}/health", timeout=5):
                        break
                except OSError:
                    assert time.monotonic() < deadline, "it does not get ready"
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()
