"""Distance against training data on log scales, with the fitted line and its band (Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from opinioncast.evaluate.scaling import PowerLaw
from opinioncast.report.figure_words import plain_words
from opinioncast.report.report import MODEL_OUTPUT

# Okabe and Ito's palette; markers and dashes tell models apart without colour
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def scaling_figure(
    fits: Mapping[str, PowerLaw],
    *,
    title: str,
    unit: str,
    target: float | None = None,
) -> Figure:
    """One line per model: points measured, the line fitted, its 95% band where there is one.

    Args:
        fits: by model name.
        unit: of the sizes, for the axis ("training questions").
        target: a distance; the data needed for it are written beside each model.
    """
    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    axis = figure.subplots()
    for i, (name, fit) in enumerate(fits.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        x = np.geomspace(min(fit.sizes), max(fit.sizes), 60)
        axis.plot(x, [fit.at(v) for v in x], color=colour, linestyle="--", linewidth=1.2)
        band = np.array([fit.band(v) for v in x])
        if np.isfinite(band).all():
            axis.fill_between(x, band[:, 0], band[:, 1], color=colour, alpha=0.15, linewidth=0)
        axis.scatter(
            fit.sizes,
            fit.distances,
            color=colour,
            marker=_MARKERS[i % len(_MARKERS)],
            s=36,
            zorder=3,
            label=f"{name}: {_slope(fit)}{_needed(fit, target, unit)}",
        )
    axis.set_xscale("log")
    axis.set_yscale("log")
    sizes = sorted({s for fit in fits.values() for s in fit.sizes})
    axis.set_xticks(
        sizes,
        [f"{s:,.0f}" if s >= 100 else f"{s:g}" for s in sizes],
        fontsize=8,
        rotation=45,
        ha="right",
    )
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.minorticks_off()
    low, high = axis.get_ylim()
    ticks = [t for t in _TICKS if low <= t <= high]
    axis.set_yticks(ticks)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(color="#E5E5E5", linewidth=0.7)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_xlabel(f"{unit} (log scale)", fontsize=9)
    axis.set_ylabel("Mean Wasserstein distance (log scale)", fontsize=9)
    figure.suptitle(f"{title}\n{MODEL_OUTPUT}", fontsize=11, x=0.01, ha="left")
    figure.legend(loc="outside lower left", fontsize=8, frameon=False)
    return plain_words(figure)


_MANTISSAS = (1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 9.5)
_TICKS = sorted({m * 10.0**e for e in (-3, -2, -1) for m in _MANTISSAS})


def _amount(value: float) -> str:
    """Three digits, in full."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def _slope(fit: PowerLaw) -> str:
    text = f"slope {fit.slope:.3f}"
    if np.isfinite(fit.slope_low):
        text += f" ({fit.slope_low:.3f} to {fit.slope_high:.3f})"
    return text


def _needed(fit: PowerLaw, target: float | None, unit: str) -> str:
    if target is None:
        return ""
    estimate, low, high = fit.size_for(target)
    if not np.isfinite(estimate):
        return f"; {target:g} is not reached by more data"
    text = f"; {target:g} at {_amount(estimate)} {unit}"
    if np.isnan(low):
        return text
    ends = " to ".join(_amount(v) if np.isfinite(v) else "no end" for v in (low, high))
    return f"{text} ({ends})"
