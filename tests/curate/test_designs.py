"""Designs that institutions ship: replicate weights, finite populations, products of weights.

The expected values in r_survey/designs.csv were made by r_survey/make_designs.R from the cases
below; run as a script (``export FOLDER``), this file writes the cases for it.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from tests.made_up_survey import answers, write_survey

from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.bootstrap import WaveQuestions, resample_psus
from opinioncast.curate.design import product_of_weights
from opinioncast.curate.pipeline import curate
from opinioncast.curate.recipe import load_curation, parse_curation
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
    """Factors of each respondent by the method's definition, shape (respondents, replicates)."""
    frame = respondents()
    stratum = frame["stratum"].to_numpy().astype(int)
    psu = frame["psu"].to_numpy().astype(int)
    unit = np.unique(stratum * 10 + psu, return_inverse=True)[1]
    n = unit.max() + 1
    size = {h: len(np.unique(psu[stratum == h])) for h in np.unique(stratum)}
    signs = np.where(psu == 1, 1, -1)[:, None] * hadamard(16)[:, stratum].T
    match method:
        case "brr" | "brr_factors":
            return np.asarray(1.0 + signs)
        case "fay":
            return np.asarray(1.0 + 0.7 * signs)
        case "jk1":
            return np.where(unit[:, None] == np.arange(n), 0.0, n / (n - 1))
        case "jkn":
            first = [int(np.flatnonzero(unit == u)[0]) for u in range(n)]
            same = stratum[:, None] == stratum[first]
            left = np.array([size[h] for h in stratum[first]])
            return np.where(
                unit[:, None] == np.arange(n), 0.0, np.where(same, left / (left - 1), 1)
            )
        case "jk2":
            strata = np.unique(stratum)
            doubled = np.where((psu == 1)[:, None], 2.0, 0.0)
            return np.where(stratum[:, None] == strata, doubled, 1.0)
        case "sdr":
            h = hadamard(32)
            i = np.arange(len(stratum)) % 31
            return np.asarray(1 + 2**-1.5 * (h[1 + i] - h[1 + (i + 1) % 31]))
        case _:  # bootstrap of PSUs, with counts of a generator that will not change
            state, times = 12345, np.zeros((n, 25))
            for r in range(25):
                for _ in range(n):
                    state = (1103515245 * state + 12345) % 2**31
                    times[state // 65536 % n, r] += 1
            return np.asarray(times[unit])


REPLICATED: dict[str, dict[str, Any]] = {
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
    settings = REPLICATED[name]
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


# --- what is refused, and recipes ----------------------------------------------------------------


def changed(made: Case, **design: Any) -> Case:
    wave = replace(made.wave, design=replace(made.wave.design, **design))
    return made._replace(wave=wave)


@pytest.mark.parametrize(
    ("title", "design"),
    [
        ("fewer|more units than the population", {"fpc": 2.0}),
        ("differs within a stratum", {"fpc": "trait_size"}),
        ("mixes population sizes", {"fpc": "mixed"}),
        ("no population size", {"fpc": "some"}),
    ],
)
def test_a_population_size_that_cannot_be_is_refused(title: str, design: dict[str, Any]) -> None:
    frame = respondents()
    extra = {
        "trait_size": 100 + np.arange(frame.height, dtype=float),
        "mixed": np.where(frame["stratum"].to_numpy() > 4, 0.5, 30.0),
        "some": np.where(np.arange(frame.height) == 3, np.nan, 30.0),
    }
    with pytest.raises(DataError, match=title):
        aggregate(*changed(case(Design("w", "stratum", "psu"), extra), **design))


def test_replicates_that_are_not_what_the_recipe_says_are_refused() -> None:
    made = replicated("brr_factors")
    heavy = made.wave.respondents.with_columns(w=pl.col("w") * 900)
    heavy_case = made._replace(wave=replace(made.wave, respondents=heavy))
    replicates = made.wave.design.replicates
    assert replicates is not None
    with pytest.raises(DataError, match="do not look like") as caught:
        aggregate(*changed(heavy_case, replicates=replace(replicates, combined=True)))
    assert "combined: false" in str(caught.value)
    aggregate(*heavy_case)
    gone = made.wave.respondents.with_columns(
        rep3=pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise("rep3")
    )
    with pytest.raises(DataError, match="lacks a replicate weight"):
        aggregate(*made._replace(wave=replace(made.wave, respondents=gone)))


def test_replicates_belong_to_one_weight() -> None:
    made = replicated("sdr")
    other = made.wave.respondents.with_columns(w2=pl.col("w") + pl.col("trait"))
    variables = dict(made.wave.variables)
    variables["q4"] = replace(variables["q4"], weight="w2")
    wave = replace(made.wave, respondents=other, variables=variables)
    with pytest.raises(DataError, match="replicate one weight"):
        aggregate(*made._replace(wave=wave))


def test_the_table_says_what_its_errors_come_from() -> None:
    told = aggregate(*replicated("fay")).table.meta["standard_errors"]
    assert "fay (factor 0.3), 16 replicate weights rep1 to rep16" in told
    assert "correction N" in aggregate(*finite("fpc_psu")).table.meta["standard_errors"]


def test_bootstrap_of_psus_shrinks_with_the_finite_population() -> None:
    spread = []
    for fpc in (None, 0.75):
        made = changed(case(Design("w", "stratum", "psu")), fpc=fpc)
        drawn = resample_psus(
            [WaveQuestions(made.wave, made.questions, made.masks)],
            made.subpopulations,
            replicates=2000,
            seed=3,
        )
        spread.append(next(iter(drawn)).shares.std(axis=0))
    np.testing.assert_allclose(spread[1] / spread[0], 0.5, rtol=0.08)  # sqrt(1 - 0.75)


NAMES = ["PWGTP", *(f"PWGTP{i}" for i in range(1, 81)), "WREP001", "WREP002", "WREP010", "PWGTPX"]


@pytest.mark.parametrize("wanted", ["PWGTP*", "PWGTP1-PWGTP80", "pwgtp1 - pwgtp80"])
def test_columns_by_pattern_and_range(wanted: str) -> None:
    assert find_columns(wanted, NAMES, "here") == [f"PWGTP{i}" for i in range(1, 81)]


def test_columns_with_leading_zeros_and_columns_that_are_not_there() -> None:
    assert find_columns("WREP001-WREP002", NAMES, "here") == ["WREP001", "WREP002"]
    assert find_columns(["WREP010", "WREP001"], NAMES, "here") == ["WREP010", "WREP001"]
    for wanted in ("WREP001-WREP003", "BRR*", "PWGTP"):
        with pytest.raises(InputError, match="not in the file"):
            find_columns(wanted, NAMES, "here")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"replicates": {"columns": "r*", "method": "fay"}}, "Fay's factor"),
        ({"replicates": {"columns": "r*", "method": "jkn"}}, "rscales"),
        ({"replicates": {"columns": "r*", "method": "brr", "scale": 1}}, "own scale"),
        ({"replicates": {"columns": "r*", "method": "other"}}, "needs `scale`"),
        ({"replicates": {"columns": "r*", "method": "brr"}, "psu": "p"}, "leave strata, psu"),
        ({"replicates": {"columns": "r*", "method": "brr"}, "weight": None}, "needs the `weight`"),
        ({"weight": ["w"]}, "weight"),
        ({"where": {"country": True}}, "put it in quotes"),
    ],
)
def test_a_design_that_cannot_be_is_refused_when_read(fields: dict[str, Any], message: str) -> None:
    wave = {"family": "T", "wave": 1, "file": "f.sav", "groups": "gss", "weight": "w", **fields}
    recipe = {"name": "x", "citation": "x", "terms": "x", "redistribution": "none", "waves": [wave]}
    with pytest.raises(InputError) as caught:
        parse_curation(recipe, "here")
    assert message in str(caught.value)


