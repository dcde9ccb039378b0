"""The second part of the page: which groups, by which method, for whom, and what is known."""

from __future__ import annotations

import streamlit as st

from opinioncast.app.projects import Project
from opinioncast.app.uploads import ENDINGS, checked_groups, drop, take
from opinioncast.app.words import say_error
from opinioncast.errors import OpinioncastError
from opinioncast.jobs.serve_page import MAX_UPLOAD_MB
from opinioncast.methods.declaration import method_kinds
from opinioncast.questionnaires.file_format import format_of
from opinioncast.questionnaires.limits import read_bytes
from opinioncast.survey import Population
from opinioncast.survey.groups import builtin_schemes

_TOTAL = "total"
_PARTS = {
    "known": (
        "Published results (a topline, or groups)",
        "CSV or XLSX with the columns question_id, group (TOTAL, POLPARTY=Democrat), option, "
        "percent and n",
    ),
    "pilot": (
        "A pilot's answers (microdata)",
        "read by the recipe beside it, which `opinioncast init` writes",
    ),
    "recipe": ("The pilot's recipe", "YAML: what the pilot's codes, weights and groups are"),
}


def _people(project: Project) -> str:
    """Whom the questionnaire is put to where nobody says otherwise: as its file has it."""
    path = project.questionnaire
    try:
        said = (
            None if path is None else format_of(path).read(path, read_bytes(path)).head.population
        )
        return str(Population.read(said))
    except OpinioncastError:  # told where the questionnaire is read
        return str(Population())


def show(project: Project) -> None:
    """Choices and evidence; each is kept at once."""
    choices = project.choices
    left, right = st.columns(2)
    schemes = [*builtin_schemes(), _TOTAL]
    with left:
        st.header("Groups")
        chosen = st.multiselect(
            "Schemes",
            schemes,
            default=[g for g in choices.groups if g in schemes],
            help="paper22: the 22 groups of the paper; total: everyone",
        )
        own = st.text_area(
            "Groups of your own, one a line",
            "\n".join(g for g in choices.groups if g not in schemes),
            placeholder="SEX=Female & RACE=Black",
        )
        population = st.text_input(
            "Whom the questions are put to",
            choices.population,
            placeholder=_people(project),
        )
    with right:
        st.header("Method")
        kinds = [
            k for k in method_kinds() if not k.language_model or k.name in ("blend", choices.method)
        ]
        method = st.radio(
            "How the wording is read",
            [k.name for k in kinds],
            index=[k.name for k in kinds].index(choices.method),
            captions=[k.help for k in kinds],
        )
    named = [*chosen, *(line.strip() for line in own.splitlines() if line.strip())]
    wanted = {"groups": tuple(named), "method": method, "population": population.strip()}
    if wanted != {k: getattr(choices, k) for k in wanted}:
        try:
            checked_groups(named)
            project.with_choices(**wanted)
        except OpinioncastError as error:
            say_error(error, project)
        else:
            st.rerun()
    _evidence(project)


def _evidence(project: Project) -> None:
    st.header("What is known already")
    st.caption(
        "All of this may be left out. A topline makes a prediction worth some fifty respondents a "
        "group where wording alone is worth three or four (docs/evidence.md)."
    )
    for column, (part, (title, helped)) in zip(st.columns(3), _PARTS.items(), strict=True):
        with column:
            kept = getattr(project.choices, part)
            if kept:
                st.markdown(f"**{title}**")
                st.text(kept)
                if st.button("Take it out", key=f"drop-{part}"):
                    drop(project, part)
                    st.rerun()
                continue
            file = st.file_uploader(
                title,
                type=[e.removeprefix(".") for e in ENDINGS[part]],
                help=helped,
                max_upload_size=MAX_UPLOAD_MB,
                key=f"file-{part}",
            )
            st.caption(helped)
            if file is not None and st.button("Use it", key=f"use-{part}"):
                try:
                    take(project, part, file.name, file.getvalue())
                except OpinioncastError as error:
                    say_error(error, project)
                else:
                    st.rerun()
    if bool(project.choices.pilot) != bool(project.choices.recipe):
        st.warning("A pilot needs its recipe, and a recipe its pilot: neither is used alone.")
