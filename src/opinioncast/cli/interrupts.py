"""Ctrl-C while something runs that Python cannot stop: said at once, and the second one ends it.

Python raises KeyboardInterrupt between two of its own steps. A model's forward pass, a table being
written or a thread that has to be waited for can be minutes long, and a person who is told nothing
believes the program hangs. The system's own signal handler writes into a pipe whatever Python is
doing; a thread reads it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

INTERRUPTED = 130
_GRACE = 0.5  # seconds in which most work has let go, and nothing need be said
_WAITS = (
    "interrupted: waiting for the step under way (a computation, a file) to "
    "end; Ctrl-C again ends at once, what is finished is kept"
)


@contextmanager
def told_of_interrupts(say: Callable[[str], None]) -> Iterator[None]:
    """In the block, the first Ctrl-C that ends nothing within half a second is answered by
    ``say``, and the second ends the process with status 130. Outside of the main thread, and where
    signals cannot write into a pipe (Windows), nothing.
    """
    of_pipes = hasattr(os, "set_blocking") and os.name == "posix"
    if threading.current_thread() is not threading.main_thread() or not of_pipes:
        yield
        return
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    over = threading.Event()
    listener = threading.Thread(target=_listen, args=(read, over, say), daemon=True)
    listener.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        with suppress(OSError):
            os.write(write, b"\0")  # no signal's number: the thread ends
        os.close(write)
        listener.join(timeout=1.0)


def _listen(read: int, over: threading.Event, say: Callable[[str], None]) -> None:
    """Ends, and closes ``read``, when the other end is closed."""
    met = 0
    with os.fdopen(read, "rb", buffering=0) as pipe:
        while numbers := pipe.read(64):
            for number in numbers:
                if number != signal.SIGINT:
                    continue
                met += 1
                if met == 1:
                    threading.Thread(target=_patient, args=(over, say), daemon=True).start()
                elif not over.is_set():
                    _end()


def _patient(over: threading.Event, say: Callable[[str], None]) -> None:
    if not over.wait(_GRACE):
        say(_WAITS)


def _end() -> None:
    """At once: no step under way is waited for, no thread joined."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(INTERRUPTED)
