"""Designs that institutions ship: replicate weights, finite populations, products of weights.

The expected values in r_survey/designs.csv were made by r_survey/make_designs.R from the cases below;
run as a script (``export FOLDER``), this file writes the cases for it.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.bootstrap import WaveQuestions, resample_psus
from opinioncast.curate.design import product_of_weights
from opinioncast.curate.recipe import WaveRecipe, parse_curation
from opinioncast.curate.replicates import find_columns
from opinioncast.errors import DataError, InputError
from opinioncast.survey import Design, Missing, Question, Subpopulation, Variable, Wave
from opinioncast.survey.wave import ReplicateWeights

FOLDER = Path(__file__).parent / "r_survey"
CODES = {"q2": (1, 2), "q4": (1, 2, 3, 4), "q5": (5, 4, 3, 2, 1)}


class Case(NamedTuple):
    wave: Wave
    questions: list[tuple[Question, str]]
    subpopulations: list[Subpopulation]
    masks: np.ndarray


def respondents() -> pl.DataFrame:
    return pl.read_csv(FOLDER / "respondents.csv").cast(pl.Float64)


def case(design: Design, extra: dict[str, np.ndarray] | None = None) -> Case:
    frame = respondents().with_columns(**{k: pl.Series(v) for k, v in (extra or {}).items()})
    region = frame["region"].to_numpy()
    groups = {
        "total": np.ones(frame.height, dtype=bool),
        **{f"region{r}": region == r for r in (1, 2, 3)},
        "rare": (frame["trait"] > 0.9).to_numpy(),
    }
    variables, questions = {}, []
    for name, codes in CODES.items():
        options = tuple(f"option {i + 1}" for i in range(len(codes)))
        variables[name] = Variable(
            name, codes=tuple(map(float, codes)), options=options, missing={99.0: Missing.NOT_ASKED}
        )
        questions.append((Question(name, f"Wording of {name}?", options), name))
    return Case(
        Wave("TEST", "1", frame, variables, design),
        questions,
        [Subpopulation((("GROUP", name),)) for name in groups],
        np.array(list(groups.values())).T,
    )


def hadamard(order: int) -> np.ndarray:
    h = np.ones((1, 1), int)
    while len(h) < order:
        h = np.block([[h, h], [h, -h]])
    return h


def factors(method: str) -> np.ndarray:
    """Replicate factors of each respondent by the method's definition, (respondents, replicates)."""
    frame = respondents()
    stratum = frame["stratum"].to_numpy().astype(int)
    psu = frame["psu"].to_numpy().astype(int)
    unit = np.unique(stratum * 10 + psu, return_inverse=True)[1]
    n = unit.max() + 1
    size = {h: len(np.unique(psu[stratum == h])) for h in np.unique(stratum)}
    signs = np.where(psu == 1, 1, -1)[:, None] * hadamard(16)[:, stratum].T
    match method:
        case "brr" | "brr_factors":
            return 1.0 + signs
        case "fay":
            return 1.0 + 0.7 * signs
        case "jk1":
            return np.where(unit[:, None] == np.arange(n), 0.0, n / (n - 1))
        case "jkn":
            first = [int(np.flatnonzero(unit == u)[0]) for u in range(n)]
            same = stratum[:, None] == stratum[first]
            left = np.array([size[h] for h in stratum[first]])
            return np.where(unit[:, None] == np.arange(n), 0.0, np.where(same, left / (left - 1), 1))
        case "jk2":
            strata = np.unique(stratum)
            doubled = np.where((psu == 1)[:, None], 2.0, 0.0)
            return np.where(stratum[:, None] == strata, doubled, 1.0)
        case "sdr":
            h = hadamard(32)
            i = np.arange(len(stratum)) % 31
            return 1 + 2**-1.5 * (h[1 + i] - h[1 + (i + 1) % 31])
        case _:  # bootstrap of PSUs, with counts of a generator that will not change
            state, times = 12345, np.zeros((n, 25))
            for r in range(25):
                for _ in range(n):
                    state = (1103515245 * state + 12345) % 2**31
                    times[state // 65536 % n, r] += 1
            return times[unit]


REPLICATED = {
    "brr": {"method": "brr"},
    "brr_factors": {"method": "brr", "combined": False},
    "fay": {"method": "fay", "fay": 0.3},
    "jk1": {"method": "jk1"},
    "jkn": {"method": "jkn"},
    "jk2": {"method": "jk2"},
    "bootstrap": {"method": "bootstrap"},
    "sdr": {"method": "sdr"},
    "other": {"method": "other", "scale": 0.2, "rscales": (0.5,)},
}


def jkn_rscales() -> tuple[float, ...]:
    frame = respondents().select("stratum", "psu").unique().sort("stratum", "psu")
    sizes = dict(frame["stratum"].value_counts().iter_rows())
    return tuple((sizes[h] - 1) / sizes[h] for h in frame["stratum"])


def replicated(name: str, centre: Any = "estimate") -> Case:
    multiples = factors(name)
    weights = respondents()["w"].to_numpy()
    settings: dict[str, Any] = REPLICATED[name]
    values = multiples if settings.get("combined") is False else multiples * weights[:, None]
    columns = tuple(f"rep{i + 1}" for i in range(values.shape[1]))
    if name == "jkn":
        settings = {**settings, "rscales": jkn_rscales()}
    design = Design("w", replicates=ReplicateWeights(columns, centre=centre, **settings))
    return case(design, dict(zip(columns, values.T, strict=True)))


def finite(name: str) -> Case:
    stratum = respondents()["stratum"].to_numpy()
    lonely = respondents()["stratum_lonely"].to_numpy()
    alone = np.isin(lonely, [8, 10, 11])
    column, design = {
        "fpc_psu": (5.0 + stratum, Design("w", "stratum", "psu", "N")),
        "fpc_fraction": (0.1 + stratum / 20, Design("w", "stratum", "psu", "N")),
        "fpc_strata": (60.0 + 10 * stratum, Design("w", "stratum", None, "N")),
        "fpc_unclustered": (np.full(len(stratum), 1000.0), Design("w", None, None, 1000.0)),
        # strata of which the only PSU was drawn are no lonely ones
        "fpc_census": (np.where(alone, 1.0, 9.0), Design("w", "stratum_lonely", "psu", "N")),
    }[name]
    return case(design, {"N": column})


FINITE = ("fpc_psu", "fpc_fraction", "fpc_strata", "fpc_unclustered", "fpc_census")


def compare(made: Case, name: str, centre: str) -> None:
    expected = pl.read_csv(FOLDER / "designs.csv").filter(case=name, centre=centre)
    got = (
        aggregate(*made)
        .table.frame.select("group", question="question_id", share="distribution", se="se")
        .with_columns(option=pl.int_ranges(1, pl.col("share").list.len() + 1))
        .explode("share", "se", "option")
    )
    both = expected.join(got, on=["question", "group", "option"], how="left", suffix="_got")
    assert both.height == expected.height >= 44
    np.testing.assert_allclose(both["share_got"], both["share"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(both["se_got"], both["se"], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("centre", ["estimate", "replicates"])
@pytest.mark.parametrize("name", REPLICATED)
def test_replicate_weights_equal_r(name: str, centre: str) -> None:
    compare(replicated(name, centre), name, centre)


def test_jackknife_equals_the_replicates_r_makes_itself() -> None:
    compare(replicated("jkn", "replicates"), "jkn_of_r", "replicates")


@pytest.mark.parametrize("name", FINITE)
def test_finite_population_equals_r(name: str) -> None:
    compare(finite(name), name, "none")


def _export(made: Case, path: Path) -> None:
    design, frame = made.wave.design, made.wave.respondents
    columns: dict[str, Any] = {"w": frame["w"]}
    columns |= {k: frame[v] for k, v in (("stratum", design.strata), ("psu", design.psu)) if v}
    if design.fpc is not None:
        columns["fpc"] = frame["N"]
    if design.replicates is not None:
        columns |= {f"r_{i}": frame[c] for i, c in enumerate(design.replicates.columns, 1)}
        columns |= {"stratum": frame["stratum"], "psu": frame["psu"]}
    for q, codes in CODES.items():
        place = dict(zip(map(float, codes), range(1, len(codes) + 1), strict=True))
        columns[f"q_{q}"] = frame[q].replace_strict(place, default=None)
    columns |= {f"g_{s.group}": made.masks[:, i].astype(int) for i, s in enumerate(made[2])}
    pl.DataFrame(columns).write_csv(path)


if __name__ == "__main__":
    target = Path(sys.argv[2])
    for replicated_name in REPLICATED:
        _export(replicated(replicated_name), target / f"design_{replicated_name}.csv")
    rscales = "\n".join(["r", *map(repr, jkn_rscales())])
    (target / "design_jkn_rscales.txt").write_text(rscales + "\n")
    for finite_name in FINITE:
        _export(finite(finite_name), target / f"design_{finite_name}.csv")
