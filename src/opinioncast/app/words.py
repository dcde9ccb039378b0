"""Words of the page that several of its parts say."""

from __future__ import annotations

import streamlit as st

from opinioncast.app.projects import Project
from opinioncast.errors import OpinioncastError

ABOUT = """
Give a draft questionnaire (Word, Qualtrics, Excel, plain text and more) and the groups you care
about; get, for every question and group, the answers a model expects, **with an interval that says
how far off it may be**. Give what you already know, a published topline or a pilot, and predictions
start from it.

What comes out is **model output**: no survey, no poll, nobody was asked. It serves to try a
questionnaire out, to see which groups to over-sample and to test an analysis before the field work.
It does not replace the field work.

A project is found again by its address: keep the address of the page as a bookmark. All of it stays
on this machine.
"""


def say_error(error: OpinioncastError, project: Project | None = None) -> None:
    """What went wrong, in the program's words: where, expected, found, what to do.

    Args:
        project: where it lies on this machine is not said.
    """
    said = str(error) if project is None else str(error).replace(f"{project.folder}/", "")
    st.error("Something is not as it should be")
    st.code(said, language=None, wrap_lines=True)
