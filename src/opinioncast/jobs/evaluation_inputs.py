"""What an evaluation is given: tables and files of many kinds, their names, cards and terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.csv_files import read_csv, write_csv
from opinioncast.errors import DataError
from opinioncast.evaluate.bands import Encode
from opinioncast.evaluate.bounds import OVERALL, Bounds
from opinioncast.evaluate.clusters import question_counts
from opinioncast.jobs.manifest import write_manifest
from opinioncast.output_folder import output_file
from opinioncast.parquet_files import read_parquet
from opinioncast.readers.opinion_files import read_opinion_table
from opinioncast.readers.subpop import REFUSED, read_rows, with_keys
from opinioncast.survey import OpinionTable, PredictionTable, Subpopulation
from opinioncast.survey.tables import KEY

Predictions = PredictionTable | pl.DataFrame

GROUP = ("attribute", "group")
_ROUNDED = 1e-4
"""How far files of one run may differ: their numbers are rounded when they are written."""
_BOUNDS = (*GROUP, "human", "human_low", "human_high")


@dataclass(frozen=True)
class Inputs:
    """What is evaluated.

    Attributes:
        predictions: of the model.
        opinions: what people answered.
        baseline: predictions of another method, for example zero-shot.
        bounds: what ``opinioncast bounds`` found, or its table alone; of it, the bound of the
            groups and questions that are scored is used.
        seen: groups of the training data, marked in the heatmaps.
        training: training questions, for scores by similarity to them, and of those that are asked
            there too; needs ``encode``.
        encode: texts to unit vectors.
        private: copy observed shares into the files even where terms do not allow passing them on.
    """

    predictions: Predictions
    opinions: OpinionTable
    baseline: Predictions | None = None
    bounds: Bounds | pl.DataFrame | None = None
    seen: tuple[Subpopulation, ...] | None = None
    training: OpinionTable | None = None
    encode: Encode | None = None
    private: bool = False


def read_opinions(path: Path) -> OpinionTable:
    """An opinion table in any layout (:mod:`opinioncast.readers.opinion_files`)."""
    return read_opinion_table(path)


def read_predictions(path: Path) -> Predictions:
    """Predictions from parquet (checked where its sidecar is there) or in SubPOP's layout.

    Frames from elsewhere are not checked here: what is wrong with their rows is counted when they
    are scored. Rows of SubPOP's layout without a key get the one that opinions get.

    Raises:
        DataError: unreadable.
    """
    if path.suffix == ".parquet":
        if path.with_name(path.name + ".json").is_file() or not path.is_file():
            return PredictionTable.read(path)
        try:
            return read_parquet(path)
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                "Predictions cannot be read",
                where=str(path),
                expected="a parquet file with one row per question and group",
                found=error,
            ) from error
    rows, _ = with_keys(read_rows(path))
    rows = rows.rename({"qkey": "question_id", "responses": "distribution"}, strict=True)
    wave = pl.col("question_id").str.extract(r"_W(\d+)$").fill_null("")
    if "wave" in rows.columns:
        wave = pl.coalesce(pl.col("wave"), wave)
    return rows.with_columns(
        family=pl.lit("ATP"),  # as readers.subpop has it
        wave=wave,
        options=pl.col("options").list.filter(pl.element().ne_missing(REFUSED)),
    )


def write_bounds(bounds: Bounds, path: Path) -> list[Path]:
    """Write the table by group, and that of each cell beside it (``bounds_cells.csv``); beside
    them ``bounds.csv.manifest.json``, by which the next run knows that they are its own.

    Raises:
        InputError: a folder has the name of a file. StorageError: a file cannot be written.
    """
    path = path.expanduser()
    with output_file(path, "bounds"):
        files = [write_csv(bounds.groups, path, for_excel=False)]
        if bounds.cells is not None:
            files.append(write_csv(bounds.cells, cells_beside(path), for_excel=False))
        files.append(write_manifest(path.parent, {"groups": bounds.groups.height}, files))
    return files


def cells_beside(path: Path) -> Path:
    """Where the bounds of each cell are, beside those by group."""
    return path.with_name(f"{path.stem}_cells.csv")


def read_bounds(path: Path) -> Bounds:
    """The CSV of ``opinioncast bounds``, and the one of each cell where it is beside it.

    Raises:
        DataError: unreadable, without the columns of the human bound, text where a number belongs,
            or cells of another table.
    """
    groups = _group_bounds(path)
    beside = cells_beside(path)
    if not beside.is_file():
        return Bounds(groups)
    texts = dict.fromkeys(KEY, pl.String)
    try:
        cells = read_csv(beside, schema_overrides={**texts, "human": pl.Float64})
        cells = cells.select(*KEY, "human").with_columns(pl.col(*KEY).fill_null(""))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            "The bounds of the cells cannot be read",
            where=str(beside),
            expected=f"columns {', '.join(KEY)} and human",
            found=error,
            hint="write both files with `opinioncast bounds`",
        ) from error
    if "n_questions" in groups.columns:
        counts = groups.filter(pl.col("attribute") != OVERALL[0], pl.col("human").is_not_null())
        counts = counts.join(cells.group_by(GROUP).len(), on=list(GROUP), how="left")
        other = counts.filter(pl.col("len").fill_null(0) != pl.col("n_questions"))
        if other.height:
            row = other.row(0, named=True)
            raise DataError(
                "The bounds of the cells are not those of the groups",
                where=f"{beside}, {row['attribute']} = {row['group']}",
                expected=f"{row['n_questions']} questions, as in {path.name}",
                found=row["len"] or 0,
                hint="write both files with one run of `opinioncast bounds`",
            )
    _check_mean(groups, cells, beside)
    return Bounds(groups, cells)


def _check_mean(groups: pl.DataFrame, cells: pl.DataFrame, beside: Path) -> None:
    """Raise DataError where cells are of another run than their groups: where every replicate held
    somebody of every cell, a group's bound is the mean of its cells'."""
    if "empty_draws" not in groups.columns:
        return
    means = cells.group_by(GROUP).agg(mean=pl.col("human").mean())
    whole = groups.filter(pl.col("empty_draws") == 0, pl.col("attribute") != OVERALL[0])
    found = whole.join(means, on=list(GROUP), how="inner")
    other = found.filter((pl.col("human") - pl.col("mean")).abs() > _ROUNDED)
    if other.height:
        row = other.row(0, named=True)
        raise DataError(
            "The bounds of the cells are of another run than those of the groups",
            where=f"{beside}, {row['attribute']} = {row['group']}",
            expected=f"cells with a mean of {row['human']:.6g}",
            found=f"{row['mean']:.6g}",
            hint="write both files with one run of `opinioncast bounds`",
        )


def _group_bounds(path: Path) -> pl.DataFrame:
    try:
        frame = read_csv(path, infer_schema_length=None)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            "Bounds cannot be read", where=str(path), expected="a CSV file", found=error
        ) from error
    missing = [c for c in _BOUNDS if c not in frame.columns]
    if missing or frame.height == 0 or frame.select(GROUP).row(-1) != OVERALL:
        raise DataError(
            "The bounds lack the human bound",
            where=str(path),
            expected=f"columns {', '.join(_BOUNDS)} and a last row for {OVERALL[1]}",
            found=f"columns {', '.join(frame.columns)}",
            hint="write them with `opinioncast bounds`",
        )
    for column in _BOUNDS[len(GROUP) :]:
        number = frame[column].cast(pl.Float64, strict=False)
        good = number.is_between(0, 1)  # of nothing and of NaN it is neither true nor a bound
        wrong = (frame[column].is_not_null() & ~good.fill_null(False)).arg_true().to_list()
        if wrong:
            raise DataError(
                "A bound is not a number that a distance can have",
                where=f"{path}, row {wrong[0] + 1}, column {column}",
                expected="a number between 0 and 1, or nothing where there is no bound",
                found=frame[column][wrong[0]],
                hint="leave the field empty, or write the file with `opinioncast bounds`",
            )
        frame = frame.with_columns(number)
    twice = frame.filter(frame.select(GROUP).is_duplicated())
    if twice.height:
        raise DataError(
            "A group has two bounds",
            where=str(path),
            expected="a row for each group",
            found=" = ".join(twice.select(GROUP).row(0)),
        )
    return frame


def why_withheld(meta: Mapping[str, Any]) -> str | None:
    terms = meta.get("redistribution")
    if terms == "group-level":
        return None
    if terms == "none":
        return (
            "The terms of the survey do not allow its results to be passed on, so observed shares "
            "are in none of the files (--private puts them in, for your own use)."
        )
    return (
        "The opinion table does not say that its results may be passed on, so observed shares are "
        "in none of the files (--private puts them in, for your own use)."
    )


def identity(predictions: Predictions) -> str:
    if isinstance(predictions, PredictionTable):
        return predictions.content_hash
    return f"{predictions.height} rows without a sidecar"


def name_of(predictions: Predictions | None, default: str) -> str:
    """What the figures call a method: its model, and its method where several models share one."""
    frame = predictions.frame if isinstance(predictions, PredictionTable) else predictions
    if frame is None or "model" not in frame.columns:
        return default
    names = frame["model"].drop_nulls().unique(maintain_order=True).to_list()
    return ", ".join(map(str, names)) or default


def model_card(predictions: Predictions) -> dict[str, Any]:
    if not isinstance(predictions, PredictionTable):
        return {"Model": name_of(predictions, "unknown"), "Provenance": "no sidecar: unknown"}
    meta = predictions.meta
    backend = meta.get("backend")
    weights = backend.get("weights") if isinstance(backend, Mapping) else None
    mass = predictions.frame["label_mass"].mean()
    card = {
        "Model": name_of(predictions, "unknown"),
        "Method": meta.get("method"),
        "Weights (SHA-256)": weights,
        "Option orders averaged": meta.get("option_orders"),
        "Mean probability on the options": f"{mass:.2f}" if isinstance(mass, float) else None,
        "Predictions (content hash)": predictions.content_hash,
    }
    return {k: v for k, v in card.items() if v is not None}


def data_card(opinions: OpinionTable) -> dict[str, Any]:
    meta = opinions.meta
    questions, with_waves = question_counts(opinions.frame)
    card = {
        "Survey": meta.get("citation") or ", ".join(waves(opinions)),
        "File": meta.get("file"),
        "Wording": meta.get("wording"),
        "Terms": meta.get("terms"),
        "Redistribution": meta.get("redistribution", "not said"),
        "Questions": questions
        if questions == with_waves
        else f"{questions} ({with_waves} with waves)",
        "Groups": opinions.frame.select(GROUP).n_unique(),
        "Cells held back": _held_back(meta),
        "Table (content hash)": opinions.content_hash,
    }
    return {k: v for k, v in card.items() if v is not None}


def _held_back(meta: Mapping[str, Any]) -> str | None:
    """How many cells are not in the table because they are of few people; None: not recorded."""
    recorded = [w for w in meta.get("waves", []) or [meta] if "held_back" in w]
    if not recorded:
        return None
    whole = sum(sum(w["held_back"].values()) for w in recorded)
    least = max(w["min_n"] for w in recorded)
    return f"{whole} (fewer than {least} respondents, or what would give such a group away)"


def waves(opinions: OpinionTable) -> list[str]:
    rows = opinions.frame.select("family", "wave").unique(maintain_order=True).iter_rows()
    return [" ".join(filter(None, row)) for row in rows]


def without_library(inputs: Inputs) -> tuple[Inputs, int]:
    """The opinions but for questions whose predictions start from the library's results of the very
    question (``predict`` without ``--no-library``), and how many those are.

    Raises:
        DataError: nothing else is left to score.
    """
    known: set[str] = set()
    for made in (inputs.predictions, inputs.baseline):
        if isinstance(made, PredictionTable):
            library = made.meta.get("library")
            known |= set(library.get("used", {})) if isinstance(library, Mapping) else set()
    asked = inputs.opinions.frame["question_id"].unique().to_list()
    dropped = known & set(asked)
    if not dropped:
        return inputs, 0
    rest = inputs.opinions.filter(~pl.col("question_id").is_in(sorted(dropped)))
    if not len(rest):
        raise DataError(
            "The library knew every question that is to be scored",
            expected="predictions that do not start from the answers to the very question",
            found=f"{len(dropped)} question(s): {', '.join(sorted(dropped))[:200]}",
            hint="predict with --no-library",
        )
    return replace(inputs, opinions=rest), len(dropped)
