"""``opinioncast plan``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.table import Table

from opinioncast.cli.screen import Screen
from opinioncast.csv_files import read_text_table
from opinioncast.errors import InputError
from opinioncast.evidence.plan_design import read_design
from opinioncast.evidence.planning import weighting_effect
from opinioncast.jobs.plan import Plan, plan_to_files
from opinioncast.jobs.update import population_frame
from opinioncast.parquet_files import read_parquet
from opinioncast.report.group_labels import attributes_once
from opinioncast.report.report import MODEL_OUTPUT
from opinioncast.survey import PredictionTable

_console = Screen()
_PAIRS = 12  # differences shown in the terminal; all are in the file


def plan(
    predictions: Annotated[Path, typer.Argument(help="Parquet of `opinioncast predict`.")],
    design: Annotated[
        Path | None, typer.Option(help="YAML: strata, sample, costs, targets, ...")
    ] = None,
    sample: Annotated[int | None, typer.Option(help="Interviews in all.", min=1)] = None,
    design_effect: Annotated[
        float | None, typer.Option("--design-effect", help="Of weighting and clustering (1.3).")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="FILE:COLUMN of a similar survey: its weights' design effect."),
    ] = None,
    strata: Annotated[
        str | None, typer.Option(help="Attribute whose groups are sampled apart, e.g. RACE.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(help="GROUP:POINTS, e.g. RACE=Black:5; default:8 for all others. Repeat."),
    ] = None,
    frame: Annotated[
        Path | None, typer.Option(help="Population frame, CSV or parquet (default: US adults).")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "opinioncast-out/plan"
    ),
) -> None:
    """Plan a sample: expected errors, the cheapest one that meets targets, differences it sees."""
    changes: dict[str, Any] = {
        "sample": sample,
        "design_effect": _effect(design_effect, weights),
        "strata": strata,
        "targets": _targets(target),
    }
    wanted = read_design(design, {k: v for k, v in changes.items() if v is not None})
    table = PredictionTable.read(predictions)
    population = population_frame(frame, table.meta.get("population"))
    run = plan_to_files(table, wanted, population.share, out)
    _console.heading(f"Planned from predictions. {MODEL_OUTPUT}", "\n")
    _console.print(_group_table(run.plan))
    for line in _summary_lines(run.plan):
        _console.say(line)
    _console.print(_difference_table(run.plan))
    for note in run.plan.notes:
        _console.say(f"assumed: {note}")
    _console.wrote(run.files)


def _effect(given: float | None, weights: str | None) -> float | None:
    if weights is None or given is not None:
        if weights is not None:
            raise InputError(
                "Two design effects",
                expected="--design-effect or --weights",
                found="both",
            )
        return given
    name, _, column = weights.rpartition(":")
    path = Path(name)
    try:
        table = (
            read_parquet(path)
            if path.suffix == ".parquet"
            else read_text_table(path, "A table of weights", InputError)
        )
        values = table[column].cast(pl.Float64).drop_nulls()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            "Weights cannot be read",
            where=weights,
            expected="FILE:COLUMN of a CSV or parquet file, numbers",
            found=error,
        ) from error
    return weighting_effect(values.to_numpy())


def _targets(given: list[str] | None) -> dict[str, float] | None:
    if not given:
        return None
    found = {}
    for text in given:
        group, _, points = text.rpartition(":")
        try:
            found[group.strip()] = float(points)
        except ValueError:
            raise InputError(
                "A target cannot be read", expected="GROUP:POINTS, e.g. RACE=Black:5", found=text
            ) from None
    return found


def _group_table(plan: Plan) -> Table:
    grid = Table(box=None, pad_edge=False)
    has = {c for c in plan.groups.columns if plan.groups[c].null_count() < plan.groups.height}
    columns = [
        ("interviews", "interviews", "{:,.0f}"),
        ("base", "effective", "{:,.0f}"),
        ("moe_half", "± at 50%", "{:.1f}"),
        ("moe", "± expected", "{:.1f}"),
        ("target", "target", "{:.1f}"),
        ("interviews_needed", "needed", "{:,.0f}"),
        ("moe_needed", "± then", "{:.1f}"),
    ]
    grid.add_column("")
    grid.add_column("group")
    for name, title, _ in columns:
        if name in has:
            grid.add_column(title, justify="right")
    attributes = attributes_once(plan.groups["attribute"])
    for attribute, row in zip(attributes, plan.groups.iter_rows(named=True), strict=True):
        cells = [
            "-" if row[name] is None else form.format(row[name])
            for name, _, form in columns
            if name in has
        ]
        grid.add_row(attribute, row["group"], *cells, style="bold" if row["short"] else None)
    return grid


def _summary_lines(plan: Plan) -> list[str]:
    lines = [""]
    for name, words in (("design", "As designed"), ("needed", "To meet all targets")):
        if name in plan.summary:
            s = plan.summary[name]
            lines.append(
                f"{words}: {s['interviews']:,.0f} interviews, cost {s['cost']:,.0f}; the total's "
                f"effective base {s['total_base']:,.0f}, {100 * s['total_base_lost']:.0f}% less "
                f"than if sampled by population ({s['total_base_by_population']:,.0f}); "
                f"±{s['total_moe']:.1f} points at 50%"
            )
    short = plan.summary["groups_short_of_target"]
    if plan.design.targets and "design" in plan.summary:
        lines.append(f"Short of their target: {', '.join(short) or 'none'}")
    if "targets_times" in plan.summary:
        lines.append(
            f"With a budget of {plan.summary['budget']:,.0f} all errors are "
            f"{plan.summary['targets_times']:.2f} times their targets"
        )
    return lines


def _difference_table(plan: Plan) -> Table:
    """Per pair of groups the question on which they are predicted to differ most."""
    end = "" if plan.differences["seen"].null_count() < plan.differences.height else "_needed"
    most = (
        plan.differences.with_columns(size=pl.col("difference").abs())
        .sort("size", descending=True)
        .unique(["group", "other"], keep="first", maintain_order=True)
    )
    grid = Table(
        box=None,
        pad_edge=False,
        title="\nLargest predicted differences, and what the sample would see",
        title_justify="left",
    )
    for column in ("groups", "question", "predicted", "at the widest", "detectable", "seen"):
        grid.add_column(column, justify="left" if column in ("groups", "question") else "right")
    for row in most.head(_PAIRS).iter_rows(named=True):
        wide = "-" if row["low"] is None else f"{row['low']:+.0f} to {row['high']:+.0f}"
        least, seen = row[f"detectable{end}"], row[f"seen{end}"]
        grid.add_row(
            f"{row['group']} - {row['other']}",
            row["question"],
            f"{row['difference']:+.0f}",
            wide,
            "none" if least is None else f"{least:.0f}",
            "-" if seen is None else "yes" if seen else "no",
        )
    return grid
