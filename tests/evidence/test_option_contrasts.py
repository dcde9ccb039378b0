"""Contrasts between options: by hand, and what must hold of every scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.small import EVERYONE, MEN, MODEL, TRUST, WOMEN

from opinioncast.evidence.logit import contrasts
from opinioncast.evidence.option_contrasts import (
    ALONG,
    BEND,
    NO_SCALE,
    OFF,
    REST,
    contrasts_of,
)


def test_by_hand() -> None:
    three = contrasts_of((1, 2, 3))
    assert three.kinds == (ALONG, BEND)
    assert three.basis[:, 0] == pytest.approx(np.array([-1, 0, 1]) / np.sqrt(2))
    assert three.basis[:, 1] == pytest.approx(np.array([1, -2, 1]) / np.sqrt(6))
    off = contrasts_of((2, 1, -1))
    assert off.kinds == (ALONG, OFF)
    assert off.basis[:, 0] == pytest.approx(np.array([1, -1, 0]) / np.sqrt(2))
    assert off.basis[:, 1] == pytest.approx(np.array([-1, -1, 2]) / np.sqrt(6))
    assert contrasts_of((0, 0, 0)).kinds == (NO_SCALE, NO_SCALE)
    assert contrasts_of((1, 1, 2, 4, 4)).kinds == (ALONG, BEND, REST, REST)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([-1.0, 0.0, 1.0, 2.0, 2.5, 7.0, 100.0]), min_size=2, max_size=9))
def test_they_are_orthonormal_whatever_the_scale(ordinal: list[float]) -> None:
    own = contrasts_of(ordinal)
    k = len(ordinal)
    assert own.basis.shape == (k, k - 1)
    assert len(own.kinds) == k - 1
    assert np.allclose(own.basis.T @ own.basis, np.eye(k - 1), atol=1e-8)
    assert np.allclose(own.basis.sum(axis=0), 0, atol=1e-8)
    assert np.allclose(own.basis @ own.rotation, contrasts(k), atol=1e-8)


def test_a_scale_turned_round_is_the_same() -> None:
    """The prior of eta, covariance between options included, does not depend on the order."""
    values = np.array([[2.0, 0.4], [0.7, 0.1], [0.7, 0.1]])

    def of_eta(ordinal: tuple[float, ...]) -> np.ndarray:
        basis = np.kron(contrasts(4), np.eye(2))
        return np.asarray(basis @ contrasts_of(ordinal).across(values) @ basis.T)

    forward, back = of_eta((1, 2, 3, 4)), of_eta((4, 3, 2, 1))
    assert np.allclose(forward, back)
    # eta of option k and feature f varies with sum over contrasts of basis squared times variance
    basis = contrasts_of((1, 2, 3, 4)).basis
    assert np.diag(forward).reshape(4, 2) == pytest.approx(basis**2 @ values)


def test_what_is_expected_in_the_questions_own_contrasts() -> None:
    """The same, worked out for each contrast by itself."""
    predicted = {
        EVERYONE: np.array([0.3, 0.4, 0.3]),
        MEN: np.array([0.5, 0.3, 0.2]),
        WOMEN: np.array([0.1, 0.5, 0.4]),
    }
    expected = MODEL.expected(predicted, TRUST.ordinal)
    own = contrasts_of(TRUST.ordinal)
    cells, _, _ = MODEL.frame.cells(list(predicted))
    columns = MODEL.prior.design(MODEL.frame.groups, MODEL.frame.members)
    away = cells @ columns - MODEL.frame.weights @ columns
    shares = np.array(list(predicted.values()))
    gap = (np.log(shares) - np.log(shares[0])) @ own.basis
    told = columns @ MODEL.prior.directions.columns @ (own.rotation @ expected.mean)[:, 1:].T
    for d, covariance in enumerate((MODEL.prior.covariance, MODEL.prior.other)):
        gain = covariance @ away.T @ np.linalg.inv(away @ covariance @ away.T + 0.5 * np.eye(3))
        assert told[:, d] == pytest.approx(columns @ gain @ gap[:, d], abs=2e-3)
    assert expected.covariance @ expected.precision == pytest.approx(
        np.eye(len(expected.precision))
    )
