"""What a recipe ends in: a table with the paper's figures beside ours, a figure, their record."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.errors import InputError
from opinioncast.files import atomic_path
from opinioncast.jobs.manifest import write_manifest
from opinioncast.json_text import json_text
from opinioncast.output_folder import holds_folder
from opinioncast.report.figure_files import write_figure
from opinioncast.report.interactive import write_interactive
from opinioncast.report.tables import write_table
from opinioncast.reproduce.recipe import PaperFigures, ReproductionRecipe, Value
from opinioncast.survey.tables import ORIGIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULT = "result.json"
PAPER = "paper: "
"""Before a column of the paper's figures."""


@dataclass(frozen=True)
class Result:
    """A recipe's outcome, before it is written.

    Attributes:
        table: all columns; the paper's begin with :data:`PAPER`.
        shown: columns of the narrow tables (Markdown, LaTeX, the document).
        base: what it stands on, in words (cells, questions).
        draw: draws the figure for print.
        interactive: the same for a browser.
        measures: figures to set beside the paper's statements.
        more: further tables, by name: written as CSV.
        model: it shows model output (a map of questions does not).
        withheld: what was left out because of the survey's terms.
    """

    recipe: ReproductionRecipe
    table: pl.DataFrame
    shown: Sequence[str]
    base: str
    draw: Callable[[], Figure]
    interactive: Callable[[], Any]
    measures: Mapping[str, Value] = field(default_factory=dict)
    more: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    model: bool = True
    withheld: str = ""


def beside_paper(
    frame: pl.DataFrame, paper: PaperFigures, *, label: str | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """``frame`` with the paper's figures, and the names of those to show.

    Args:
        label: column with the model's name: where the paper has a column for every model that is
            there ("Mistral-7B", or "Mistral-7B base" and others), each row gets its own model's
            figures.
    """
    if not paper.rows:
        return frame, []
    rows = pl.DataFrame(
        [dict(zip(paper.columns, row, strict=True)) for row in paper.rows],
        infer_schema_length=None,
    )
    key = list(paper.key)
    rows = rows.with_columns(pl.col(k).cast(frame.schema[k]) for k in key)
    values = [c for c in paper.columns if c not in key]
    models = [] if label is None else frame[label].drop_nulls().unique().to_list()
    if label is not None and models and set(models) <= set(values):
        long = rows.unpivot(index=key, on=values, variable_name=label, value_name=PAPER + "WD")
        joined = frame.join(long, on=[*key, label], how="left", maintain_order="left")
        return joined, [PAPER + "WD"]
    own = {m: {v.removeprefix(f"{m} "): v for v in values if v.startswith(f"{m} ")} for m in models}
    if label is not None and own and all(own.values()):
        return _of_own_model(frame, rows, key, label, own)
    named = rows.rename({v: PAPER + v for v in values})
    joined = frame.join(named, on=key, how="left", maintain_order="left")
    shown = values if paper.shown is None else [v for v in paper.shown if v in values]
    return joined, [PAPER + v for v in shown]


def _of_own_model(
    frame: pl.DataFrame,
    rows: pl.DataFrame,
    key: Sequence[str],
    label: str,
    own: Mapping[str, Mapping[str, str]],
) -> tuple[pl.DataFrame, list[str]]:
    """Figures of no model, then those of each row's: by model, what they are called -> column."""
    kinds = list(dict.fromkeys(k for columns in own.values() for k in columns))
    ends = tuple(f" {k}" for k in kinds)
    common = [c for c in rows.columns if c not in key and not c.endswith(ends)]
    parts = [
        rows.select(
            *key,
            pl.lit(model).alias(label),
            *(pl.col(c).alias(PAPER + c) for c in common),
            *((pl.col(named[k]) if k in named else pl.lit(None)).alias(PAPER + k) for k in kinds),
        )
        for model, named in own.items()
    ]
    long = pl.concat(parts, how="vertical_relaxed")
    joined = frame.join(long, on=[*key, label], how="left", maintain_order="left")
    return joined, [PAPER + c for c in (*common, *kinds)]


def measure(measures: Mapping[str, Value], name: str, recipe: str) -> Value:
    """The measure that stands beside a statement of the paper.

    Raises:
        InputError: there is none of this name.
    """
    if name not in measures:
        raise InputError(
            "A statement names a measure that is not made",
            where=recipe,
            expected=f"among {', '.join(measures) or 'none'}",
            found=name,
        )
    return measures[name]


@holds_folder("reproduce", argument="folder")
def write_result(result: Result, folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``NAME`` as .csv, .md, .tex, .svg, .png and .html, ``result.json``, ``manifest.json``.

    Args:
        record: of the run: setting, limits, options of the command, steps.

    Returns:
        What ``result.json`` holds, for the document.
    """
    recipe = result.recipe
    stem = folder / recipe.name
    label = f"{ORIGIN.capitalize()}. " if result.model else ""
    caption = f"{recipe.title} ({recipe.paper.where}). {label}{result.base}."
    limits = record.get("limits") or ""
    if limits:
        caption += f" {limits}."
    files = write_table(result.table, stem, caption=caption, shown=result.shown)
    for name, frame in result.more.items():
        path = folder / f"{recipe.name}_{name}.csv"
        files.append(write_csv(frame, path))
    figure = result.draw()
    files += [write_figure(figure, Path(f"{stem}{s}"), dpi=120) for s in (".svg", ".png")]
    files.append(
        write_interactive(
            result.interactive(),
            Path(f"{stem}.html"),
            title=recipe.title,
            note=f"{result.base}. {limits}".strip(),
            model=result.model,
        )
    )
    shown = result.table.select(result.shown)
    content = {
        "name": recipe.name,
        "title": recipe.title,
        "paper": recipe.paper.where,
        "origin": ORIGIN if result.model else "survey questions",
        "setting": record.get("setting"),
        "limits": limits,
        "options": list(record.get("options") or ()),
        "base": result.base,
        "columns": shown.columns,
        "rows": [list(row) for row in shown.iter_rows()],
        "statements": [
            {
                "what": s.what,
                "paper": s.value,
                "where": s.where,
                "ours": measure(result.measures, s.measure, recipe.name),
            }
            for s in recipe.paper.statements
        ],
        "measures": dict(result.measures),
        "withheld": result.withheld,
        "notes": list(recipe.notes),
        "picture": recipe.picture,
    }
    path = folder / RESULT
    with atomic_path(path) as temporary:
        temporary.write_text(json_text(content), "utf-8")
    files.append(path)
    write_manifest(folder, dict(record) | {"recipe": recipe.model_dump(mode="json")}, files)
    return content
