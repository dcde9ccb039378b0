"""Shares of one question's options as another's: every map by hand."""

from __future__ import annotations

import numpy as np
import pytest

from opinioncast.methods.scale_map import OptionVectors, apply_map, option_map

PLANE = np.eye(2, dtype=np.float32)


def options(*ordinal: float, low: int = 0) -> OptionVectors:
    """Options at places; the lowest means one thing, the highest the other, others neither."""
    vectors = np.zeros((len(ordinal), 2), dtype=np.float32)
    on = [i for i, x in enumerate(ordinal) if x >= 0] or [0]
    vectors[min(on, key=lambda i: ordinal[i])] = PLANE[low]
    vectors[max(on, key=lambda i: ordinal[i])] = PLANE[1 - low]
    return OptionVectors([f"{x}" for x in ordinal], ordinal, vectors)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((1, 2), (1, 2), [[1, 0], [0, 1]]),
        ((1, 2), (1, 2, 3, 4), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]]),
        ((1, 2, 3), (1, 2), [[1, 0], [0.5, 0.5], [0, 1]]),
        # places 1, 2, 4 take a part of the scale each, up to the middle to the next: 2, 3 and 4 of
        # nine ninths; the half lies at 4.5
        ((1, 2, 4), (1, 2), [[1, 0], [5 / 6, 1 / 6], [0, 1]]),
        ((1, 2), (1, 1, 2), [[0.5, 0.5, 0], [0, 0, 1]]),  # options at one place share it
        ((1, 2, -1), (1, 2), [[1, 0], [0, 1], [0, 0]]),
        ((1, 2), (-1, 1, 2), [[0, 1, 0], [0, 0, 1]]),
        ((2, 1), (1, 2), [[0, 1], [1, 0]]),  # listed the other way round
    ],
)
def test_parts_of_a_scale(
    source: tuple[float, ...], target: tuple[float, ...], expected: list[list[float]]
) -> None:
    assert option_map(options(*source), options(*target)) == pytest.approx(np.array(expected))


def test_a_scale_that_runs_the_other_way_is_turned() -> None:
    found = option_map(options(1, 2, 4), options(1, 2, low=1))
    assert found == pytest.approx(np.array([[0, 1], [1 / 6, 5 / 6], [1, 0]]))


def test_options_without_a_scale_go_where_the_meaning_is() -> None:
    source = OptionVectors(["a", "b"], (-1, -1), PLANE)
    target = OptionVectors(["b", "a"], (1, 1), PLANE[::-1])
    unlike = np.exp(-10) / (1 + np.exp(-10))  # cosine 0 against 1, at a tenth
    assert option_map(source, target) == pytest.approx(
        np.array([[unlike, 1 - unlike], [1 - unlike, unlike]])
    )


@pytest.mark.parametrize(
    ("ordinal", "off", "scale"),
    [
        ((1, 2, -1), [False, False, True], True),
        ((-1, -1), [False, False], False),  # no scale: nothing is off it
        ((3, 3), [False, False], False),
        ((3, 3, -1), [False, False, True], False),
    ],
)
def test_what_is_off_the_scale(ordinal: tuple[float, ...], off: list[bool], scale: bool) -> None:
    side = OptionVectors(["x"] * len(ordinal), ordinal, np.zeros((len(ordinal), 2), np.float32))
    assert side.off.tolist() == off
    assert side.has_scale is scale


def test_shares_on_the_scale_and_off_it() -> None:
    source, target = options(1, 2, -1), options(1, 2)
    matrix = option_map(source, target)
    shares, outside = apply_map([0.12, 0.48, 0.4], source, matrix)
    assert shares.tolist() == pytest.approx([0.2, 0.8])
    assert outside == pytest.approx(0.4)
    shares, outside = apply_map([0.0, 0.0, 1.0], source, matrix)  # nobody is on it: even
    assert (shares.tolist(), outside) == (pytest.approx([0.5, 0.5]), 1.0)
    shares, outside = apply_map([0.2, 0.8], options(1, 2), option_map(options(1, 2), target))
    assert (shares.tolist(), outside) == (pytest.approx([0.2, 0.8]), None)
