"""Pages: every text escaped, whatever it holds."""

from __future__ import annotations

import jinja2
import pytest
from markupsafe import Markup

from opinioncast.report.html import html_page


def test_texts_are_escaped_and_marks_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Said:
        def __str__(self) -> str:
            return "\x9d<\u2066"

    templates = jinja2.DictLoader({"t": "<p>{{ a }}</p>{{ b }}{{ c | twice }}{{ d }}{{ e }}"})
    monkeypatch.setattr(jinja2, "PackageLoader", lambda _: templates)
    page = html_page(
        "t",
        {"twice": lambda n: 2 * n},
        a="<b>\x1b[2J\u202e</b>",
        b=Markup("<i>"),
        c=2,
        d=None,
        e=Said(),
    )
    assert page == "<p>&lt;b&gt;\\u001b[2J\\u202e&lt;/b&gt;</p><i>4None\\u009d&lt;\\u2066"
    with pytest.raises(jinja2.UndefinedError):
        html_page("t", {"twice": str}, a="", b="", c="", e="")
