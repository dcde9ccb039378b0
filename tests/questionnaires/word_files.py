"""Word files made up for tests, with python-docx."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import docx
from docx.enum.style import WD_STYLE_TYPE


def word_file(parts: Sequence[Any], table_style: str = "") -> bytes:
    """A document of paragraphs (text, or text and style) and tables (rows of texts)."""
    document = docx.Document()
    for part in parts:
        if isinstance(part, list):
            table = document.add_table(len(part), max(map(len, part)))
            if table_style:
                table.style = _style(document, table_style, WD_STYLE_TYPE.TABLE)
            for row, cells in zip(table.rows, part, strict=True):
                for cell, text in zip(row.cells, cells, strict=False):
                    cell.text = text
            continue
        text, style = (part, "") if isinstance(part, str) else part
        document.add_paragraph(
            text, _style(document, style, WD_STYLE_TYPE.PARAGRAPH) if style else None
        )
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _style(document: docx.document.Document, name: str, kind: WD_STYLE_TYPE) -> object:
    if name not in [s.name for s in document.styles]:
        return document.styles.add_style(name, kind)
    return document.styles[name]
