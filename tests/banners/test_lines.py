from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from opinioncast.banners.lines import mean_label, mean_range, net_range, nets, scale_moments
from opinioncast.survey import Question

AGREE = Question(
    "agree", "Do you agree?", ("Fully", "Partly", "Hardly", "Not", "Not sure"), (1, 2, 3, 4, -1)
)


def test_nets_are_of_positions_and_go_as_listed() -> None:
    assert [n.options for n in nets(AGREE, 2)] == [(0, 1), (2, 3)]
    assert [n.options for n in nets(AGREE, 1)] == [(0,), (3,)]
    assert nets(AGREE, 3) == ()
    assert nets(AGREE, 0) == ()
    listed_down = Question("d", "How much?", ("A lot", "Some", "Little", "None"), (4, 3, 2, 1))
    assert [n.options for n in nets(listed_down, 2)] == [(0, 1), (2, 3)]
    tied = Question("t", "?", ("a", "b", "c", "d", "e"), (1, 1, 2, 3, 4))
    assert nets(tied, 2)[0].options == (0, 1, 2)  # two options stand on one position
    assert nets(Question("n", "Which?", ("a", "b", "c", "d")), 2) == ()
    assert mean_label(AGREE) == "Mean (1 = Fully, 4 = Not)"


def test_moments_leave_out_who_is_off_the_scale() -> None:
    mean, variance, size = scale_moments(
        np.array([[0.4, 0.2, 0.1, 0.1, 0.2], [0, 0, 0, 0, 1.0]]), np.array(AGREE.ordinal)
    )
    # by hand: (0.4 + 0.4 + 0.3 + 0.4) / 0.8 = 1.875; squares (0.4+0.8+0.9+1.6)/0.8 = 4.625
    assert mean[0] == pytest.approx(1.875)
    assert variance[0] == pytest.approx(4.625 - 1.875**2)
    assert size.tolist() == pytest.approx([0.8, 0.0])
    assert np.isnan(mean[1])


@pytest.mark.slow
def test_ranges_are_those_of_a_linear_programme() -> None:
    rng = np.random.default_rng(0)
    ordinal = np.array(AGREE.ordinal)
    for _ in range(20):
        p = rng.dirichlet(np.ones(5))
        low = np.maximum(p - rng.uniform(0, 0.3, 5), 0)
        high = np.minimum(p + rng.uniform(0, 0.3, 5), 1)
        box = list(zip(low, high, strict=True))
        net = np.array([1.0, 1, 0, 0, 0])
        ends = [
            s * linprog(s * net, A_eq=np.ones((1, 5)), b_eq=[1], bounds=box).fun for s in (1, -1)
        ]
        found = net_range(low[None], high[None], (0, 1))
        assert [float(f[0]) for f in found] == pytest.approx(ends, abs=1e-9)
        least, most = (float(v[0]) for v in mean_range(low[None], high[None], ordinal))
        # any shares within the intervals have a mean between the two, and both are reached
        for end, sign in ((most, -1), (least, 1)):
            gain = np.where(ordinal >= 0, ordinal - end, 0.0)
            reached = linprog(sign * gain, A_eq=np.ones((1, 5)), b_eq=[1], bounds=box).fun
            assert reached == pytest.approx(0, abs=1e-7)
