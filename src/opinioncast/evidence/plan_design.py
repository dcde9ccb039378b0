"""The design of a planned sample, as a file says it, and whom it interviews."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opinioncast.documents import read_document
from opinioncast.errors import InputError
from opinioncast.evidence.planning import CONFIDENCE, POWER
from opinioncast.recipe_files import misfits
from opinioncast.survey import Subpopulation
from opinioncast.survey.groups import TOTAL_ATTRIBUTE

Array = npt.NDArray[np.float64]

Share = Callable[[Subpopulation], float | None]
"""A subpopulation's share of the population; None where nothing is known of it."""

DEFAULT_TARGET = "default"
"""Key of ``targets`` that stands for every predicted group without one of its own."""

ROUNDING = 0.02
"""How far the strata's shares may miss 1 together and still be taken as rounding."""


class PlanDesign(BaseModel):
    """A sample design. Points are percentage points; costs are in any one currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "plan"
    strata: str | None = Field(
        default=None, description="attribute whose groups are sampled apart; left out: one sample"
    )
    sample: int | dict[str, int] | None = Field(
        default=None, description="interviews in all, by population; or by stratum"
    )
    design_effect: float | dict[str, float] = Field(
        default=1.0, description="of weighting and clustering, beside the strata; or by stratum"
    )
    cost: float | dict[str, float] = Field(
        default=1.0, description="of one interview; or by stratum"
    )
    screening: float | dict[str, float] = Field(
        default=0.0,
        description="of one person screened for a stratum: 1 / its share are, per interview",
    )
    population: dict[str, float] = Field(
        default_factory=dict, description="shares by group expression, before the frame's"
    )
    least: int | dict[str, int] = Field(default=0, description="fewest interviews of a stratum")
    targets: dict[str, float] = Field(
        default_factory=dict, description="largest margin of error, in points, by group expression"
    )
    budget: float | None = Field(default=None, gt=0)
    compare: tuple[tuple[str, str], ...] = Field(
        default=(), description="pairs of groups; left out: all of an attribute"
    )
    assume: Literal["interval", "predicted", "half"] = Field(
        default="interval",
        description="the share that errors are computed at: that of the interval with the largest "
        "error, the predicted one, or 50%",
    )
    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    power: float = Field(default=POWER, gt=0, lt=1)


def read_design(path: Path | None, changes: Mapping[str, Any]) -> PlanDesign:
    """A design of a YAML file, with fields set by ``changes``.

    Raises:
        InputError: unreadable, or fields that are unknown or do not fit, all named.
    """
    raw = {} if path is None else read_document(path, "A sample design")
    if not isinstance(raw, dict):
        raise InputError(
            "A sample design cannot be read",
            where=str(path),
            expected="a mapping with sample, strata, targets, ...",
            found=type(raw).__name__,
        )
    try:
        return PlanDesign.model_validate({**raw, **changes})
    except ValidationError as error:
        problems = misfits(error)
        raise InputError(
            f"A sample design has {len(problems)} field(s) that do not fit",
            where=str(path or "the options"),
            expected=", ".join(PlanDesign.model_fields),
            found="; ".join(problems),
            hint="docs/evidence_design.md lists the fields",
        ) from None


@dataclass(frozen=True)
class Strata:
    """The parts of the population that are sampled apart.

    Attributes:
        groups: one whole population where nothing is sampled apart.
        population: their shares, sum 1.
        effects, costs, least: of each; costs with screening.
        sample: interviews as the design has them; None where it sets targets only.
        notes: what was assumed.
    """

    groups: tuple[Subpopulation, ...]
    population: Array
    effects: Array
    costs: Array
    least: Array
    sample: Array | None
    notes: tuple[str, ...]


def strata_of(design: PlanDesign, groups: Sequence[Subpopulation], share: Share) -> Strata:
    """The strata of a design.

    Args:
        groups: every subpopulation that is predicted; the strata are those of the attribute.
        share: what is known of the population.

    Raises:
        InputError: an attribute that is not predicted, shares that are not known or do not sum to
            1, settings for strata that do not exist or are out of range.
    """
    notes: list[str] = []
    if design.strata is None:
        strata: tuple[Subpopulation, ...] = (Subpopulation(),)
        population = np.ones(1)
    else:
        strata = tuple(g for g in groups if g.attribute == design.strata and g.conditions)
        if len(strata) < 2:
            raise InputError(
                "The strata are not groups of the predictions",
                where=f"strata: {design.strata}",
                expected="an attribute of which two groups or more are predicted: "
                + ", ".join(dict.fromkeys(g.attribute for g in groups if g.conditions)),
                found=f"{len(strata)} groups",
                hint="predict all groups of the attribute (opinioncast predict -g FILE)",
            )
        known = [share(g) for g in strata]
        lacking = [str(g) for g, s in zip(strata, known, strict=True) if s is None]
        if lacking:
            raise InputError(
                "The population share of a stratum is not known",
                where=f"strata: {design.strata}",
                expected="each in the population frame (--frame), or under `population`",
                found=", ".join(lacking),
            )
        population = np.array([float(s or 0) for s in known])
        total = population.sum()
        if abs(total - 1) > ROUNDING or (population <= 0).any():
            raise InputError(
                "The strata do not make up the population",
                where=f"strata: {design.strata}",
                expected="shares above 0 that sum to 1",
                found=", ".join(f"{g} {s:.3f}" for g, s in zip(strata, population, strict=True))
                + f"; sum {total:.3f}",
                hint="predict all groups of the attribute, or set `population`",
            )
        if abs(total - 1) > 1e-6:
            notes.append(f"the strata's shares sum to {total:.4f}: divided by that")
        population = population / total
    names = [g.group if g.conditions else TOTAL_ATTRIBUTE for g in strata]
    sample = _sample(design, names, population)
    screened = _by_stratum(design.screening, names, "screening", 0.0)
    costs = _by_stratum(design.cost, names, "cost", None) + screened / population
    effects = _by_stratum(design.design_effect, names, "design_effect", None)
    least = _by_stratum(design.least, names, "least", 0.0)
    for field, values, bad in (
        ("cost", costs, costs <= 0),
        ("design_effect", effects, effects <= 0),
        ("least", least, least < 0),
        ("screening", screened, screened < 0),
    ):
        if bad.any():
            raise InputError(
                "A setting of the sample design is out of range",
                where=field,
                expected="numbers above 0" if field not in ("least", "screening") else "0 or more",
                found=values.tolist(),
            )
    return Strata(strata, population, effects, costs, least, sample, tuple(notes))


def _sample(design: PlanDesign, names: Sequence[str], population: Array) -> Array | None:
    if design.sample is None:
        return None
    if isinstance(design.sample, int):
        sample = design.sample * population
    else:
        sample = _by_stratum(design.sample, names, "sample", None)
    if (sample <= 0).any():
        raise InputError(
            "A stratum without interviews",
            where="sample",
            expected="1 interview or more in each",
            found=dict(zip(names, sample.tolist(), strict=True)),
        )
    return sample


def _by_stratum(
    value: float | Mapping[str, float], names: Sequence[str], field: str, default: float | None
) -> Array:
    if not isinstance(value, Mapping):
        return np.full(len(names), float(value))
    unknown = [k for k in value if k not in names]
    lacking = [n for n in names if n not in value] if default is None else []
    if unknown or lacking:
        raise InputError(
            "A setting by stratum does not fit the strata",
            where=field,
            expected=", ".join(names),
            found=f"unknown: {unknown}" if unknown else f"without {lacking}",
        )
    return np.array([float(value.get(n, default or 0.0)) for n in names])


def coefficients(
    group: Subpopulation, strata: Strata, share: Share
) -> tuple[Array, float | None, str | None]:
    """How a group's variance falls with the interviews of each stratum, per p (1 - p).

    Returns:
        deff_h P(h | g) W_h / P(g), shape (strata,); P(g), None where nothing is known of it
        (coefficients are then NaN); and what was assumed, if anything.
    """
    size = 1.0 if not group.conditions else share(group)
    if not size:
        return np.full(len(strata.groups), np.nan), None, f"{group}: its share is not known"
    within, assumed = [], None
    for stratum, w in zip(strata.groups, strata.population, strict=True):
        part = _meets(group, stratum)
        joint = None if part is None else size if part == group else share(part)
        if part is None:
            within.append(0.0)
        elif not stratum.conditions or not group.conditions:
            within.append(float(w))
        elif joint is None:
            within.append(float(w))
            assumed = f"{group}: spread over the strata as everyone (their overlap is not known)"
        else:
            within.append(joint / size)
    inside = np.array(within)
    inside = inside / inside.sum() if inside.sum() > 0 else inside
    return strata.effects * inside * strata.population / size, float(size), assumed


def _meets(group: Subpopulation, stratum: Subpopulation) -> Subpopulation | None:
    """The people of both; None where there can be none."""
    wanted = dict(group.conditions)
    for attribute, value in stratum.conditions:
        if wanted.get(attribute, value) != value:
            return None
        wanted[attribute] = value
    return Subpopulation(tuple(wanted.items()))
