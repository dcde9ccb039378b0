"""What a run's process does: predict as the command line would, and say how far it is."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

from opinioncast.app.runs import CANCEL, CANCELLED, DONE, FAILED, RUNNING, Run, Status
from opinioncast.errors import CancelledError, OpinioncastError
from opinioncast.jobs.predict import predict_questionnaire
from opinioncast.jobs.update import PilotFile, Sources
from opinioncast.predictor import PredictSettings
from opinioncast.questionnaires import read_questionnaire
from opinioncast.survey import load_groups

_EVERY = 0.5
"""Seconds between two words about how far it is."""


def work(folder: Path) -> Status:
    """Run what is asked for in ``folder``; whatever happens, the last word says so."""
    run = Run(folder)
    status = replace(run.status, state=RUNNING, pid=os.getpid()).write(folder)
    try:
        problems = _predict(run, status)
    except CancelledError as error:
        return replace(run.status, state=CANCELLED, message=str(error)).write(folder)
    except OpinioncastError as error:
        return replace(run.status, state=FAILED, message=str(error)).write(folder)
    except Exception as error:
        traceback.print_exc()
        told = f"a fault of the program itself ({type(error).__name__}: {error})"
        return replace(run.status, state=FAILED, message=told).write(folder)
    last = run.status
    return replace(last, state=DONE, done=last.total, message=problems).write(folder)


def _predict(run: Run, status: Status) -> str:
    """Predict and write; returns what is wrong with some rows, "" where nothing is."""
    request = run.request
    groups = load_groups(*request["groups"])
    asked = read_questionnaire(run.folder / request["questionnaire"], groups)
    if request["population"]:
        asked = asked.put_to(request["population"])
    said = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal said
        if (run.folder / CANCEL).exists():
            raise CancelledError(
                "The run was cancelled",
                where=f"after {done} of {total} rows",
                hint="finished rows are kept: a new run goes on from here",
            )
        if time.monotonic() - said > _EVERY:
            said = time.monotonic()
            replace(status, done=done, total=total).write(run.folder)

    made = predict_questionnaire(
        asked,
        groups,
        PredictSettings(method=request["method"]),
        run.out,
        sources=_sources(run, request),
        progress=progress,
    )
    problems = made.prediction.problems
    return f"{len(problems)} rows are missing or not to be relied on" if problems else ""


def _sources(run: Run, request: dict[str, Any]) -> Sources:
    def file(part: str) -> Path | None:
        return run.folder / request[part] if request[part] else None

    known, pilot, recipe = file("known"), file("pilot"), file("recipe")
    return Sources(
        pilots=(PilotFile(str(recipe), pilot),) if pilot and recipe else (),
        known=(known,) if known else (),
        folders=(run.folder,),
    )


if __name__ == "__main__":
    sys.exit(work(Path(sys.argv[1])).state != DONE)
