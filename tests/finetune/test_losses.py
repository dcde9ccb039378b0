"""Losses against hand-worked values, independent computations and numerical gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from tests.finetune.small_table import subpopulations

from opinioncast.evaluate import distance
from opinioncast.finetune import losses
from opinioncast.finetune.epoch import Ask
from opinioncast.finetune.packing import _scales
from opinioncast.finetune.targets import TrainingRow
from opinioncast.survey import Question

GROUP = subpopulations()[0]


def scale(*ordinals: tuple[float, ...]) -> tuple[torch.Tensor, ...]:
    """``on_scale, order, steps`` of questions with these positions."""
    asks = []
    for positions in ordinals:
        options = tuple(f"option {i}" for i in range(len(positions)))
        row = TrainingRow(Question("q", "Which?", options, positions), GROUP, (0.0,))
        asks.append(Ask(row, (), ()))
    width = max(map(len, ordinals))
    return tuple(map(torch.from_numpy, _scales(asks, width)))


def log(*shares: list[float]) -> torch.Tensor:
    return torch.tensor(shares, dtype=torch.float64).log()


def tensor(*shares: list[float]) -> torch.Tensor:
    return torch.tensor(shares, dtype=torch.float64)


def test_kl_by_hand() -> None:
    found = losses.forward_kl(log([0.25, 0.75]), tensor([0.5, 0.5]))
    assert found.item() == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))


def test_kl_of_options_no_one_chose_and_of_padding() -> None:
    log_shares = torch.tensor([[np.log(0.5), np.log(0.5), -1e9]], dtype=torch.float64)
    assert losses.forward_kl(log_shares, tensor([1, 0, 0])).item() == pytest.approx(np.log(2))


def test_wasserstein_by_hand() -> None:
    # A 1, B 2, C off the scale, D 4: 0.8 of the people are on it
    parts = scale((1, 2, -1, 4))
    found = losses.wasserstein(log([0.2, 0.3, 0.5, 1e-300]), tensor([0.4, 0.2, 0.2, 0.2]), *parts)
    # people 0.5, 0.25, 0.25; model 0.4, 0.6, 0: |0.5-0.4| * 1/3 + |0.75-1| * 2/3
    assert found.item() == pytest.approx(0.1 / 3 + 0.25 * 2 / 3)


def test_a_reversed_scale_and_tied_positions() -> None:
    forward, back = scale((1, 2, 3)), scale((3, 2, 1))
    p, q = tensor([0.1, 0.2, 0.7]), tensor([0.4, 0.5, 0.1])
    assert losses.wasserstein(q.log(), p, *forward).item() == pytest.approx(
        losses.wasserstein(q.flip(1).log(), p.flip(1), *back).item()
    )
    tied = losses.wasserstein(q.log(), p, *scale((1, 1, 2))).item()
    assert tied == pytest.approx(abs(0.3 - 0.9))


def test_no_scale_no_distance() -> None:
    for positions in [(0.0, 0.0), (-1.0, 3.0), (-1.0, -1.0)]:
        found = losses.wasserstein(log([0.3, 0.7]), tensor([0.6, 0.4]), *scale(positions))
        assert found.item() == 0


def test_contrast_ignores_the_level_and_sees_the_differences() -> None:
    target = tensor([0.5, 0.5], [0.7, 0.3], [0.2, 0.8])
    question, weight = torch.tensor([0, 0, 0]), torch.ones(3, dtype=torch.float64)
    shifted = target + tensor([0.1, -0.1])
    assert losses.contrast(shifted.log(), target, question, weight) == pytest.approx(0, abs=1e-12)
    flat = torch.full((3, 2), 0.5, dtype=torch.float64)
    mean = target.mean(dim=0)
    expected = ((target - mean) ** 2).sum(dim=1)
    assert losses.contrast(flat.log(), target, question, weight).tolist() == pytest.approx(
        expected.tolist()
    )


def test_contrast_keeps_questions_apart() -> None:
    target = tensor([0.5, 0.5], [0.7, 0.3], [0.9, 0.1])
    model = log([0.4, 0.6], [0.8, 0.2], [0.1, 0.9])
    weight = torch.tensor([1.0, 3.0, 1.0], dtype=torch.float64)
    found = losses.contrast(model, target, torch.tensor([0, 0, 1]), weight)
    assert found[2] == 0
    gap = np.array([-0.1, 0.1])
    mean = (gap[0] + 3 * gap[1]) / 4
    assert found[:2].tolist() == pytest.approx((2 * (gap - mean) ** 2).tolist())


shares = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda v: np.array(v) / sum(v))
positions = st.permutations([1.0, 2.0, 3.5, -1.0]) | st.just([1.0, 1.0, 2.0, 4.0])


@settings(max_examples=60, deadline=None)
@given(p=shares, q=shares, ordinal=positions)
def test_losses_equal_the_evaluations_distances(
    p: np.ndarray, q: np.ndarray, ordinal: list[float]
) -> None:
    log_shares, target = torch.from_numpy(np.log(q[None])), torch.from_numpy(p[None])
    assert losses.forward_kl(log_shares, target).item() == pytest.approx(
        rel_entr(p, q).sum(), abs=1e-9
    )
    expected = distance.wasserstein(p[None], q[None], np.array([ordinal])).item()
    found = losses.wasserstein(log_shares, target, *scale(tuple(ordinal))).item()
    assert found == pytest.approx(expected, abs=1e-6)  # steps are float32


def random_case() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(5, 4, generator=draw, dtype=torch.float64, requires_grad=True)
    target = torch.rand(5, 4, generator=draw, dtype=torch.float64)
    return logits, target / target.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("name", ["kl", "wasserstein", "contrast", "mixture"])
def test_gradients_are_the_numerical_ones(name: str) -> None:
    logits, target = random_case()
    parts = scale((1, 2, 3, 4), (4, 1, -1, 2), (0, 0, 0, 0), (2, 1, 3, -1), (1, 1, 2, 5))
    parts = (parts[0], parts[1], parts[2].double())
    question, weight = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([1.0, 2, 1, 0.5, 1]).double()

    def loss(logits: torch.Tensor) -> torch.Tensor:
        log_shares = logits.log_softmax(dim=1)
        values = {
            "kl": losses.forward_kl(log_shares, target),
            "wasserstein": losses.wasserstein(log_shares, target, *parts),
            "contrast": losses.contrast(log_shares, target, question, weight),
        }
        values["mixture"] = values["kl"] + 0.5 * values["wasserstein"] + 2 * values["contrast"]
        return values[name]

    assert torch.autograd.gradcheck(loss, (logits,), eps=1e-7, atol=1e-6)


def test_padding_and_certainty_have_no_nan_gradient() -> None:
    logits = torch.tensor([[30.0, -30.0, -1e9], [0.0, 0.0, 0.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    log_shares = logits.log_softmax(dim=1)
    parts = scale((1, 2), (1, 2, 3))
    total = losses.forward_kl(log_shares, target) + losses.wasserstein(log_shares, target, *parts)
    total.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 2] == 0
