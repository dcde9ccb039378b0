"""The page, driven without a browser: from a paste to results; a part's fault leaves the others."""

from __future__ import annotations

import sys
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

    def call(command: list[str], env: object) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr("opinioncast.jobs.serve_page.subprocess.call", call)
    serve_page(tmp_path / "projects", port=8600, browser=False)
    (command,) = called
    assert "--server.address=127.0.0.1" in command
    assert "--browser.gatherUsageStats=false" in command
    assert "--server.maxUploadSize=20" in command
    assert (tmp_path / "projects").is_dir()
