"""The third part of the page: start a run, watch it; it goes on when the browser is closed."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st

from opinioncast.app import runs
from opinioncast.app.projects import Project
from opinioncast.app.words import say_error
from opinioncast.errors import OpinioncastError

_WORDS = {
    runs.RUNNING: "running",
    runs.DONE: "finished",
    runs.FAILED: "failed",
    runs.CANCELLED: "cancelled; finished rows are kept, a new run goes on from there",
    runs.DIED: "ended without a word; a new run goes on from what was finished",
}


def show(project: Project) -> None:
    """A button, and the runs with how far they are."""
    if project.questionnaire is None:
        st.info("First give a questionnaire.")
        return
    if st.button("Predict", type="primary"):
        try:
            runs.start(project)
        except OpinioncastError as error:
            say_error(error, project)
    st.caption("You may close the page: the run goes on, and this address shows it again.")
    going = any(run.status.state == runs.RUNNING for run in runs.runs(project))
    st.fragment(_list, run_every=1.0 if going else None)(project, going)


def _list(project: Project, going: bool) -> None:
    found = runs.runs(project)
    states = []
    for run in found:
        status = run.status
        states.append(status.state)
        begun = datetime.fromtimestamp(status.begun).strftime("%d %b, %H:%M:%S")
        with st.container(border=True):
            st.markdown(f"**Run {run.number}** · {begun} · {_WORDS[status.state]}")
            if status.state == runs.RUNNING:
                share = status.done / status.total if status.total else 0.0
                took = f"{time.time() - status.begun:.0f} s"
                told = (
                    f"{status.done} of {status.total} rows, {took}"
                    if status.total
                    else f"loading what it needs, {took}"
                )
                st.progress(min(share, 1.0), told)
                if st.button("Cancel", key=f"cancel-{run.number}"):
                    run.cancel()
            elif status.message:
                st.code(status.message, language=None, wrap_lines=True)
    if going and runs.RUNNING not in states:
        st.rerun()  # of the whole page: the results are there now
