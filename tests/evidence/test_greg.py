"""The generalised-regression estimate: against R's survey, by hand, and over repeated samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.curate.design import SampleDesign
from opinioncast.errors import InputError
from opinioncast.evidence.greg import Answered, mean_prediction

FIXTURES = Path(__file__).parent / "r_greg"


def test_equal_to_rs_survey() -> None:
    """`calibrate` to the known mean of the prediction; the residuals' `svymean` for the error."""
    people = pl.read_csv(FIXTURES / "respondents.csv")
    expected = {r["case"]: r for r in pl.read_csv(FIXTURES / "expected.csv").iter_rows(named=True)}
    f = people["f"].to_numpy()
    weights = people["w"].to_numpy()
    _, stratum = np.unique(people["stratum"].to_numpy(), return_inverse=True)
    pairs, psu = np.unique(stratum * 1000 + people["psu"].to_numpy(), return_inverse=True)
    clustered = SampleDesign(
        psu.astype(np.intp), (pairs // 1000).astype(np.intp), tuple("1234"), "fail", np.ones(4)
    )
    for case, design in {"clustered": clustered, "plain": None}.items():
        answered = Answered(people["y"].to_numpy(), weights, np.column_stack([1 - f, f]), design)
        found = answered.estimate(np.array([0.58, 0.42]), np.ones(len(f), dtype=bool))
        r = expected[case]
        assert answered.power() == pytest.approx(r["slope"], rel=1e-8)
        assert found.shares[1] == pytest.approx(r["calibrated"], rel=1e-8)
        assert found.errors[1] == pytest.approx(r["residual_se"], rel=1e-8)
        # R's own error of a calibrated mean weighs residuals by the calibrated weights
        assert found.errors[1] == pytest.approx(r["calibrated_se"], rel=0.05)
        assert found.plain[1] == pytest.approx(r["plain"], rel=1e-8)
        assert found.plain_errors[1] == pytest.approx(r["plain_se"], rel=1e-8)


def test_by_hand() -> None:
    # four people, weights 1: y = 1, 1, 0, 0; f = 0.8, 0.6, 0.4, 0.2, population mean 0.6
    f = np.array([0.8, 0.6, 0.4, 0.2])
    answered = Answered(np.array([1, 1, 0, 0]), np.ones(4), np.column_stack([1 - f, f]))
    # Cov = mean(y f) - 1/2 1/2 = 0.35 - 0.25, Var = 0.05
    assert answered.power() == pytest.approx(2.0)
    found = answered.estimate(np.array([0.4, 0.6]), np.ones(4, dtype=bool))
    assert found.shares == pytest.approx([0.3, 0.7])  # 0.5 + 2 (0.6 - 0.5)
    residual = np.array([1, 1, 0, 0]) - 2 * f
    assert found.errors[1] == pytest.approx(np.sqrt(residual.var(ddof=1) / 4))
    assert found.gain == pytest.approx(0.25 / residual.var() - 1)


@given(st.integers(0, 10_000), st.integers(2, 5))
def test_shares_sum_to_one_and_useless_predictions_change_nothing(seed: int, options: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    f = rng.dirichlet(np.ones(options), n)
    answered = Answered(rng.integers(-1, options, n), rng.uniform(0.2, 3, n), f)
    group = rng.random(n) < 0.7
    group[answered.counted.argmax()] = True
    population = rng.dirichlet(np.ones(options))
    found = answered.estimate(population, group)
    assert found.shares.sum() == pytest.approx(1)
    same = Answered(answered.choice, answered.weights, np.tile(population, (n, 1)))
    assert same.power() == 0
    flat = same.estimate(population, group)
    assert flat.shares == pytest.approx(flat.plain)
    assert flat.gain == pytest.approx(0, abs=1e-9)


@pytest.mark.slow
def test_unbiased_with_an_honest_error_however_wrong_the_predictions() -> None:
    """600 stratified samples with unequal weights from one population of 20,000."""
    rng = np.random.default_rng(7)
    size, n = 20_000, 200
    kind = rng.integers(0, 4, size)
    truth = np.array([0.15, 0.4, 0.6, 0.85])[kind]
    chose = (rng.random(size) < truth).astype(int)
    stratum = (rng.random(size) < 0.2).astype(int)
    members = [np.flatnonzero(stratum == s) for s in (0, 1)]
    fraction = np.array([100 / len(members[0]), 100 / len(members[1])])
    right, wrong = truth, np.array([0.7, 0.9, 0.75, 0.95])[kind]
    unit = np.repeat([0, 1], 100).astype(np.intp)
    design = SampleDesign(np.arange(n), unit, ("a", "b"), "fail", np.ones(2))
    found: dict[str, list[tuple[float, float, float, float]]] = {"right": [], "wrong": []}
    for _ in range(600):
        drawn = np.concatenate([rng.choice(m, 100) for m in members])
        weights = 1 / fraction[stratum[drawn]]
        for name, f in (("right", right), ("wrong", wrong)):
            answered = Answered(
                chose[drawn], weights, np.column_stack([1 - f[drawn], f[drawn]]), design
            )
            e = answered.estimate(np.array([1 - f.mean(), f.mean()]), np.ones(n, dtype=bool))
            found[name].append((e.shares[1], e.errors[1], e.plain[1], e.plain_errors[1]))
    target = chose.mean()
    for name, draws in found.items():
        share, error, plain, plain_error = np.array(draws).T
        spread = share.std()
        assert share.mean() == pytest.approx(target, abs=4 * spread / np.sqrt(600) + 0.002)
        assert error.mean() == pytest.approx(spread, rel=0.1)
        held = np.abs(share - target) <= 1.645 * error
        assert held.mean() == pytest.approx(0.9, abs=0.04)
        if name == "right":
            assert spread < 0.9 * plain.std()
        else:
            assert spread < 1.05 * plain_error.mean()


def test_a_group_is_a_domain() -> None:
    rng = np.random.default_rng(1)
    n = 400
    f = rng.uniform(0.2, 0.8, n)
    y = (rng.random(n) < f).astype(int)
    group = rng.random(n) < 0.3
    answered = Answered(y, np.ones(n), np.column_stack([1 - f, f]))
    whole = np.where(group, y, -1)
    alone = Answered(whole, np.ones(n), answered.predicted)
    power = answered.power()
    everyone = np.ones(n, dtype=bool)
    one = answered.estimate(np.array([0.5, 0.5]), group)
    other = alone.estimate(np.array([0.5, 0.5]), everyone, power)
    assert one.shares == pytest.approx(other.shares)
    assert one.errors == pytest.approx(other.errors)
    assert one.n == int(group.sum())


def test_what_cannot_be_estimated() -> None:
    f = np.full((3, 2), 0.5)
    with pytest.raises(InputError, match="Nobody answered"):
        Answered(np.array([-1, 0, 1]), np.array([1.0, 0.0, 0.0]), f)
    with pytest.raises(InputError, match="no distribution"):
        Answered(np.array([0, 0, 1]), np.ones(3), f * 1.1)
    with pytest.raises(InputError, match="fit together"):
        Answered(np.array([0, 1]), np.ones(3), f)
    with pytest.raises(InputError, match="in the group"):
        Answered(np.array([0, 1, -1]), np.ones(3), f).estimate(
            np.array([0.5, 0.5]), np.array([False, False, True])
        )


def test_a_person_gets_the_mean_of_his_groups() -> None:
    predicted = np.array([[[0.2, 0.8], [0.4, 0.6]], [[0.1, 0.9], [0.0, 0.0]]])
    told = np.array([[True, True], [True, False]])
    found, filled = mean_prediction(predicted, told, np.array([0.5, 0.5]))
    np.testing.assert_allclose(found, [[0.3, 0.7], [0.3, 0.7]])
    assert filled == 1
