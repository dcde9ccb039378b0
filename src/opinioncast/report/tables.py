"""A table as Markdown, CSV and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from opinioncast.csv_files import write_csv
from opinioncast.files import atomic_path
from opinioncast.texts import markdown_text, visible

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def write_table(
    frame: pl.DataFrame,
    stem: str | Path,
    *,
    caption: str,
    shown: Sequence[str] | None = None,
    decimals: int = 3,
) -> list[Path]:
    """Write ``stem`` + ``.csv`` (full precision), ``.md`` and ``.tex`` (booktabs, rounded).

    Args:
        shown: columns of the two rounded files, which must fit a page; all when left out.
        caption: one sentence, over the Markdown and LaTeX tables.
        decimals: of numbers that are not whole, in the two rounded files.
    """
    csv, markdown, latex = (Path(f"{stem}{s}") for s in (".csv", ".md", ".tex"))
    write_csv(frame, csv)
    page = frame if shown is None else frame.select(shown)
    for path, text in (
        (markdown, to_markdown(page, caption=caption, decimals=decimals)),
        (latex, to_latex(page, caption=caption, decimals=decimals)),
    ):
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    return [csv, markdown, latex]


def to_markdown(frame: pl.DataFrame, *, caption: str, decimals: int = 3) -> str:
    """A pipe table under its caption; numbers to the right, nulls as a dash."""
    rows = [[markdown_text(v) for v in row] for row in _cells(frame, decimals)]
    rule = ["---:" if t.is_numeric() else "---" for t in frame.dtypes]
    heads = [markdown_text(name) for name in frame.columns]
    lines = [
        markdown_text(caption, paragraph=True),
        "",
        _pipes(heads),
        _pipes(rule),
        *map(_pipes, rows),
    ]
    return "\n".join(lines) + "\n"


def to_latex(frame: pl.DataFrame, *, caption: str, decimals: int = 3) -> str:
    """A ``table`` with ``booktabs`` rules; numbers to the right."""
    align = "".join("r" if t.is_numeric() else "l" for t in frame.dtypes)
    rows = [" & ".join(map(_escape_latex, row)) + r" \\" for row in _cells(frame, decimals)]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{_escape_latex(caption)}}}",
        rf"\begin{{tabular}}{{{align}}}",
        r"\toprule",
        " & ".join(map(_escape_latex, frame.columns)) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cells(frame: pl.DataFrame, decimals: int) -> list[list[str]]:
    return [[_text(value, decimals) for value in row] for row in frame.iter_rows()]


def _text(value: object, decimals: int) -> str:
    if value is None:
        return "-"
    return f"{value:.{decimals}f}" if isinstance(value, float) else str(value)


def _pipes(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape_latex(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in visible(text))
