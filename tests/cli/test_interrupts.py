"""Ctrl-C while a step runs that Python cannot stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from opinioncast.cli.interrupts import INTERRUPTED, told_of_interrupts

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")

_STUBBORN = """
import signal, time
from opinioncast.cli.interrupts import told_of_interrupts

def say(text):
    print(text, flush=True)

# what a library does in C: Python's own handler has no say
signal.signal(signal.SIGINT, lambda *_: None)
with told_of_interrupts(say):
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.slow
def test_the_first_says_what_it_waits_for_and_the_second_ends() -> None:
    process = subprocess.Popen([sys.executable, "-c", _STUBBORN], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert "waiting for the step under way" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == INTERRUPTED
    assert time.monotonic() - began < 8
    process.stdout.close()


def test_nothing_is_said_of_what_ends_at_once() -> None:
    said: list[str] = []
    threads = threading.active_count()

    def interrupted() -> None:
        with told_of_interrupts(said.append):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)

    # a process begun in the background is told to ignore it; this test is not about that
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
    finally:
        signal.signal(signal.SIGINT, before)
    assert said == []
    assert threading.active_count() <= threads + 1
    assert signal.set_wakeup_fd(-1) == -1
