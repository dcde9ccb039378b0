"""Scores as the cards of trained models say them: a distance where there is one, KL always."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from opinioncast.evaluate.scores import SMOOTHING, CellScores


def score_sentences(scores: CellScores) -> list[str]:
    """The means with their intervals and bounds. Where no cell has a scale there is no distance,
    and the divergence stands alone."""
    mean = scores.mean()
    low, high = scores.interval("kl")
    lines = []
    if mean["cells"]:
        first, last = scores.interval()
        lines.append(
            f"Mean Wasserstein distance (0 to 1) over {mean['cells']} cells: {_number(mean['wd'])} "
            f"(95% over questions {_span(first, last)}); uniform guess "
            f"{_number(mean['wd_uniform'])}; sampling noise alone {_number(mean['wd_noise'])}."
        )
    else:
        lines.append("No cell has a scale, so there is no Wasserstein distance.")
    return [
        *lines,
        f"Mean KL divergence (people to model, shares smoothed by {SMOOTHING:g}) over "
        f"{mean['cells_in_all']} cells: {_number(mean['kl'])} (95% over questions "
        f"{_span(low, high)}); uniform guess {_number(uniform_divergence(scores))}.",
    ]


def score_lines(scores: CellScores) -> list[str]:
    """Markdown: :func:`score_sentences`, and a table by group."""
    return [
        *(line for sentence in score_sentences(scores) for line in (sentence, "")),
        "| attribute | group | model | uniform (upper bound) | noise (lower bound) | cells | KL | "
        "cells in all |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {r['attribute']} | {r['group']} | {_number(r['wd'])} | {_number(r['wd_uniform'])} "
            f"| {_number(r['wd_noise'])} | {r['cells']} | {_number(r['kl'])} "
            f"| {r['cells_scored']} |"
            for r in scores.by("attribute", "group").iter_rows(named=True)
        ),
        "",
    ]


def uniform_divergence(scores: CellScores) -> float | None:
    """Mean KL(people || uniform) over the scored cells; None where there are none."""
    counts = scores.frame.select(pl.col("options").list.len()).to_series().to_numpy()
    if not len(counts):
        return None
    return float(np.mean(np.log(counts) - scores.frame["entropy"].to_numpy()))


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"


def _span(low: float | None, high: float | None) -> str:
    ends = _number(low), _number(high)
    return "-" if "-" in ends else " to ".join(ends)
