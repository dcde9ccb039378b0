"""The posterior against brute force, a sampler, and what must hold at the ends."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.evidence.logit import (
    Counts,
    Message,
    Piece,
    Shares,
    contrasts,
    drawn_cells,
    posterior,
    probabilities,
    told_cells,
)
from opinioncast.evidence.past import Memory, from_past
from opinioncast.evidence.people import Array


def brute_force(
    mean: Array, pieces: list[Piece], features: Array, cells: Array
) -> tuple[Array, Array]:
    """Mean and standard deviation of cells' shares by adding up over a grid of theta."""
    axis = np.linspace(-5, 5, 61)
    weight, first, second = 0.0, np.zeros(()), np.zeros(())
    for values in itertools.product(axis, repeat=mean.size):
        theta = np.array(values).reshape(mean.shape)
        log = -0.5 * ((theta - mean) ** 2).sum() - sum(p.value(theta) for p in pieces)
        shares = cells @ probabilities(features, theta)
        chance = np.exp(log)
        weight += chance
        first = first + chance * shares
        second = second + chance * shares**2
    centre = first / weight
    return centre, np.sqrt(np.maximum(second / weight - centre**2, 0))


def sampled(mean: Array, pieces: list[Piece], steps: int, seed: int) -> Array:
    """Random-walk Metropolis, (steps, theta's size)."""
    rng = np.random.default_rng(seed)
    fitted = posterior(mean, pieces)
    jump = np.linalg.cholesky(fitted.covariance) * 2.4 / np.sqrt(mean.size)

    def log(theta: Array) -> float:
        off = float(((theta - mean) ** 2).sum())
        return -0.5 * off - sum(p.value(theta) for p in pieces)

    theta = fitted.mean
    now = log(theta)
    chain = []
    for _ in range(steps):
        other = theta + (jump @ rng.standard_normal(mean.size)).reshape(mean.shape)
        new = log(other)
        if np.log(rng.random()) < new - now:
            theta, now = other, new
        chain.append(theta.ravel())
    return np.array(chain)


FEATURES = np.array([[1.2, 0.5], [1.2, -0.5]])


@pytest.mark.slow
def test_laplace_is_near_brute_force() -> None:
    mean = np.array([[0.3, 0.1]])
    counts = np.array([[9.0, 4.0], [5.0, 12.0]])
    pieces: list[Piece] = [Counts(FEATURES, np.ones((2, 1)), counts)]
    cells = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])
    centre, spread = brute_force(mean, pieces, FEATURES, cells)
    told, drawn = told_cells(FEATURES, cells, posterior(mean, pieces), 8000, 1)
    assert np.abs(told - centre).max() < 0.01
    assert np.abs(drawn.std(axis=0) - spread).max() < 0.01


@pytest.mark.slow
def test_laplace_is_near_a_sampler() -> None:
    rng = np.random.default_rng(3)
    features = np.hstack([np.full((40, 1), 1.2), rng.normal(size=(40, 4)) * 0.4])
    counts = rng.multinomial(1, [0.5, 0.3, 0.2], 40).astype(float)
    mean = np.zeros((2, 5))
    pieces: list[Piece] = [Counts(features, np.ones((40, 1)), counts)]
    chain = sampled(mean, pieces, 12_000, 5)[2000::10].reshape(-1, 2, 5)
    cells = np.full((1, 40), 1 / 40)
    wanted = drawn_cells(features, cells, chain)
    told, found = told_cells(features, cells, posterior(mean, pieces), 4000, 2)
    assert np.abs(told - wanted.mean(axis=0)).max() < 0.01
    quantiles = [np.quantile(d, [0.05, 0.95], axis=0) for d in (found, wanted)]
    assert np.abs(quantiles[0] - quantiles[1]).max() < 0.03


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("options", [2, 4])
def test_gradients_are_those_of_the_value(rows: int, options: int) -> None:
    rng = np.random.default_rng(rows + options)
    features = rng.normal(size=(5 * rows, 3))
    chance = rng.dirichlet(np.ones(rows), 5)
    counts = rng.poisson(3, (5, options)).astype(float)
    cells = rng.dirichlet(np.ones(5 * rows), 2)
    root = rng.normal(size=(2 * (options - 1),) * 2)
    shares = rng.dirichlet(np.ones(options), 2)
    theta = rng.normal(size=(options - 1, 3))
    precision = np.eye(theta.size)
    for piece in (
        Counts(features, chance, counts),
        Shares(features, cells, shares, root @ root.T),
        Message(rng.normal(size=theta.size), precision),
    ):
        _, gradient, _ = piece.step(theta)
        for i in range(theta.size):
            off = np.zeros(theta.size)
            off[i] = 1e-5
            moved = off.reshape(theta.shape)
            slope = (piece.value(theta + moved) - piece.value(theta - moved)) / 2e-5
            assert gradient[i] == pytest.approx(slope, rel=1e-4, abs=1e-5)


