"""What an inspection found: a table for the terminal, and one page with every variable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from opinioncast.curate.inspection import Column, Inspection, Kind
from opinioncast.curate.traits import Bounds, Trait
from opinioncast.files import atomic_path
from opinioncast.report.html import html_page
from opinioncast.texts import visible

MAX_ROWS = 40
"""Of the terminal; the page has all variables."""

_ORDER = (
    Kind.QUESTION,
    Kind.ATTRIBUTE,
    Kind.MANY,
    Kind.KNOWLEDGE,
    Kind.NUMBER,
    Kind.TEXT,
    Kind.DESIGN,
    Kind.ADMINISTRATIVE,
    Kind.ONE_ANSWER,
    Kind.EMPTY,
)


def inspection_tables(found: Inspection, *, every: bool = False) -> RenderableType:
    """The file in short: what is odd, the design, what looks like an attribute, the variables.

    Args:
        every: show all variables, not the first 40.
    """
    name, why = found.conventions
    parts: list[RenderableType] = [
        Text(
            f"{found.path.name}: {found.respondents} respondents, {len(found.columns)} variables "
            f"({_kinds(found)}). Conventions: {name}, for {why}."
        ),
        Text(),
        Text("Look at first", style="bold"),
    ]
    parts += [Text(visible(f"  - {line}"), overflow="fold") for line in found.odd]
    parts += [Text(), Text("Design", style="bold")]
    parts += [Text(visible(f"  {what}: {value}")) for what, value in _design(found)]
    parts += [Text(), Text("Looks like", style="bold"), _traits(found), Text()]
    columns = _in_order(found)
    rows = columns if every else columns[:MAX_ROWS]
    parts.append(_variables(rows))
    if len(rows) < len(columns):
        parts.append(Text(f"... and {len(columns) - len(rows)} more variables on the page"))
    return Group(*parts)


def _kinds(found: Inspection) -> str:
    counts = [(kind, len(found.of_kind(kind))) for kind in _ORDER]
    return ", ".join(f"{n} {kind.value}" for kind, n in counts if n)


def _design(found: Inspection) -> list[tuple[str, str]]:
    design = found.design
    weights = ", ".join(design.weights[:6]) if design.weights else "none found"
    rows = [("weight", weights)]
    rows += [
        (what, value or "none found")
        for what, value in (
            ("strata", design.strata),
            ("PSU", design.psu),
            ("respondent id", design.respondent_id),
        )
    ]
    if design.post:
        rows.append(("weight of questions marked POST", design.post))
    if design.replicates:
        rows.append(("replicate weights", f"{design.replicates[0]} to {design.replicates[-1]}"))
    return rows


def _traits(found: Inspection) -> Table:
    grid = Table(box=None, pad_edge=False)
    for heading in ("  attribute", "variable", "groups", "in them", "why"):
        grid.add_column(heading, justify="right" if heading == "in them" else "left")
    for attribute, candidates in found.traits.items():
        best = candidates[0]
        grid.add_row(
            Text(visible(f"  {attribute}")),
            Text(visible(best.variable)),
            Text(_group_words(best)),
            f"{best.share:.0%}" if best.groups else "-",
            Text(visible(best.evidence)),
        )
    return grid


def _group_words(trait: Trait) -> str:
    if not trait.groups:
        return "codes without labels"
    if trait.own:
        return f"{len(trait.groups)} of the file's own"
    return str(len(trait.groups))


def _in_order(found: Inspection) -> list[Column]:
    """Odd ones first, then by kind, in the order of the file."""
    return sorted(found.columns.values(), key=lambda c: (not c.odd, _ORDER.index(c.kind)))


def _variables(columns: Sequence[Column]) -> Table:
    grid = Table(box=None, pad_edge=False, title=None)
    for heading in ("variable", "kind", "n", "missing", "answers"):
        grid.add_column(
            heading,
            justify="right" if heading in ("n", "missing") else "left",
            max_width=70 if heading == "answers" else 28,
        )
    for column in columns:
        gone = sum(a.n for a in column.missing) + column.empty
        grid.add_row(
            Text(visible(column.name), overflow="ellipsis", no_wrap=True),
            column.kind.value,
            str(column.n),
            str(gone),
            Text(visible(_answers(column)), overflow="ellipsis", no_wrap=True),
        )
    return grid


def _answers(column: Column) -> str:
    if column.options:
        mark = "? " if column.guessed else ""
        return mark + " | ".join(a.text for a in column.options)
    if column.range is not None and column.kind is not Kind.TEXT:
        return f"{column.range[0]:g} to {column.range[1]:g}"
    return ""


def write_inspection(path: Path, found: Inspection) -> Path:
    """Write the page: everything found, in one file that loads nothing."""
    looks_like = {t.variable: a for a, each in found.traits.items() for t in each}
    html = html_page(
        "inspection.html",
        found=found,
        kinds=[(k.value, len(found.of_kind(k))) for k in _ORDER if found.of_kind(k)],
        design=_design(found),
        traits=[(a, t[0], _members(found, t[0]), t[1:6]) for a, t in found.traits.items()],
        columns=_in_order(found),
        looks_like=looks_like,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, "utf-8")
    return path


def _members(found: Inspection, trait: Trait) -> list[tuple[str, str]]:
    """Groups of a trait and the answers in each, in words."""
    texts = {a.code: a.text for a in found.columns[trait.variable].options}
    return [
        (
            group,
            f"{members.low:g} to {members.high:g}"
            if isinstance(members, Bounds)
            else "; ".join(texts.get(c, str(c)) for c in members),
        )
        for group, members in trait.groups.items()
    ]
