"""Figures as files: atomically, and equal content gives equal bytes."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from opinioncast.files import atomic_path


def write_figure(figure: Figure, path: Path, *, dpi: int = 200) -> Path:
    """Write one file; the format follows its ending."""
    FigureCanvasAgg(figure)
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with (
        mpl.rc_context({"svg.hashsalt": "opinioncast", "svg.fonttype": "none"}),
        atomic_path(path) as temporary,
    ):
        figure.savefig(temporary, format=path.suffix[1:], dpi=dpi, metadata=metadata)
    return path


def save_figure(figure: Figure, stem: str | Path) -> list[Path]:
    """Write ``stem`` + ``.svg`` (for print and the web) and ``.png`` (for everything else)."""
    return [write_figure(figure, Path(f"{stem}{suffix}")) for suffix in (".svg", ".png")]
