"""The page, driven without a browser: from a paste to results; a part's fault leaves the others."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opinioncast.app import page, results_part
from opinioncast.app.projects import Project
from opinioncast.app.uploads import take_instrument
from opinioncast.app.worker import work
from opinioncast.jobs.serve_page import serve_page

from .test_runs import YAML, fault, made

testing = pytest.importorskip("streamlit.testing.v1")


@pytest.fixture(autouse=True)
def main_module() -> Iterator[None]:
    """What runs a script without a browser takes the place of ``__main__``, which processes that
    are spawned later begin with."""
    kept = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = kept


def opened(root: Path, token: str | None = None) -> Any:
    def draw(root: str) -> None:
        from pathlib import Path

        from opinioncast.app.page import show

        show(Path(root))

    app = testing.AppTest.from_function(draw, args=(str(root),), default_timeout=60)
    if token:
        app.query_params["project"] = token
    return app.run()


def said(app: Any) -> str:
    return "\n".join(
        str(e.value)
        for kind in ("markdown", "warning", "info", "error", "code", "caption")
        for e in getattr(app, kind)
    )


@pytest.mark.slow
def test_from_the_beginning_to_results(tmp_path: Path) -> None:
    app = opened(tmp_path)
    assert "model output" in said(app)
    next(b for b in app.button if b.label == "Begin a project").click().run()
    token = app.query_params["project"]
    token = token[0] if isinstance(token, list) else token
    project = Project.open(tmp_path, token)
    take_instrument(project, "a.yaml", YAML).with_choices(method="uniform", groups=("total",))
    assert work(made(project).folder).state == "done"
    app = opened(tmp_path, token)
    assert not app.exception
    assert "Run 1" in said(app)
    assert "Model output, not survey data" in said(app)
    assert [s.label for s in app.selectbox] == ["Run", "Question"]


@pytest.mark.slow
def test_an_unknown_address_says_so(tmp_path: Path) -> None:
    app = opened(tmp_path, "a" * 32)
    assert "There is no such project" in said(app)
    assert any(b.label == "Begin a project" for b in app.button)


@pytest.mark.slow
def test_a_paste_that_is_no_questionnaire_is_refused_in_words(tmp_path: Path) -> None:
    project = Project.new(tmp_path)
    app = opened(tmp_path, project.token)
    next(t for t in app.text_area if "paste" in t.label).set_value("hello").run()
    next(b for b in app.button if b.label == "Read this text").click().run()
    assert "expected" in said(app)
    assert str(tmp_path) not in said(app)  # where it lies is nobody's business


@pytest.mark.slow
def test_a_parts_fault_leaves_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(page._PART, "4 · Results", fault)
    project = take_instrument(Project.new(tmp_path), "a.yaml", YAML)
    app = opened(tmp_path, project.token)
    assert "A fault of the program itself: KeyError" in said(app)
    assert any(b.label == "Predict" for b in app.button)


def test_a_download_has_no_pilot_in_it(tmp_path: Path) -> None:
    import io
    import zipfile

    (tmp_path / "predictions.csv").write_text("x")
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence" / "pilot").write_text("answers of people")
    names = zipfile.ZipFile(io.BytesIO(results_part._zipped(tmp_path))).namelist()
    assert names == ["predictions.csv"]


def test_the_server_is_of_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[list[str]] = []

    def call(arguments: list[str]) -> int:
        called.append(arguments)
        return 0

    monkeypatch.setattr("opinioncast.jobs.serve_page._streamlit", call)
    serve_page(tmp_path / "projects", port=8600, browser=False)
    (command,) = called
    assert "--server.address=127.0.0.1" in command
    assert "--browser.gatherUsageStats=false" in command
    assert "--server.maxUploadSize=20" in command
    assert (tmp_path / "projects").is_dir()


def answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.slow
def test_a_server_ends_with_its_command(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "opinioncast", "app", "--folder", str(tmp_path / "projects")]
    command += ["--port", str(port), "--no-browser"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not answers(port):
            assert server.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert second.returncode == 2
        assert "give another with --port" in second.stderr
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == 0
        assert not answers(port)
    finally:
        server.kill()
        server.wait(20)
