"""The first part of the page: an instrument in, its check list, and the grid to mend it."""

from __future__ import annotations

import streamlit as st

from opinioncast.app import editing
from opinioncast.app.projects import Project
from opinioncast.app.uploads import instrument_endings, take_instrument
from opinioncast.app.words import say_error
from opinioncast.errors import OpinioncastError
from opinioncast.jobs.serve_page import MAX_UPLOAD_MB

_EXAMPLE = """1. Do you favor or oppose limiting how much rents may rise in a year?
- Strongly favor
- Somewhat favor
- Somewhat oppose
- Strongly oppose

2. How much confidence do you have in your city's council?
- A great deal
- Only some
- Hardly any
"""


def show(project: Project) -> None:
    """Upload or paste, then look at what was understood and edit it."""
    left, right = st.columns(2)
    with left:
        file = st.file_uploader(
            "A questionnaire file",
            type=[e.removeprefix(".") for e in instrument_endings()],
            max_upload_size=MAX_UPLOAD_MB,
            key="instrument-file",
            help="Word, Qualtrics (.qsf or Word export), Triple-S, XLSForm, LimeSurvey, DDI, "
            "YAML, CSV, XLSX, text and more",
        )
        if st.button("Read this file", disabled=file is None) and file is not None:
            _take(project, file.name, file.getvalue())
    with right:
        text = st.text_area("or paste the questions", placeholder=_EXAMPLE, height=180)
        # never greyed out: text that was just pasted arrives with the click
        if st.button("Read this text"):
            _take(project, "pasted.txt", text.encode())
    if said := st.session_state.pop("instrument-said", None):
        st.success(said)
    if project.questionnaire is None:
        st.info("No questionnaire yet.")
        return
    if project.choices.instrument:
        st.text(f"Read from {project.choices.instrument}")
    if project.check_list:
        with st.expander("Check list: what was understood, what was left out and why"):
            st.markdown(project.check_list)
    _grid(project)


def _take(project: Project, name: str, content: bytes) -> None:
    try:
        take_instrument(project, name, content)
    except OpinioncastError as error:
        say_error(error, project)
        return
    st.session_state["instrument-said"] = "It was read: look at the check list below."
    st.session_state["grid"] = st.session_state.get("grid", 0) + 1
    st.rerun()


def _grid(project: Project) -> None:
    path = project.questionnaire
    assert path is not None
    st.header("Questions")
    st.caption("Mend what was misunderstood; options stand between bars. Then save.")
    try:
        rows = editing.grid(path)
    except OpinioncastError as error:
        say_error(error, project)
        return
    edited = st.data_editor(
        rows.to_pandas(),
        key=f"grid-{st.session_state.get('grid', 0)}",
        hide_index=True,
        num_rows="dynamic",
        width="stretch",
        column_config={
            "use": st.column_config.CheckboxColumn("use", width="small", default=True),
            "id": st.column_config.TextColumn("id", width="small"),
            "question": st.column_config.TextColumn("question", width="large"),
            "options": st.column_config.TextColumn("options, between |", width="large"),
            "routing": st.column_config.TextColumn("who is asked it", width="small"),
        },
    )
    if st.button("Save the questions"):
        try:
            notes = editing.save(path, edited.to_dict("records"))
        except OpinioncastError as error:
            say_error(error, project)
            return
        for note in notes:
            st.warning(note)
        st.success("Saved. Runs from now on ask these questions.")
    st.download_button(
        "Download the questionnaire (YAML)", path.read_bytes(), "questionnaire.yaml", "text/yaml"
    )