def test_no_evidence_gives_the_prior() -> None:
    mean = np.array([[0.4, -0.2], [0.1, 0.3]])
    fitted = posterior(mean, [])
    assert np.allclose(fitted.mean, mean)
    assert np.allclose(fitted.covariance, np.eye(4))
    covariance = np.diag([2.0, 0.5, 1.0, 3.0]) + 0.1
    fitted = posterior(mean, [], precision=np.asarray(np.linalg.inv(covariance), float))
    assert np.allclose(fitted.mean, mean)
    assert np.allclose(fitted.covariance, covariance)


def test_contrasts_are_orthonormal_and_leave_out_the_level() -> None:
    for options in range(2, 8):
        basis = contrasts(options)
        assert np.allclose(basis.T @ basis, np.eye(options - 1))
        assert np.allclose(basis.sum(axis=0), 0)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(4)), st.integers(0, 50))
def test_order_of_evidence_does_not_matter(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = np.eye(2)
    pieces: list[Piece] = [
        Counts(FEATURES, np.ones((2, 1)), rng.poisson(4, (2, 2)).astype(float)),
        Counts(FEATURES, np.ones((2, 1)), rng.poisson(9, (2, 2)).astype(float)),
        Shares(FEATURES, cells, rng.dirichlet([3, 3], 2), 50 * np.eye(2)),
        Message(np.array([0.3, 0.2]), np.eye(2)),
    ]
    mean = np.zeros((1, 2))
    one = posterior(mean, pieces)
    other = posterior(mean, [pieces[i] for i in order])
    assert np.allclose(one.mean, other.mean, atol=1e-3)
    assert np.allclose(one.covariance, other.covariance, atol=1e-3)


def test_two_halves_of_a_pilot_are_the_whole() -> None:
    counts = np.array([[9.0, 4.0], [5.0, 12.0]])
    half = Counts(FEATURES, np.ones((2, 1)), counts / 2)
    mean = np.zeros((1, 2))
    whole = posterior(mean, [Counts(FEATURES, np.ones((2, 1)), counts)])
    assert np.allclose(posterior(mean, [half, half]).mean, whole.mean, atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_long_past_says_nothing_and_no_time_says_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=(1, 2)) * 0.3
    piece = Counts(FEATURES, np.ones((2, 1)), rng.poisson(8, (2, 2)).astype(float) + 1)
    memory = Memory({"scale": 10.0}, {"scale": 10.0})
    long_ago = posterior(mean, from_past(mean, [(1000.0, [piece])], memory, "scale"))
    assert np.allclose(long_ago.mean, mean, atol=1e-3)
    just_now = posterior(mean, from_past(mean, [(1e-9, [piece])], memory, "scale"))
    assert np.allclose(just_now.mean, posterior(mean, [piece]).mean, atol=1e-3)


def test_a_prior_that_is_no_unit_one_is_the_same_in_other_units() -> None:
    """Features halved and coefficients doubled: the same shares, with a past wave too."""
    rng = np.random.default_rng(4)
    counts = rng.poisson(6, (2, 3)).astype(float)
    whole = Counts(FEATURES, np.ones((2, 1)), counts)
    half = Counts(FEATURES / 2, np.ones((2, 1)), counts)
    mean = rng.normal(size=(2, 2)) * 0.3
    memory = Memory({"scale": 10.0}, {"scale": 20.0})
    covariance = 4 * np.eye(4)
    one = posterior(mean, [whole, *from_past(mean, [(4.0, [whole])], memory, "scale")])
    past = from_past(2 * mean, [(4.0, [half])], memory, "scale", covariance)
    other = posterior(
        2 * mean, [half, *past], precision=np.asarray(np.linalg.inv(covariance), float)
    )
    assert np.allclose(other.mean, 2 * one.mean, atol=1e-3)
    assert np.allclose(other.covariance, 4 * one.covariance, atol=1e-3)


def test_older_waves_reach_the_present_through_the_younger() -> None:
    """Against the joint normal of three years, written out."""
    mean = np.zeros((1, 1))
    memory = Memory({"scale": 8.0}, {"scale": 8.0})
    pieces = {
        6.0: Message(np.array([3.0]), np.eye(1) * 4),
        2.0: Message(np.array([-1.0]), np.eye(1)),
    }
    got = posterior(mean, from_past(mean, [(y, [p]) for y, p in pieces.items()], memory, "scale"))
    times = np.array([0.0, 2.0, 6.0])
    covariance = np.exp(-np.abs(times[:, None] - times) / 8)
    precision = np.linalg.inv(covariance) + np.diag([0.0, 1.0, 4.0])
    wanted = np.linalg.solve(precision, [0.0, -1.0, 3.0])[0]
    assert got.mean[0, 0] == pytest.approx(wanted, abs=1e-6)
    assert got.covariance[0, 0] == pytest.approx(np.linalg.inv(precision)[0, 0], abs=1e-6)
