"""Shares and standard errors equal those of R's survey package (svymean on domains).

The expected values in r_survey/*.csv were made by r_survey/make_fixtures.R from the cases below;
run as a script (``export FOLDER``), this file writes the cases for it. The synthetic respondents in
r_survey/respondents.csv are made of random numbers; of the real surveys only estimates are kept.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyreadstat
import pytest

from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.coding import code_answers
from opinioncast.curate.design import kish
from opinioncast.survey import Design, Missing, Question, Subpopulation, Variable, Wave

FOLDER = Path(__file__).parent / "r_survey"
SYNTHETIC = {
    "synthetic_weights": Design("w"),
    "synthetic_strata_psu": Design("w", "stratum", "psu"),
    "synthetic_strata": Design("w", "stratum"),
    "synthetic_psu": Design("w", None, "psu"),
    "synthetic_unweighted": Design(),
    "synthetic_lonely": Design("w", "stratum_lonely", "psu"),
}
REAL = ("real_gss_2016", "real_gss_2018", "real_anes_2020_example", "real_anes_2012")


class Case(NamedTuple):
    wave: Wave
    questions: list[tuple[Question, str]]
    subpopulations: list[Subpopulation]
    masks: np.ndarray


def _case(
    frame: pl.DataFrame,
    design: Design,
    codes: Mapping[str, Sequence[float]],
    groups: Mapping[str, np.ndarray],
) -> Case:
    variables, questions = {}, []
    for name, values in codes.items():
        options = tuple(f"option {i + 1}" for i in range(len(values)))
        others = set(frame[name].drop_nulls().unique().to_list()) - set(values)
        variables[name] = Variable(
            name,
            codes=tuple(map(float, values)),
            options=options,
            missing=dict.fromkeys(others, Missing.NOT_ASKED),
        )
        questions.append((Question(name, f"Wording of {name}?", options), name))
    masks = {"total": np.ones(frame.height, dtype=bool), **groups}
    return Case(
        Wave("TEST", "1", frame, variables, design),
        questions,
        [Subpopulation((("GROUP", name),)) for name in masks],
        np.array(list(masks.values())).T,
    )


def synthetic(name: str) -> Case:
    frame = pl.read_csv(FOLDER / "respondents.csv").cast(pl.Float64)
    region = frame["region"].to_numpy()
    groups = {f"region{r}": region == r for r in (1, 2, 3)} | {
        "rare": (frame["trait"] > 0.97).to_numpy(),
        "lonely": (frame["stratum_lonely"] >= 8).to_numpy(),
        "nobody": np.zeros(frame.height, dtype=bool),
    }
    codes = {"q2": (1, 2), "q4": (1, 2, 3, 4), "q5": (5, 4, 3, 2, 1)}
    return _case(frame, SYNTHETIC[name], codes, groups)


def real(name: str, data: Path) -> Case:
    if name.startswith("real_gss"):
        stem = name.removeprefix("real_")
        design = Design("wtssall", "vstrat", "vpsu")
        return _from_codebook(data / "gss", f"{stem}.zsav", stem, design)
    if name == "real_anes_2012":
        file = "timeseries_2012.zsav"
        return _from_codebook(data / "anes", file, file[:-5], Design("weight_full"))
    columns = ["V200010b", "V200010c", "V200010d", "V201006", "V201233", "V201237"]
    traits = ["V201600", "V201549x", "V201228"]
    path = data / "anes" / "anes_2020_stata_example.dta"
    frame, _ = pyreadstat.read_dta(str(path), output_format="polars", usecols=columns + traits)
    frame = frame.cast(pl.Float64)
    codes = {"V201006": (1, 2, 3), "V201233": (1, 2, 3, 4, 5), "V201237": (1, 2, 3, 4, 5)}
    groups = {
        f"{trait}_{code}": (frame[trait] == code).fill_null(False).to_numpy()
        for trait, highest in zip(traits, (2, 6, 3), strict=True)
        for code in range(1, highest + 1)
    }
    return _case(frame, Design("V200010b", "V200010d", "V200010c"), codes, groups)


def _from_codebook(folder: Path, file: str, stem: str, design: Design) -> Case:
    codebook = json.loads((folder / f"codebook_{stem}.json").read_text("utf-8"))
    attributes = json.loads((folder / f"groups_{stem}.json").read_text("utf-8"))["attributes"]
    codes = {e["variable"]: e["codes"] for e in codebook[:: len(codebook) // 10]}
    specs = {
        "".join(c for c in f"{attribute}_{group}" if c.isalnum() or c == "_"): spec
        for attribute, entry in attributes.items()
        for group, spec in entry["groups"].items()
        if attribute in {"SEX", "AGE", "RACE", "RELIG"} and spec["n"]
    }
    traits = {v for spec in specs.values() for v in _variables(spec)}
    names = [c for c in (design.weight, design.strata, design.psu) if c]
    frame, _ = pyreadstat.read_sav(
        str(folder / file),
        output_format="polars",
        user_missing=True,
        usecols=sorted({*codes, *traits, *names}),
    )
    frame = frame.cast(pl.Float64)
    return _case(frame, design, codes, {name: _members(frame, s) for name, s in specs.items()})


def _variables(spec: Mapping[str, Any]) -> list[str]:
    parts = [p for how in ("all", "any", "none") for p in spec.get(how, [])]
    return [spec["variable"]] if "variable" in spec else [v for p in parts for v in _variables(p)]


def _members(frame: pl.DataFrame, spec: Mapping[str, Any]) -> np.ndarray:
    for how, combine in (("all", np.all), ("any", np.any), ("none", np.any)):
        if how in spec:
            members = combine([_members(frame, part) for part in spec[how]], axis=0)
            return ~members if how == "none" else members
    values = frame[spec["variable"]].to_numpy()
    if "codes" in spec:
        return np.isin(values, spec["codes"])
    return (values >= spec["min"]) & (values <= spec["max"])


def _compare(name: str, case: Case, lonely: Any) -> None:
    kind = name.split("_")[0]
    expected = pl.read_csv(FOLDER / f"{kind}.csv").filter(
        (pl.col("case") == name) & (pl.col("lonely") == lonely)
    )
    table = aggregate(*case, lonely_psu=lonely).table.frame
    got = (
        table.select("group", "n", question="question_id", share="distribution", se="se")
        .with_columns(option=pl.int_ranges(1, pl.col("share").list.len() + 1))
        .explode("share", "se", "option")
    )
    both = expected.join(got, on=["question", "group", "option"], how="left", suffix="_got")
    assert both.height == expected.height > 0
    assert both["share_got"].null_count() == 0
    used = both.select("question", "group").unique().height
    assert used == table.height, "R and aggregate() estimated different cells"
    np.testing.assert_allclose(both["share_got"], both["share"], rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(
        both["se_got"].fill_null(np.nan), both["se"].fill_null(np.nan), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_array_equal(both["n_got"], both["n"])


@pytest.mark.parametrize("name", [n for n in SYNTHETIC if n != "synthetic_lonely"])
def test_synthetic_respondents(name: str) -> None:
    _compare(name, synthetic(name), "fail")


@pytest.mark.parametrize("policy", ["certainty", "adjust", "average"])
def test_lonely_psu_policies(policy: str) -> None:
    _compare("synthetic_lonely", synthetic("synthetic_lonely"), policy)


@pytest.mark.parametrize("name", REAL)
def test_real_surveys(name: str, shared_data: Path) -> None:
    _compare(name, real(name, shared_data), "fail")


def test_effective_n_of_a_real_survey_without_strata_is_kish(shared_data: Path) -> None:
    case = real("real_anes_2012", shared_data)
    choice = code_answers(case.wave, case.questions).choice
    weight = case.wave.respondents["weight_full"].to_numpy()
    frame = aggregate(*case).table.frame
    for g, subpopulation in enumerate(case.subpopulations):
        rows = frame.filter(pl.col("group") == subpopulation.group)
        for q, (question, _) in enumerate(case.questions):
            row = rows.filter(pl.col("question_id") == question.question_id)
            answered = (choice[:, q] >= 0) & case.masks[:, g]
            assert row["n_eff"].to_list() == pytest.approx([kish(weight[answered])])


def _respondents(seed: int = 20181) -> pl.DataFrame:
    """400 made-up respondents: 9 strata of 2 or 3 PSUs."""
    rng = np.random.default_rng(seed)
    n = 400
    stratum = rng.integers(1, 10, n)
    psu = rng.integers(1, np.where(stratum % 3 == 0, 4, 3))
    effect = rng.normal(0, 0.7, (10, 4))[stratum, psu]

    def answer(options: int) -> np.ndarray:
        cut = np.quantile(rng.normal(size=1000), np.arange(1, options) / options)
        return 1 + np.searchsorted(cut, effect + rng.normal(size=n))

    split = {(9, 1): 10, (8, 2): 11}  # leaves strata 8, 10 and 11 with one PSU each
    lonely = [split.get((h, j), h) for h, j in zip(stratum.tolist(), psu.tolist(), strict=True)]
    return pl.DataFrame(
        {
            "stratum": stratum,
            "stratum_lonely": lonely,
            "psu": psu,
            "w": np.round(rng.lognormal(0, 0.6, n), 4),
            "region": rng.integers(1, 4, n),
            "trait": np.round(rng.random(n), 4),
            **{f"q{k}": np.where(rng.random(n) < 0.2, 99, answer(k)) for k in (2, 4, 5)},
        }
    )


def _export(case: Case, path: Path) -> None:
    choice = code_answers(case.wave, case.questions).choice
    design, frame = case.wave.design, case.wave.respondents
    names = {"stratum": design.strata, "psu": design.psu, "w": design.weight}
    pl.DataFrame(
        {k: frame[v] for k, v in names.items() if v}
        | {f"q_{q.question_id}": choice[:, i] + 1 for i, (q, _) in enumerate(case.questions)}
        | {f"g_{s.group}": case.masks[:, i] for i, s in enumerate(case.subpopulations)}
    ).with_columns(pl.col("^q_.*$").replace(0, None), pl.col("^g_.*$").cast(pl.Int8)).write_csv(
        path
    )


if __name__ == "__main__":
    target = Path(sys.argv[2])
    _respondents().write_csv(FOLDER / "respondents.csv")
    for synthetic_name in SYNTHETIC:
        _export(synthetic(synthetic_name), target / f"{synthetic_name}.csv")
    for real_name in REAL:
        _export(real(real_name, Path(os.environ["OPINIONCAST_DATA"])), target / f"{real_name}.csv")
