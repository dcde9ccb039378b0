"""What an evaluation is given: tables and files of many kinds, their names, cards and terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from opinioncast.csv_files import read_csv
from opinioncast.errors import DataError
from opinioncast.evaluate.bands import Encode
from opinioncast.evaluate.bounds import OVERALL
from opinioncast.evaluate.clusters import question_counts
from opinioncast.readers.subpop import REFUSED, read_rows, read_subpop, with_keys
from opinioncast.survey import OpinionTable, PredictionTable, Subpopulation

Predictions = PredictionTable | pl.DataFrame

GROUP = ("attribute", "group")
_BOUNDS = (*GROUP, "human", "human_low", "human_high")


@dataclass(frozen=True)
class Inputs:
    """What is evaluated.

    Attributes:
        predictions: of the model.
        opinions: what people answered.
        baseline: predictions of another method, for example zero-shot.
        bounds: ``attribute, group, human, human_low, human_high`` (``opinioncast bounds``).
        seen: groups of the training data, marked in the heatmaps.
        training: training questions, for scores by similarity to them; needs ``encode``.
        encode: texts to unit vectors.
        private: copy observed shares into the files even where terms do not allow passing them on.
    """

    predictions: Predictions
    opinions: OpinionTable
    baseline: Predictions | None = None
    bounds: pl.DataFrame | None = None
    seen: tuple[Subpopulation, ...] | None = None
    training: OpinionTable | None = None
    encode: Encode | None = None
    private: bool = False


def read_opinions(path: Path) -> OpinionTable:
    """An opinion table from parquet, or from SubPOP's layout (JSON lines or CSV)."""
    return OpinionTable.read(path) if path.suffix == ".parquet" else read_subpop(path)


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
            return pl.read_parquet(path)
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


def read_bounds(path: Path) -> pl.DataFrame:
    """The CSV of ``opinioncast bounds``.

    Raises:
        DataError: unreadable, without the columns of the human bound, or text where a number
            belongs.
    """
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
        wrong = (frame[column].is_not_null() & number.is_null()).arg_true().to_list()
        if wrong:
            raise DataError(
                "A bound is not a number",
                where=f"{path}, row {wrong[0] + 1}, column {column}",
                expected="a number, or nothing where there is no bound",
                found=frame[column][wrong[0]],
                hint="leave the field empty, or write the file with `opinioncast bounds`",
            )
        frame = frame.with_columns(number)
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
        "Table (content hash)": opinions.content_hash,
    }
    return {k: v for k, v in card.items() if v is not None}


def waves(opinions: OpinionTable) -> list[str]:
    rows = opinions.frame.select("family", "wave").unique(maintain_order=True).iter_rows()
    return [" ".join(filter(None, row)) for row in rows]
