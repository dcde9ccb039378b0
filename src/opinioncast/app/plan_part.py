"""The fifth part of the page: a sample for the field work, planned from the predictions."""

from __future__ import annotations

import polars as pl
import streamlit as st

from opinioncast.app.projects import Project
from opinioncast.app.results_part import finished
from opinioncast.app.words import say_error
from opinioncast.errors import OpinioncastError
from opinioncast.evidence.frame import read_frame
from opinioncast.evidence.plan_design import read_design
from opinioncast.jobs.plan import plan_sample
from opinioncast.survey import Population, PredictionTable
from opinioncast.survey.groups import TOTAL_ATTRIBUTE

_SHOWN = {
    "attribute": "attribute",
    "group": "group",
    "interviews": "interviews",
    "base": "effective base",
    "moe": "± points expected",
    "target": "target ±",
    "short": "falls short",
    "interviews_needed": "interviews needed",
    "moe_needed": "± then",
}


def show(project: Project) -> None:
    """Sample size, design effect and a target for every group; what each group's error will be."""
    done = finished(project)
    if not done:
        st.info("No run has finished yet: the plan is made from its predictions.")
        return
    first, second, third = st.columns(3)
    sample = first.number_input("Interviews in all", 50, 100_000, 1000, 50)
    effect = second.number_input("Design effect of weighting", 1.0, 5.0, 1.3, 0.1)
    target = third.number_input("Largest error wanted in a group (± points; 0: none)", 0, 30, 8)
    try:
        table = PredictionTable.read(done[0].out / "predictions.parquet")
        wanted: dict[str, object] = {"sample": int(sample), "design_effect": float(effect)}
        if target:
            wanted["targets"] = {"default": float(target)}
        people = Population.read(table.meta.get("population"))
        if not people.is_default:
            st.info(
                f"The questions are put to {people}. A plan needs to know how large their groups "
                "are, and the page knows those of adults in the United States: `opinioncast plan "
                "--frame FILE` takes a table of them."
            )
            return
        plan = plan_sample(table, read_design(None, wanted), read_frame(None).share)
    except OpinioncastError as error:
        say_error(error, project)
        return
    shown = plan.groups.select(pl.col(k).alias(v) for k, v in _SHOWN.items() if k in plan.groups)
    numbers = [c for c, kind in shown.schema.items() if kind.is_float()]
    whole = ("interviews", "effective base", "interviews needed")
    shown = shown.with_columns(
        pl.col(c).round(0).cast(pl.Int64) if c in whole else pl.col(c).round(1) for c in numbers
    )
    st.caption(f"Planned from run {done[0].number}, for US adults; {TOTAL_ATTRIBUTE}: everyone.")
    st.dataframe(shown.to_pandas(), hide_index=True, width="stretch", height=500)
    for note in plan.notes:
        st.caption(f"assumed: {note}")
