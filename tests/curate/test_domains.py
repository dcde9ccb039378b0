"""``where`` is a domain of the full design, ``sample`` another sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made_up_survey import answers, write_survey

from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.domains import cut, only
from opinioncast.curate.pipeline import Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import InputError
from opinioncast.jobs.curate import bounds_of
from opinioncast.survey import Design, Question, Subpopulation, Variable, Wave

FIXTURES = Path(__file__).parent / "r_survey"


def run(recipe: Path, groups: list[str]) -> Curation:
    loaded, beside = load_curation(recipe)
    return curate(loaded.model_copy(update={"groups": tuple(groups)}), [beside])


def survey(n: int = 400) -> dict[str, Any]:
    rng = np.random.default_rng(9)
    columns: dict[str, Any] = dict(answers(n))
    columns["stratum"] = rng.integers(1, 6, n).astype(float)
    columns["psu"] = rng.integers(1, 4, n).astype(float)
    columns["party"] = rng.integers(1, 4, n).astype(float)
    return columns


DESIGNS: list[dict[str, Any]] = [
    {"strata": "stratum", "psu": "psu"},
    {"strata": "stratum"},
    {},
    {"strata": "stratum", "psu": "psu", "fpc": 0.4},
    {"fpc": 900},
]


@pytest.mark.parametrize("design", DESIGNS)
def test_a_filter_gives_what_the_same_people_give_as_a_group(
    tmp_path: Path, design: dict[str, Any]
) -> None:
    columns = survey()
    as_group = run(write_survey(tmp_path / "a", columns, wave=design), ["SEX=Male"])
    for where in ({"sex": 1}, {"sex": "male"}, {"sex": [1, 3]}):
        filtered = run(
            write_survey(tmp_path / "b", columns, wave={**design, "where": where}), ["total"]
        )
        both = as_group.table.frame.join(filtered.table.frame, on="question_id", suffix="_w")
        assert both.height == len(as_group.table) == len(filtered.table)
        for column in ("distribution", "se"):
            np.testing.assert_allclose(
                both[column].explode(), both[f"{column}_w"].explode(), rtol=1e-12
            )
        assert both["n"].equals(both["n_w"].alias("n"))
        np.testing.assert_allclose(both["n_eff"], both["n_eff_w"])
        wave = filtered.waves[0]
        assert len(wave.wave) == int((columns["sex"] == 1).sum()) < len(wave.sample) == 400
        assert any("a domain" in note for note in wave.notes)


def test_standard_errors_of_a_domain_equal_r() -> None:
    """R's ``subset`` of the design, from the fixtures of test_r_survey, through ``domain``."""
    frame = pl.read_csv(FIXTURES / "respondents.csv").cast(pl.Float64)
    expected = pl.read_csv(FIXTURES / "synthetic.csv").filter(
        case="synthetic_strata_psu", lonely="fail", question="q2"
    )
    variable = Variable("q2", codes=(1.0, 2.0), options=("a", "b"))
    wave = Wave("T", "1", frame, {"q2": variable}, Design("w", "stratum", "psu"))
    question = Question("q2", "Is it so?", ("a", "b"))
    for region in (1, 2, 3):
        domain = (frame["region"] == region).to_numpy()
        got = aggregate(
            wave, [(question, "q2")], [Subpopulation()], domain[:, None], domain=domain
        ).table.frame
        r = expected.filter(group=f"region{region}").sort("option")
        np.testing.assert_allclose(got["se"][0], r["se"], rtol=1e-6)
        np.testing.assert_allclose(got["distribution"][0], r["share"], rtol=1e-6)


