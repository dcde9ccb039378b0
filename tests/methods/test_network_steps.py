"""The embedding network's training against a loop written out here: AdamW, the one-cycle schedule,
clipping, smoothing and the mix of losses, each by its formula."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tests.methods.fake_encoder import FakeEncoder
from tests.methods.test_embedding_network import rule_table

from opinioncast.errors import ModelError
from opinioncast.methods.embedding.files import read_model, write_model
from opinioncast.methods.embedding.network import (
    NetworkShape,
    OptionNetwork,
    people_features,
)
from opinioncast.methods.embedding.training import (
    TrainingCells,
    TrainingSettings,
    cell_losses,
    train_member,
    training_texts,
)

EPOCHS, RATE, DECAY = 20, 0.02, 0.7


def one_cycle(step: int) -> tuple[float, float]:
    """Rate and first beta (Smith and Topin, 2018): up in a tenth of the steps, down in the rest."""

    def between(start: float, end: float, share: float) -> float:
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    turn, last = 0.1 * EPOCHS - 1, EPOCHS - 1
    if step <= turn:
        return between(RATE / 25, RATE, step / turn), between(0.95, 0.85, step / turn)
    share = (step - turn) / (last - turn)
    return between(RATE, RATE / 25 / 1e4, share), between(0.85, 0.95, share)


@pytest.mark.slow
def test_a_member_is_trained_as_its_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    falling: Iterator[float] = iter(range(0, -EPOCHS, -1))  # so that the last epoch is the best
    monkeypatch.setattr(
        "opinioncast.methods.embedding.training.MEASURES", {"wd": lambda s, c: next(falling)}
    )
    table = rule_table(0, 1)
    texts = list(dict.fromkeys(t for ts in training_texts(table) for t in ts))
    cells = TrainingCells.of_table(table, FakeEncoder(), texts)
    inputs = cells.features.question.shape[1]
    shape = NetworkShape(inputs, width=8, layers=1, heads=2, rank=4, dropout=0.0)
    settings = TrainingSettings(
        shape,
        epochs=EPOCHS,
        patience=EPOCHS,
        batch=len(cells.target),  # one update an epoch, whose order of questions is no matter
        learning_rate=RATE,
        weight_decay=DECAY,
        wasserstein=3.0,
        contrast=2.0,
        turn=False,
        forget=0.0,
        smooth=0.2,
        seed=5,
    )
    found, history = train_member(cells, cells, settings)

    torch.manual_seed(5)
    network = OptionNetwork(shape, cells.people[1].shape[1])
    first = {n: torch.zeros_like(p) for n, p in network.named_parameters()}
    second = {n: torch.zeros_like(p) for n, p in network.named_parameters()}
    features = [f.name for f in fields(cells.features)]
    batch = {name: torch.as_tensor(getattr(cells.features, name)) for name in features}
    target = 0.8 * cells.target + 0.2 / 3  # three options each
    clipped, losses = 0, []
    for step in range(EPOCHS):
        logits = network(batch, *cells.people)
        kl, distance, contrast = cell_losses(
            logits, target, cells.there, cells.order, cells.steps, cells.on
        )
        loss = (kl + 3.0 * distance + 2.0 * contrast).mean()
        losses.append(loss.item())
        network.zero_grad()
        loss.backward()
        squares = [float(p.grad.square().sum()) for p in network.parameters()]
        norm = math.sqrt(sum(squares))
        clipped += norm > 1
        rate, beta = one_cycle(step)
        with torch.no_grad():
            for name, p in network.named_parameters():
                g = p.grad / max(norm, 1.0)
                first[name] = beta * first[name] + (1 - beta) * g
                second[name] = 0.999 * second[name] + 0.001 * g * g
                mean = first[name] / (1 - beta ** (step + 1))
                spread = (second[name] / (1 - 0.999 ** (step + 1))).sqrt()
                p.sub_(rate * (mean / (spread + 1e-8) + DECAY * p))
    assert 0 < clipped < EPOCHS
    assert [h["loss"] for h in history] == pytest.approx(losses, abs=2e-5)
    # shares, not weights: two biases cancel in them, so their gradient is rounding alone
    with torch.no_grad():
        expected, given = (n.eval()(batch, *cells.people).softmax(-1) for n in (network, found))
    torch.testing.assert_close(given, expected, rtol=0, atol=2e-5)


def test_the_loss_of_an_epoch_is_the_mean_of_its_updates(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []

    def watched(*parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = cell_losses(*parts)
        seen.append(float(found[0].detach().mean()))
        return found

    table = rule_table(0, 1)
    texts = list(dict.fromkeys(t for ts in training_texts(table) for t in ts))
    cells = TrainingCells.of_table(table, FakeEncoder(), texts)
    shape = NetworkShape(cells.features.question.shape[1], width=8, layers=0, heads=2, rank=4)
    settings = TrainingSettings(shape, epochs=2, batch=2, wasserstein=0.0)
    monkeypatch.setattr("opinioncast.methods.embedding.training.cell_losses", watched)
    monkeypatch.setattr("opinioncast.methods.embedding.training.MEASURES", {"wd": lambda s, c: 0.5})
    _, history = train_member(cells, cells, settings)
    assert len(seen) == 8  # eight questions, two an update, twice
    means = [sum(seen[:4]) / 4, sum(seen[4:]) / 4]
    assert [h["loss"] for h in history] == pytest.approx(means, rel=1e-5)
    assert [h["epoch"] for h in history] == [1, 2]


def test_groups_are_the_sum_of_their_conditions_and_which_of_them_were_seen() -> None:
    encoder = FakeEncoder()
    sums, known = people_features([["a", "b"], ["c"], []], ["c", "a"], encoder)
    a, b, c = torch.from_numpy(encoder.encode(["a", "b", "c"]))
    torch.testing.assert_close(sums, torch.stack([a + b, c, torch.zeros_like(a)]))
    assert known.tolist() == [[0, 1], [1, 0], [0, 0]]


def test_weights_are_written_in_half_and_read_in_single_precision(tmp_path: Path) -> None:
    tensors: dict[str, npt.NDArray[Any]] = {
        "w": np.array([1 / 3, 2.0], np.float32),
        "i": np.array([7], np.int64),
    }
    config: dict[str, Any] = {"temperature": 1.0, "seen": [], "record": {}}
    write_model(tmp_path, "toy", tensors, config, FakeEncoder())
    found, settings = read_model(tmp_path, "toy", FakeEncoder())
    assert {n: v.dtype for n, v in found.items()} == {"w": np.float32, "i": np.int64}
    assert found["w"].tolist() == [float(np.float16(1 / 3)), 2.0]
    assert found["i"].tolist() == [7]
    assert settings["temperature"] == 1.0
    with pytest.raises(ModelError, match="another kind of model"):
        read_model(tmp_path, "other", FakeEncoder())
