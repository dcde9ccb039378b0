"""Texts of other people on their way out: shown as what they are, obeyed by nothing.

A questionnaire, a survey file, a folder's name or a service's answer may hold what a terminal, a
spreadsheet, a Markdown page or an XML reader takes for an order. Each way out has one function here
and nothing else neutralises. Cells and Markdown give the text back exactly
(:func:`cell_text`; any Markdown reader); what :func:`visible` shows is for eyes.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = frozenset("\u200c\u200d")
"""Joiners: Persian words and families of emoji are spelt with them."""

_SHOWN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Control, direction and format marks, lone surrogates, separators of lines."""

_FORMULA = re.compile(r"'*[\s\ufeff\u200b]*[=+\-@\uff1d\uff0b\uff0d\uff20]|'*[\t\r\n\x00]")
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)?([eE][-+]?\d+)?\s?%?")
_INLINE = re.compile(r"[\\`*\[\]|~]|<(?=[\w/!?])|&(?=#?\w+;)|(?<![^\W_])_|_(?![^\W_])")
_BLOCK = re.compile(r"[#=>]|[-+](?=\s|$|-)|\d+(?=[.)](\s|$))")


def visible(text: str, *, lines: bool = False) -> str:
    r"""``text`` with control and direction marks as signs; tabs and ends of lines as spaces.

    Equal texts only look equal, and what is shown is never obeyed. Applied again it changes
    nothing.

    Args:
        lines: keep ends of lines (a message of several lines).

    >>> visible("a\x1b]52;c;Y2FsYw==\x07 \u202eb")
    'a\\u001b]52;c;Y2FsYw==\\u0007 \\u202eb'
    """
    if text.isascii() and text.isprintable():
        return text
    if lines:
        return "\n".join(map(visible, text.split("\n")))
    return "".join(map(_sign, text))


def _sign(character: str) -> str:
    if character in "\n\t":
        return " "
    if character in _KEPT or unicodedata.category(character) not in _SHOWN:
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def spreadsheet_cell(text: str) -> str:
    """``text`` as a spreadsheet may open it: an apostrophe before what it would take for a formula.

    Numbers with a sign stay as they are. :func:`cell_text` gives every text back exactly.

    >>> spreadsheet_cell("=1+1"), spreadsheet_cell("-1"), spreadsheet_cell("- none")
    ("'=1+1", '-1', "'- none")
    """
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def cell_text(cell: str) -> str:
    """What :func:`spreadsheet_cell` was given.

    >>> cell_text("'=1+1"), cell_text("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell, 1) else cell


def markdown_text(text: str, *, paragraph: bool = False) -> str:
    r"""``text`` as Markdown that shows it in one line, in a cell of a table or within a line.

    Args:
        paragraph: it stands by itself: it is no heading and no list either.

    >>> markdown_text("<b> [/b] a|b k_hat _x_")
    '\\<b> \\[/b\\] a\\|b k_hat \\_x\\_'
    """
    escaped = _INLINE.sub(lambda found: f"\\{found[0]}", visible(text))
    return _BLOCK.sub(_block, escaped, count=1) if paragraph and _BLOCK.match(escaped) else escaped


def _block(found: re.Match[str]) -> str:
    """What begins a heading, a list or a rule where it begins a line."""
    return f"{found[0]}\\" if found[0].isdigit() else f"\\{found[0]}"


_DIGITS = 15
"""Of a whole number that floating point holds exactly."""


def whole_number(text: str) -> int | None:
    """The whole number that a text is; None for other texts, and for one of more than 15 digits,
    which is nobody's code, point or count (and thousands of which Python refuses to read).

    >>> whole_number(" 12"), whole_number("-3"), whole_number("1.5"), whole_number("9" * 16)
    (12, -3, None, None)
    """
    digits = text.strip()
    bare = digits[1:] if digits.startswith(("-", "+")) else digits
    return int(digits) if bare.isdecimal() and len(bare) <= _DIGITS else None
