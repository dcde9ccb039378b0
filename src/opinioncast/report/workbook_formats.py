"""Looks of a banner workbook: one place for fonts, colours and number formats."""

from __future__ import annotations

from typing import Any

_FONT = {"font_name": "Arial", "font_size": 9, "valign": "top"}
_GREY, _BLUE, _SHADE, _WARNING = "#666666", "#1f4e79", "#dce6f1", "#fce4d6"

_STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14, "font_color": _BLUE},
    "label": {"bold": True, "bg_color": _WARNING, "font_color": "#7f3f00", "valign": "vcenter"},
    "source": {"font_color": _GREY, "align": "right"},
    "text": {"text_wrap": True},
    "strong": {"bold": True, "text_wrap": True},
    "question": {"bold": True, "font_size": 10, "text_wrap": True},
    "base_text": {"italic": True, "font_color": _GREY, "text_wrap": True},
    "note": {"italic": True, "text_wrap": True},
    "footer": {"font_size": 8, "font_color": _GREY, "text_wrap": True},
    "link": {"font_color": "#0563c1", "underline": 1},
    "attribute": {"bold": True, "align": "center", "bg_color": _SHADE, "border": 1,
                  "border_color": "#9fb4cc", "valign": "vcenter", "text_wrap": True},
    "head": {"align": "center", "text_wrap": True, "font_name": "Arial Narrow", "bottom": 1,
             "valign": "vcenter"},
    "head_left": {"bold": True, "bottom": 1},
    "letter_head": {"align": "center", "font_size": 8, "font_color": _BLUE, "bold": True,
                    "bottom": 1},
    "unweighted": {"align": "right", "num_format": "#,##0", "font_color": _GREY},
    "unweighted*": {"align": "right", "num_format": '#,##0"*"', "font_color": _GREY},
    "unweighted**": {"align": "right", "num_format": '#,##0"**"', "font_color": _GREY},
    "unweighted_label": {"font_color": _GREY},
    "base": {"align": "right", "num_format": "#,##0", "font_color": _GREY},
    "base_label": {"font_color": _GREY},
    "interval": {"align": "right", "font_size": 8, "font_color": _GREY},
    "interval_label": {"align": "right", "font_size": 8, "font_color": _GREY},
    "observed_label": {"align": "right", "font_size": 8, "font_color": "#2e6b34"},
    "difference_label": {"align": "right", "font_size": 8, "bottom": 4, "bottom_color": "#bbbbbb"},
    "difference": {"align": "right", "font_size": 8, "num_format": "+0.###;-0.###;0", "bottom": 4,
                   "bottom_color": "#bbbbbb"},
    "mean_difference": {"align": "right", "font_size": 8, "num_format": "+0.00;-0.00;0.00",
                        "bottom": 4, "bottom_color": "#bbbbbb"},
    "marks": {"align": "right", "font_size": 8, "bold": True, "font_color": _BLUE},
}  # fmt: skip

_FIGURES: dict[str, dict[str, Any]] = {
    "figure": {"align": "right"},
    "total": {"align": "right", "bold": True},
    "observed": {"align": "right", "font_color": "#2e6b34"},
}

_KINDS: dict[str, dict[str, Any]] = {
    "option": {},
    "net": {"bg_color": _SHADE},
    "mean": {"italic": True},
    "refused": {"font_color": _GREY},
}


class Formats:
    """Formats of a book, each made once, by name."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self._make(name, _STYLES[name])

    def get(self, name: str) -> Any:
        """As ``[]``; plain text where there is no style of this name."""
        return self._make(name, _STYLES.get(name, {}))

    def of(self, kind: str, part: str) -> Any:
        """Of the label of a kind of line."""
        return self._make(f"{kind} {part}", {"text_wrap": True} | _KINDS[kind])

    def number(self, style: str, kind: str, decimals: int) -> Any:
        """Of a figure: a share in percent, or a mean to two decimals.

        Zero is ``-``, and what is above zero and rounds to nothing says so.
        """
        places = "." + "0" * decimals if decimals else ""
        least = f"0.{'0' * (decimals + 2)}5"
        tiny = f"{0.5 / 10**decimals:.{decimals + 1}f}"
        shown = "0.00" if kind == "mean" else f'[=0]"-";[<{least}]"<{tiny}%";0{places}%'
        look = _KINDS[kind] | _FIGURES[style] | {"num_format": shown}
        if style == "observed":
            look.pop("bg_color", None)  # a net's shade marks its first line
        return self._make(f"{style} {kind} {decimals}", look)

    def _make(self, name: str, look: dict[str, Any]) -> Any:
        if name not in self._made:
            self._made[name] = self._book.add_format(_FONT | look)
        return self._made[name]
