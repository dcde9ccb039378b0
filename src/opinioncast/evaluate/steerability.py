"""Is a model steered by the group? Intergroup disagreement (paper, section 4.3, Figures 4, 10-13).

Disagreement between a target group and a source group is the Wasserstein distance between the
target's human distribution and the source's, human or predicted, averaged over questions. A steered
model's matrix has the pattern of the human one: small near the diagonal, larger with distance.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from opinioncast.errors import InputError
from opinioncast.evaluate.clusters import CLUSTER
from opinioncast.evaluate.distance import Array, pad_column, wasserstein
from opinioncast.evaluate.scores import QUESTION, CellScores
from opinioncast.survey.groups import Subpopulation


@dataclass(frozen=True)
class Agreement:
    """How well the model's pattern of disagreement agrees with people's.

    Attributes:
        correlation: Pearson's, over the off-diagonal cells of the two matrices; None for fewer than
            three groups (the human matrix is symmetric: two groups give one value) or no variation.
        correlation_within: the same after taking each target's mean from its row, so that a group
            that is hard to predict whatever the prompt says does not count.
        variance_ratio: variance of the model's off-diagonal cells within rows over people's; near
            0, the prompt's group hardly matters. An error common to all prompts lowers it too
            (distances add up less than linearly): read it beside the spread ratio.
        spread_ratio: mean distance between the model's own predictions for two groups over the mean
            distance between the two groups' answers: 1 if it tells groups apart as people differ.
        own_group_nearest: share of target groups that are predicted best with their own name, each
            other name on the questions that both groups share.
        penalty: how much worse another group's name predicts than the own on the same questions,
            mean over off-diagonal.
        human_penalty: the same for people's own answers: their mean off-diagonal disagreement.
    """

    correlation: float | None
    correlation_within: float | None
    variance_ratio: float | None
    spread_ratio: float | None
    own_group_nearest: float
    penalty: float
    human_penalty: float


@dataclass(frozen=True)
class Steerability:
    """The disagreement matrices of one attribute, each (targets, sources), both in ``groups``.

    Attributes:
        human: people against people; zero on the diagonal.
        model: people against the model told to be the source group.
        between: the model as one group against the model as another; zero on the diagonal.
        own: people against the model told to be the target itself, on the pair's questions.
        questions: how many questions each pair of groups shares, one asked in two waves counted
            once; all four are over these in all their waves, and NaN where a pair shares none.
        seen: whether each group was in the training data; None if that is not known.
    """

    attribute: str
    groups: tuple[str, ...]
    human: Array
    model: Array
    between: Array
    own: Array
    questions: Array
    seen: tuple[bool, ...] | None

    def agreement(self) -> Agreement:
        """One number each for pattern, size and use of the group."""
        off = ~np.eye(len(self.groups), dtype=bool) & (self.questions > 0)
        people, model = self.human[off], self.model[off]
        rows = np.nonzero(off)[0]
        inside_people, inside_model = (_within_rows(values, rows) for values in (people, model))
        spread = float((inside_people**2).mean())
        between = self.between[off].mean()
        own = self.own[off]
        worse = off & (self.model < self.own - 1e-12)
        enough = len(self.groups) > 2
        return Agreement(
            correlation=_correlation(people, model) if enough else None,
            correlation_within=_correlation(inside_people, inside_model) if enough else None,
            variance_ratio=float((inside_model**2).mean()) / spread if spread > 1e-12 else None,
            spread_ratio=float(between / people.mean()) if people.mean() > 0 else None,
            own_group_nearest=float((~worse[off.any(axis=1)].any(axis=1)).mean()),
            penalty=float((model - own).mean()),
            human_penalty=float(people.mean()),
        )


def attributes(scores: CellScores) -> list[str]:
    """Attributes of which two groups were scored on one question, intersections left out."""
    counts = (
        scores.frame.filter(pl.col("wd").is_not_null())
        .group_by("attribute", *QUESTION, maintain_order=True)
        .agg(groups=pl.col("group").n_unique())
        .filter(pl.col("groups") > 1)
    )
    names = counts["attribute"].unique(maintain_order=True)
    return [a for a in names.to_list() if " & " not in a]


def steerability(
    scores: CellScores,
    attribute: str,
    *,
    groups: Collection[str] | None = None,
    seen: Collection[Subpopulation] | None = None,
) -> Steerability:
    """The matrices of ``attribute``; a question counts for a pair where both groups were scored.

    Args:
        groups: in the order wanted (ordered traits show locality only in their order); those that
            were not scored are left out. In order of appearance when left out.
        seen: groups of the training data, to mark.

    Raises:
        InputError: no two of the groups were scored on one question.
    """
    cells = scores.frame.filter(pl.col("attribute") == attribute, pl.col("wd").is_not_null())
    present = cells["group"].unique(maintain_order=True).to_list()
    names = [g for g in groups if g in present] if groups is not None else present
    number = {g: i for i, g in enumerate(names)}
    cells = cells.filter(pl.col("group").is_in(names)).select(
        *QUESTION, CLUSTER, "group", "ordinal", "observed", "predicted"
    )
    pairs = cells.join(cells.drop("ordinal", CLUSTER), on=list(QUESTION), suffix="_source")
    if pairs.filter(pl.col("group") != pl.col("group_source")).height == 0:
        raise InputError(
            "Disagreement needs two groups of an attribute",
            where=attribute,
            expected="two groups that were scored on one question",
            found=", ".join(present) or "none",
        )
    ordinal = pad_column(pairs["ordinal"], np.nan)
    target = pairs["group"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    source = pairs["group_source"].replace_strict(number, return_dtype=pl.Int64).to_numpy()
    place = target * len(names) + source
    size = len(names) ** 2
    shape = (len(names), len(names))
    cells_shared = np.bincount(place, minlength=size).reshape(shape)
    different = pairs.select(CLUSTER).with_columns(place=place).unique()["place"].to_numpy()
    questions = np.bincount(different, minlength=size).reshape(shape).astype(float)

    def mean(left: str, right: str) -> Array:
        distance = wasserstein(pad_column(pairs[left], 0.0), pad_column(pairs[right], 0.0), ordinal)
        total = np.bincount(place, weights=distance, minlength=size)
        with np.errstate(invalid="ignore"):
            return np.asarray(total.reshape(shape) / cells_shared)

    return Steerability(
        attribute,
        tuple(names),
        human=mean("observed", "observed_source"),
        model=mean("observed", "predicted_source"),
        between=mean("predicted", "predicted_source"),
        own=mean("observed", "predicted"),
        questions=questions,
        seen=None
        if seen is None
        else tuple(Subpopulation(((attribute, g),)) in seen for g in names),
    )


def _within_rows(values: Array, rows: npt.NDArray[np.intp]) -> Array:
    """Values less the mean of their row."""
    means = np.bincount(rows, weights=values) / np.bincount(rows)
    return np.asarray(values - means[rows], dtype=float)


def _correlation(left: Array, right: Array) -> float | None:
    if np.ptp(left) < 1e-12 or np.ptp(right) < 1e-12:
        return None
    return float(np.corrcoef(left, right)[0, 1])