def test_people_outside_the_domain_need_no_weight_and_are_counted_nowhere(tmp_path: Path) -> None:
    columns = survey()
    columns["w"] = np.where(columns["sex"] == 2, np.nan, columns["w"])
    recipe = write_survey(tmp_path, columns, wave={"where": {"sex": 1}})
    curation = run(recipe, ["total", "CREGION=South"])
    (wave,) = curation.waves
    male = columns["sex"] == 1
    counted = wave.result.bases.filter(question_id="q2", group="South")["n_group"][0]
    assert counted == int((male & (columns["region"] == 1)).sum())
    assert any(f"of {male.sum()} in none of its groups" in note for note in wave.notes)


def test_a_sample_is_cut_before_the_design(tmp_path: Path) -> None:
    columns = survey()
    year = np.repeat([2016.0, 2018.0], 200)
    columns["year"] = year
    half = {k: v[year == 2018] for k, v in columns.items()}
    design = {"strata": "stratum", "psu": "psu"}
    cut_here = run(
        write_survey(tmp_path / "a", columns, wave={**design, "sample": {"year": 2018}}), ["total"]
    )
    by_hand = run(write_survey(tmp_path / "b", half, wave=design), ["total"])
    assert cut_here.table.frame.equals(by_hand.table.frame)


@pytest.mark.slow
@settings(max_examples=100)
@given(st.lists(st.sampled_from([1.0, 2.0, 3.0, None]), min_size=3, max_size=30), st.data())
def test_conditions_against_plain_python(values: list[float | None], data: st.DataObject) -> None:
    labels = {1.0: "North", 2.0: "South", 3.0: "East"}
    variable = Variable("r", codes=tuple(labels), options=tuple(labels.values()))
    texts = [labels.get(v) if v else None for v in values]
    frame = pl.DataFrame({"r": values, "t": texts}, schema={"r": pl.Float64, "t": pl.String})
    wave = Wave("T", "1", frame, {"r": variable})
    wanted = data.draw(st.sets(st.sampled_from([1.0, 2.0, 3.0]), min_size=1))
    expected = [v in wanted for v in values]
    if not any(expected):
        return
    names = tuple(labels[w] for w in wanted)
    assert only(wave, {"r": tuple(wanted)}, "where").tolist() == expected
    assert only(wave, {"r": names}, "where").tolist() == expected
    there = tuple(name for name in names if name in texts)  # one that nobody has is refused
    assert only(wave, {"t": there}, "where").tolist() == expected
    kept = cut(wave, only(wave, {"r": tuple(wanted), "t": there}, "where"))
    assert len(kept) == sum(expected)


def test_conditions_that_cannot_be_are_refused() -> None:
    frame = pl.DataFrame({"r": [1.0, 2.0], "t": ["a", "b"]})
    wave = Wave("T", "1", frame, {"r": Variable("r", codes=(1.0,), options=("North",))})
    with pytest.raises(InputError, match="value label"):
        only(wave, {"r": "Nort"}, "where")
    with pytest.raises(InputError, match="numbers for a text"):
        only(wave, {"t": 1.0}, "where")


def test_bounds_resample_the_whole_design(tmp_path: Path) -> None:
    design = {"strata": "stratum", "psu": "psu", "where": {"sex": 1}}
    recipe = write_survey(
        tmp_path, survey(), wave=design, bounds={"replicates": 30, "resample": "psus"}
    )
    loaded, beside = load_curation(recipe)
    for resample in ("psus", "respondents"):
        table = bounds_of(loaded.with_bounds({"resample": resample}), [beside]).groups
        assert table.height >= 2


def test_texts_of_a_condition_are_there_and_numbers_in_quotes_are_numbers() -> None:
    frame = pl.DataFrame({"land": ["DE", "AT ", None], "zone": [1.0, 2.0, 1.0]})
    wave = Wave("T", "1", frame, {n: Variable(n) for n in frame.columns})
    assert only(wave, {"land": ("DE", "AT")}, "where").tolist() == [True, True, False]
    assert only(wave, {"zone": "01"}, "where").tolist() == [True, False, True]
    with pytest.raises(InputError, match="does not have") as error:
        only(wave, {"land": ("DE", "Austria")}, "where")
    assert error.value.found == "Austria"