def test_a_recipe_with_replicates_and_a_product_of_weights() -> None:
    """As the European Social Survey has weights, and the American Community Survey replicates."""
    columns: dict[str, Any] = dict(answers())
    rng = np.random.default_rng(5)
    columns["dweight"] = rng.uniform(0.5, 2, 400)
    columns["pweight"] = np.full(400, 0.37)  # one country: the same for all
    product = columns["dweight"] * columns["pweight"]
    signs = hadamard(8)[rng.integers(0, 8, 400)]
    columns |= {f"wr{i + 1}": product * (1 + 0.5 * signs[:, i]) for i in range(8)}
    design = {
        "weight": ["dweight", "pweight"],
        "replicates": {"columns": "wr*", "method": "fay", "fay": 0.5},
    }
    with tempfile.TemporaryDirectory() as folder:
        recipe, beside = load_curation(write_survey(Path(folder), columns, wave=design))
        curation = curate(recipe, [beside])
    row = curation.table.frame.filter(question_id="q2", group="Male").row(0, named=True)
    inside = columns["sex"] == 1
    onehot = columns["q2"][:, None] == np.array([1, 2, 3])

    def shares(weight: np.ndarray) -> Any:
        return (weight[inside, None] * onehot[inside]).sum(axis=0) / weight[inside].sum()

    whole = shares(product)
    assert row["distribution"] == pytest.approx(whole)
    deviations = [shares(columns[f"wr{i + 1}"]) - whole for i in range(8)]
    expected = np.sqrt(np.sum(np.square(deviations), axis=0) / (8 * 0.25))
    assert row["se"] == pytest.approx(expected)
    assert curation.waves[0].result.bases["weight"][0] == "dweight x pweight"


def test_a_factor_that_is_no_weight_is_refused() -> None:
    made = case(Design("w"))
    with pytest.raises(DataError, match="absent"):
        product_of_weights(made.wave, ["w", "pw"])
    negative = made.wave.respondents.with_columns(d=pl.col("trait") - 0.5)
    with pytest.raises(DataError, match="no weight"):
        product_of_weights(replace(made.wave, respondents=negative), ["w", "d"])


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
