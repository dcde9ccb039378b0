"""Figures as files: atomically, and equal content gives equal bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from opinioncast.files import atomic_path
from opinioncast.texts import visible


def write_figure(figure: Figure, path: Path, *, dpi: int = 200) -> Path:
    """Write one file; the format follows its ending."""
    with atomic_path(path) as temporary:
        if path.suffix == ".svg":
            temporary.write_text(svg_text(figure, letters="none", dpi=dpi), "utf-8")
        else:
            _write_image(figure, temporary, path.suffix[1:], dpi)
            _laid_out(figure)
    return path


def _write_image(figure: Figure, path: Path, kind: str, dpi: int) -> None:
    """As ``savefig``, which draws everything twice where there is a layout to find: drawing a PNG
    finds it on its way."""
    canvas = FigureCanvasAgg(figure)
    if kind != "png":
        figure.savefig(path, format=kind, dpi=dpi)
        return
    own = figure.dpi
    figure.set_dpi(dpi)
    try:
        canvas.print_png(path)  # type: ignore[no-untyped-call]
    finally:
        figure.set_dpi(own)


def svg_text(figure: Figure, *, letters: Literal["none", "path"], dpi: int = 100) -> str:
    """The figure as XML for every reader, whatever its words hold; equal figures give equal text.

    Args:
        letters: "none": as text; "path": as outlines, for where no font can be counted on.
        dpi: of images in it.
    """
    FigureCanvasSVG(figure)
    drawn = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "opinioncast", "svg.fonttype": letters}):
        figure.savefig(drawn, format="svg", dpi=dpi, metadata={"Date": None})
    _laid_out(figure)
    return visible(drawn.getvalue(), lines=True)


def _laid_out(figure: Figure) -> None:
    """Keep the layout that the first file of a figure got: the next ones are the same picture, in
    half of the time."""
    figure.set_layout_engine("none")


def save_figure(figure: Figure, stem: str | Path) -> list[Path]:
    """Write ``stem`` + ``.svg`` (for print and the web) and ``.png`` (for everything else)."""
    return [write_figure(figure, Path(f"{stem}{suffix}")) for suffix in (".svg", ".png")]
