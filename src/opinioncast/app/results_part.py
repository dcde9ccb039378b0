"""The fourth part of the page: what came out, by question and by group, and all of it to take."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import polars as pl
import streamlit as st

from opinioncast.app import runs
from opinioncast.app.charts import interval_chart, stacked_chart
from opinioncast.app.projects import Project
from opinioncast.app.words import say_error
from opinioncast.banners.settings import BannerSettings
from opinioncast.errors import OpinioncastError
from opinioncast.jobs.banner import banner_to_files
from opinioncast.questionnaires import read_questionnaire
from opinioncast.report.answer_bars import long_rows
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.report.terminal import interval_words, worth_words
from opinioncast.survey import OpinionTable, PredictionTable, Question, load_groups

_TABLE = "predictions.parquet"
_SCROLLED = (
    "<style>[data-testid='stVegaLiteChart'] "
    "{overflow-x: auto; max-width: calc(100vw - 2rem)}</style>"
)
"""What of a chart a narrow window has no room for is scrolled to, not cut off."""


def finished(project: Project) -> list[runs.Run]:
    """Runs that have results, the latest first."""
    return [r for r in runs.runs(project) if r.status.state == runs.DONE]


def show(project: Project) -> None:
    """Choose a run; see it by question or by group; download it."""
    done = finished(project)
    if not done:
        st.info("No run has finished yet.")
        return
    number = st.selectbox("Run", [r.number for r in done], format_func=lambda n: f"Run {n}")
    run = next(r for r in done if r.number == number)
    try:
        table = PredictionTable.read(run.out / _TABLE)
        observed = _observed(run)
    except OpinioncastError as error:
        say_error(error, project)
        return
    st.warning(f"**{MODEL_OUTPUT}.** {worth_words(table.meta)}.")
    if run.status.message:
        st.warning(run.status.message)
    _downloads(project, run)
    view = st.radio("See it", ["by question", "by group"], horizontal=True)
    if view == "by question":
        _by_question(table, observed)
    else:
        _by_group(table)


def _observed(run: runs.Run) -> OpinionTable | None:
    request = run.request
    path = run.folder / request["questionnaire"]
    return read_questionnaire(path, load_groups(*request["groups"])).observed


def _rows(frame: pl.DataFrame, question: Question) -> pl.DataFrame:
    return frame.filter(
        pl.col("family") == question.family,
        pl.col("wave") == question.wave,
        pl.col("question_id") == question.question_id,
    )


def _by_question(table: PredictionTable, observed: OpinionTable | None) -> None:
    questions = table.questions()
    place = st.selectbox(
        "Question",
        range(len(questions)),
        format_func=lambda i: f"{questions[i].question_id}: {questions[i].text}",
    )
    question = questions[place]
    rows = _rows(table.frame, question)
    people = None if observed is None else _rows(observed.frame, question)
    long = long_rows(rows, people if people is not None and people.height else None)
    st.html(_SCROLLED)
    kind = st.radio("Chart", ["dots with intervals", "stacked bars"], horizontal=True)
    if kind == "stacked bars":
        st.altair_chart(stacked_chart(question, long), width="content")
        st.caption("Bars have no intervals: look at the dots before reading small differences.")
    else:
        st.altair_chart(interval_chart(question, long), width="content")
    if kind != "stacked bars":
        words = interval_words(rows, "line")
        st.caption(f"Dot: share in percent ({words}). Black tick: observed, where known.")
    with st.expander("The numbers"):
        shown = long.select(
            pl.col("label").alias("group"),
            "option",
            pl.col("share").round(1).alias("predicted %"),
            pl.col("low").round(1).alias("90% from"),
            pl.col("high").round(1).alias("to"),
            pl.col("people").round(1).alias("observed %"),
            pl.col("basis").alias("rests on"),
        )
        st.dataframe(shown.to_pandas(), hide_index=True, width="stretch")


def _by_group(table: PredictionTable) -> None:
    groups = table.subpopulations()
    place = st.selectbox("Group", range(len(groups)), format_func=lambda i: str(groups[i]))
    attribute, group = groups[place].key
    rows = table.frame.filter(pl.col("attribute") == attribute, pl.col("group") == group)
    shown = [
        {
            "question": row["question"],
            "option": option,
            "predicted %": round(100 * row["distribution"][i], 1),
            "90% from": None if row["low"] is None else round(100 * row["low"][i], 1),
            "to": None if row["high"] is None else round(100 * row["high"][i], 1),
            "rests on": row["basis"] or "",
        }
        for row in rows.iter_rows(named=True)
        for i, option in enumerate(row["options"])
    ]
    st.dataframe(pl.DataFrame(shown).to_pandas(), hide_index=True, width="stretch", height=600)


def _downloads(project: Project, run: runs.Run) -> None:
    name = f"model-output-run-{run.number}"
    workbook, csv, whole = st.columns(3)
    with workbook:
        if st.button("Make the banner workbook (Excel)"):
            try:
                with st.spinner("Writing the workbook"):
                    banner_to_files(run.out / _TABLE, BannerSettings(), run.folder / "banner")
            except OpinioncastError as error:
                say_error(error, project)
        for path in sorted((run.folder / "banner").glob("*.xlsx")):
            st.download_button("Download the workbook", path.read_bytes(), f"{name}.xlsx")
    with csv:
        path = run.out / "predictions.csv"
        st.download_button("Download the table (CSV)", path.read_bytes(), f"{name}.csv")
    with whole:
        st.download_button(
            "Download everything (zip)", _zipped(run.out), f"{name}.zip", "application/zip"
        )


def _zipped(folder: Path) -> bytes:
    """Tables, charts and the manifest; a pilot's answers stay here."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            archive.write(path, path.name)
    return content.getvalue()
