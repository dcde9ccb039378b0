"""The page, from top to bottom: an instrument, whom to predict and what is known, a run, results.

Streamlit runs this file anew after everything a user does; what lasts is in the project's folder.
``opinioncast app`` starts it.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import streamlit as st

from opinioncast.app import evidence_part, instrument_part, plan_part, results_part, run_part
from opinioncast.app.projects import Project
from opinioncast.app.words import ABOUT, say_error
from opinioncast.errors import OpinioncastError
from opinioncast.report.report import MODEL_OUTPUT

_log = logging.getLogger("opinioncast.app")
_STYLE = """<style>
.block-container {padding-top: 2.5rem;}
[data-testid="stCaptionContainer"], [data-testid="stCaptionContainer"] * {
  color: #4b4b4b !important; opacity: 1 !important;
}
h2 {font-size: 1.5rem !important;}
</style>"""
"""Grey words dark enough to be read (a contrast of 4.5 or more)."""
_PART = {
    "1 · Instrument": instrument_part.show,
    "2 · Groups and what is known": evidence_part.show,
    "3 · Predict": run_part.show,
    "4 · Results": results_part.show,
    "5 · Plan a sample": plan_part.show,
}


def show(root: Path) -> None:
    """Draw the page of the project that the address names, or the beginning of a new one."""
    st.set_page_config(page_title="opinioncast", layout="wide")
    st.html(_STYLE)
    st.title("opinioncast")
    st.caption(f"How subpopulations may answer a survey question. {MODEL_OUTPUT}.")
    token = st.query_params.get("project")
    if token is None:
        _begin(root)
        return
    try:
        project = Project.open(root, token)
    except OpinioncastError as error:
        say_error(error)
        _begin(root)
        return
    for tab, part in zip(st.tabs(list(_PART)), _PART.values(), strict=True):
        with tab:
            try:
                part(project)
            except Exception as error:  # one part's fault leaves the others to work with
                _log.exception("a part of the page failed")
                st.error(
                    f"A fault of the program itself: {type(error).__name__}. Its log says more."
                )


def _begin(root: Path) -> None:
    st.markdown(ABOUT)
    if st.button("Begin a project", type="primary"):
        try:
            project = Project.new(root)
        except OpinioncastError as error:
            say_error(error)
            return
        st.query_params["project"] = project.token
        st.rerun()


if __name__ == "__main__":
    show(Path(sys.argv[1]))
