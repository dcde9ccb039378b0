"""Forked processes of `campaign.py`: started, waited for, and what came of each in a word."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from campaign_inputs import OUT, SilentLossError

SECONDS = 60
MEMORY = 4 * 2**30
_WRONG, _SILENT = 98, 97
_MARKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_JOURNAL = re.compile(r"\.opinioncast-\w+\.jsonl")
_ROWS, _WIDTH = 26, 80


@dataclass(frozen=True)
class Outcome:
    """What came of a process: a word of the last line, what it printed, and what was odd."""

    word: str
    said: str
    odd: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        return self.word in ("read", "refused")


@dataclass
class Process:
    """``work`` in a forked process, its output in files beside ``folder``."""

    folder: Path
    work: Callable[[], int]
    seconds: float = SECONDS
    began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.texts = [self._beside(end) for end in ("out", "err")]
        self._known = len(sys.modules)
        self.pid = os.fork()
        if self.pid == 0:
            self._run()

    def outcome(self) -> Outcome | None:
        """What came of it; None while it goes on."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if not done:
            # a machine that others use more than once over is slower by as much
            busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
            if time.monotonic() - self.began < self.seconds * busy:
                return None
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return Outcome("hangs", _read(self.texts))
        said = _read(self.texts)
        if os.WIFSIGNALED(status):
            return Outcome("crashes", f"signal {os.WTERMSIG(status)}\n{said}")
        code = os.waitstatus_to_exitcode(status)
        word = {0: "read", 2: "refused", 3: "refused", _WRONG: "wrong", _SILENT: "silent"}.get(code)
        if word is None or ("Traceback (most recent" in said and word == "refused"):
            word = "faults"
        fine = word in ("refused", "read")
        return Outcome(word, said, tuple(_odd(self.folder, said, self.texts[1])) if fine else ())

    def learn(self) -> None:
        """Import here what it imported: the next processes have it already. Nothing is computed:
        threads of a library do not survive a fork."""
        told = self._beside("modules")
        for name in told.read_text("utf-8").split() if told.exists() else ():
            if name not in sys.modules:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)

    def _beside(self, end: str) -> Path:
        return self.folder.parent / f"{self.folder.name}.{end}"

    def _run(self) -> None:
        """Never returns."""
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.chdir(self.folder)
            os.environ["OPINIONCAST_CACHE"] = str(self.folder / "cache")
            os.environ["OPINIONCAST_DATA"] = str(self.folder / "data")
            for number, path in zip((1, 2), self.texts, strict=True):
                opened = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
                os.dup2(opened, number)
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            code = self.work()
        except SilentLossError as error:
            print(f"SILENT {error}", file=sys.stderr)
            code = _SILENT
        except AssertionError:
            traceback.print_exc()
            code = _WRONG
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
                new = list(sys.modules)[self._known :]
                self._beside("modules").write_text("\n".join(new), "utf-8")
            os._exit(code)


def in_process(folder: Path, work: Callable[[], int], seconds: float = SECONDS) -> Outcome:
    """What came of ``work`` in a process of its own, waited for."""
    process = Process(folder, work, seconds)
    while (found := process.outcome()) is None:
        time.sleep(0.005)
    return found


def command(arguments: Sequence[str]) -> int:
    """The status of a command line."""
    from opinioncast.cli.main import main

    try:
        main(list(arguments))
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def called(work: Callable[[], None]) -> int:
    """The status of a callable, as of a command line."""
    from opinioncast.errors import OpinioncastError

    try:
        work()
    except OpinioncastError as error:
        print(f"opinioncast: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _read(texts: Sequence[Path]) -> str:
    return "\n".join(p.read_text("utf-8", "replace") for p in texts if p.exists())


def _odd(folder: Path, said: str, errors: Path) -> Iterator[str]:
    if found := _MARKS.search(said):
        yield f"the terminal got {found[0]!r}"
    text = errors.read_text("utf-8", "replace")
    error = text[text.find("opinioncast: ") :] if "opinioncast: " in text else ""
    if sum(max(1, -(-len(line) // _WIDTH)) for line in error.splitlines()) > _ROWS:
        yield "an error longer than a screen"
    for left in leftovers(folder / OUT):
        yield f"left behind: {left}"


@contextlib.contextmanager
def serving(answer: bytes | None) -> Iterator[int]:
    """A service on loopback that says one thing; its port, 0 where there is none."""
    if answer is None:
        yield 0
        return

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


def leftovers(out: Path) -> list[str]:
    """Temporary files; not the record of a run that ended early, by which the next one knows what
    it may replace."""
    there = (str(p.relative_to(out)) for p in out.rglob(".*") if p.is_file())
    return [name for name in there if not _JOURNAL.fullmatch(name)]
