"""Tables in three formats: rounded for reading, full for computing, escaped for LaTeX."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from opinioncast.report.tables import to_latex, to_markdown, write_table

FRAME = pl.DataFrame(
    {
        "group": ["$100,000 or more", "R&D | 50%_"],
        "wd": [0.123456, None],
        "cells": [40, 0],
        "note": ["", "0 of 40 cells"],
    }
)


def test_markdown() -> None:
    text = to_markdown(FRAME, caption="Caption.")
    assert text.splitlines() == [
        "Caption.",
        "",
        "| group | wd | cells | note |",
        "| --- | ---: | ---: | --- |",
        "| $100,000 or more | 0.123 | 40 |  |",
        r"| R&D \| 50%\_ | - | 0 | 0 of 40 cells |",
    ]


def test_latex() -> None:
    text = to_latex(FRAME, caption="50% & more", decimals=2)
    assert r"\caption{50\% \& more}" in text
    assert r"\begin{tabular}{lrrl}" in text
    assert r"\$100,000 or more & 0.12 & 40 &  \\" in text
    assert r"R\&D | 50\%\_ & - & 0 & 0 of 40 cells \\" in text


def test_files(tmp_path: Path) -> None:
    files = write_table(FRAME, tmp_path / "t", caption="C.", shown=["group", "wd"])
    assert [f.name for f in files] == ["t.csv", "t.md", "t.tex"]
    assert pl.read_csv(files[0])["wd"][0] == 0.123456
    assert "cells" not in files[1].read_text("utf-8")


def test_words_are_no_markup() -> None:
    frame = pl.DataFrame({"a|b": ["<script> [x](y) _z_ \\begin{a} \x1b"]})
    text = to_markdown(frame, caption="*c*")
    assert text == (
        "\\*c\\*\n\n| a\\|b |\n| --- |\n| \\<script> \\[x\\](y) \\_z\\_ \\\\begin{a} \\\\u001b |\n"
    )
    assert "\x1b" not in to_latex(frame, caption="c")
