"""Runs have processes of their own; a page that is opened again finds them."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from opinioncast.app import runs
from opinioncast.app.projects import Project
from opinioncast.app.runs import CANCELLED, DIED, DONE, FAILED, RUNNING, Run, Status
from opinioncast.app.uploads import take, take_instrument
from opinioncast.app.worker import work
from opinioncast.errors import InputError
from opinioncast.survey import PredictionTable

YAML = b"questions:\n  - {id: rent, question: Are rents too high?, options: [Yes, No]}\n"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = take_instrument(Project.new(tmp_path), "a.yaml", YAML)
    return made.with_choices(method="uniform", groups=("SEX=Female", "total"))


def fault(*given: object, **named: object) -> None:
    raise KeyError("nothing")


def made(project: Project) -> Run:
    """A run as the page would start it, its work left to the test."""
    run = Run(project.folder / "run-1")
    run.folder.mkdir()
    (run.folder / "questionnaire.yaml").write_bytes(YAML)
    request = {"groups": ["SEX=Female", "total"], "method": "uniform", "population": ""}
    request |= {"questionnaire": "questionnaire.yaml", "known": "", "pilot": "", "recipe": ""}
    (run.folder / "request.json").write_text(json.dumps(request))
    Status(begun=time.time()).write(run.folder)
    return run


@pytest.mark.slow
def test_a_run_goes_on_by_itself(project: Project) -> None:
    csv = b"question_id,group,option,percent,n\nrent,TOTAL,Yes,80,1000\nrent,TOTAL,No,20,1000\n"
    run = runs.start(take(project, "known", "topline.csv", csv))
    until = time.monotonic() + 120
    while run.status.state == RUNNING and time.monotonic() < until:
        time.sleep(0.2)
    assert run.status.state == DONE, run.status.message
    runs._STARTED.clear()  # another server, which did not begin it
    (again,) = runs.runs(Project.open(project.folder.parent, project.token))
    assert again.status.state == DONE
    table = PredictionTable.read(again.out / "predictions.parquet")
    total = table.frame.filter(attribute="TOTAL")["distribution"].to_list()[0]
    assert total[0] == pytest.approx(0.8, abs=0.02)  # the topline was read


@pytest.mark.slow
def test_a_killed_process_is_told(project: Project) -> None:
    run = runs.start(project)
    os.kill(runs._STARTED[run.folder].pid, signal.SIGKILL)
    runs._STARTED[run.folder].wait()
    assert run.status.state == DIED
    assert "without a word" in run.status.message


def test_what_is_edited_later_changes_no_run(project: Project) -> None:
    run = made(project)
    assert project.questionnaire is not None
    project.questionnaire.write_text("broken")
    assert work(run.folder).state == DONE
    assert run.status.done == run.status.total


def test_an_error_is_the_last_word(project: Project) -> None:
    run = made(project)
    (run.folder / "questionnaire.yaml").write_text("questions: []")
    assert work(run.folder).state == FAILED
    assert "expected" in run.status.message


def test_a_fault_is_the_last_word(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(project)
    monkeypatch.setattr("opinioncast.app.worker.predict_questionnaire", fault)
    assert work(run.folder).state == FAILED
    assert "a fault of the program itself (KeyError" in run.status.message


def test_cancelled_between_batches(project: Project) -> None:
    run = made(project)
    run.cancel()
    assert work(run.folder).state == CANCELLED


def test_another_process_with_the_number_is_not_the_run(project: Project) -> None:
    run = made(project)
    Status(begun=time.time(), pid=os.getpid()).write(run.folder)  # this test's own
    assert run.status.state == DIED


def test_not_more_than_may_go_on(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Run, "_alive", lambda self, status: True)
    for number in (1, 2):
        folder = project.folder / f"run-{number}"
        folder.mkdir()
        (folder / "request.json").write_text("{}")
        Status(begun=time.time()).write(folder)
    with pytest.raises(InputError, match="still going on"):
        runs.start(project)


def test_without_a_questionnaire_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no questionnaire"):
        runs.start(Project.new(tmp_path))
