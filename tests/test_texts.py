"""Texts on their way out: what is shown is never obeyed, and what is escaped comes back."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from opinioncast.texts import cell_text, markdown_text, spreadsheet_cell, visible

ANYTHING = st.text(st.characters(), max_size=30)
"""Of any code points, lone surrogates too."""
TRICKY = st.text(st.sampled_from("'=+-@\t\r\n \ufeff\uff1d1.5e%|a\"\x1b\u202e"), max_size=8)
PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp"]), max_size=20)
MARKUP = st.text(st.sampled_from("`*_[]()<>|\\~&#!-+=.1) a:/"), max_size=16)


@given(ANYTHING)
@example("\x1b]52;c;YQ==\x07")
@example("user\u202egnp.exe")
def test_nothing_invisible_is_left(text: str) -> None:
    shown = visible(text)
    kept = set("\u200c\u200d")
    assert not [
        c
        for c in shown
        if unicodedata.category(c)[0] in "C"
        and c not in kept
        and unicodedata.category(c) not in ("Cn", "Co")
    ]
    assert "\n" not in shown
    assert visible(shown) == shown
    assert visible(text, lines=True).count("\n") == text.count("\n")


def test_words_of_every_script_stay_as_they_are() -> None:
    for text in ("Größe 50 %", "می‌خواهم", "👩‍👩‍👧 family", "日本語", "a\u00a0b", "שלום"):
        assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1 (555) 0100", "'+1 (555) 0100"),
        ("- none of these", "'- none of these"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        (" =1", "' =1"),
        ("\uff1dSUM(A1)", "'\uff1dSUM(A1)"),
        ("'=1", "''=1"),
        ("-1", "-1"),
        ("-0.5", "-0.5"),
        ("+5%", "+5%"),
        ("-", "-"),
        ("18-29", "18-29"),
        ("'tis", "'tis"),
        ("", ""),
    ],
)
def test_formulas_carry_an_apostrophe(text: str, cell: str) -> None:
    assert spreadsheet_cell(text) == cell
    assert cell_text(cell) == text


@given(st.one_of(ANYTHING, TRICKY))
def test_cells_come_back_and_are_no_formulas(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert cell_text(cell) == text
    if not re.fullmatch(r"[-+]?[\d.,eE+\-]*\s?%?", cell):
        assert cell.strip("\ufeff\u200b \t\r\n")[:1] not in tuple("=+-@")


@settings(max_examples=60, deadline=None)
@given(st.one_of(PLAIN, MARKUP))
@example("[not sure](http://x) <script>")
@example("# no heading")
@example("1. no list")
@example("a|b")
def test_markdown_shows_the_text(text: str) -> None:
    reader = MarkdownIt("gfm-like", {"linkify": False})
    wanted = " ".join(visible(text).split())
    html = reader.render(f"| x |\n|---|\n| {markdown_text(text)} |\n")
    (shown,) = re.findall(r"<td>(.*?)</td>", html, re.S)
    assert " ".join(_unescaped(shown).split()) == wanted
    html = reader.render(markdown_text(" ".join(text.split()), paragraph=True))
    assert re.fullmatch(r"(<p>(.*?)</p>\n)?", html, re.S), html
    assert " ".join(_unescaped(html[3:-5]).split()) == wanted


def _unescaped(html: str) -> str:
    assert not re.search("<[a-z/!?]", html, re.I), html
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        html = html.replace(entity, sign)
    return html
