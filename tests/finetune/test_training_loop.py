"""Whole runs against a loop written out here: one prompt at a time, AdamW, clipping and schedule by
their formulas. What a recipe says of the optimizer is what is done, not only what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.finetune.small_table import QUESTIONS
from tests.finetune.test_packed_step import open_plain, plain_kl, plain_shares

from opinioncast.finetune.epoch import Ask, epoch_plan
from opinioncast.finetune.model import add_adapter
from opinioncast.finetune.recipe import FinetuneRecipe, OptimizerRecipe, parse_finetune
from opinioncast.finetune.schedule import schedule
from opinioncast.jobs.finetune import finetune_to_folder
from opinioncast.jobs.training_data import TrainingData, training_data

Make = Callable[..., Path]
Weights = dict[str, torch.Tensor]

RATE = 0.01
# six updates, a third of them rising: (step + 1) / 3, then what is left of four
RISE = (1 / 3, 2 / 3, 1.0)
COSINE = (*RISE, 0.8535534, 0.5, 0.1464466)  # (1 - cos(pi left)) / 2
LINEAR = (*RISE, 0.75, 0.5, 0.25)
CONSTANT = (*RISE, 1.0, 1.0, 1.0)


def recipe_of(make_folder: Make, table_file: Make, **changed: Any) -> FinetuneRecipe:
    optimizer = {"learning_rate": RATE, "batch_rows": 4, "epochs": 2, "warmup": 1 / 3}
    settings: dict[str, Any] = {
        "name": "loop",
        "model": str(make_folder("llama")),
        "table": str(table_file("train.parquet", questions=QUESTIONS[:3], seed=1)),
        "lora": {"rank": 2, "alpha": 8, "dropout": 0.0, "targets": ["q_proj", "v_proj"]},
        "optimizer": optimizer | changed.pop("optimizer", {}),
        "checks": {"every": 100},
        "pack_tokens": 400,
        "dtype": "float32",
        "device": "cpu",
    }
    return parse_finetune(settings | changed, "test")


def adamw(
    recipe: FinetuneRecipe,
    data: TrainingData,
    share_of_rate: tuple[float, ...],
    *,
    betas: tuple[float, float],
    decay: float,
    clip: float | None,
) -> Weights:
    """The adapter after all updates (Loshchilov and Hutter, 2019, algorithm 2)."""
    assert recipe.lora is not None
    causal, tokenizer = open_plain(Path(recipe.model))
    model = add_adapter(causal, recipe.lora, seed=recipe.seed)
    for module in model.modules():  # PEFT's own forward
        vars(module).pop("forward", None)
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    first = {n: torch.zeros_like(p) for n, p in trained.items()}
    second = {n: torch.zeros_like(p) for n, p in trained.items()}
    step = 0
    for epoch in range(recipe.optimizer.epochs):
        plan = epoch_plan(
            data.train_rows,
            layout=recipe.layout,
            batch_rows=4,
            option_order=recipe.option_order,
            target=recipe.target,
            augment=None,
            epoch=epoch,
            seed=recipe.seed,
        )
        assert [len(asks) for asks in plan] == [4, 4, 4]
        for asks in plan:
            model.zero_grad()
            style = recipe.prompting
            plain_kl(asks, plain_shares(model, tokenizer, asks, style, chat=False)).backward()
            norm = sum(p.grad.square().sum() for p in trained.values()) ** 0.5
            shrink = 1.0 if clip is None or norm <= clip else clip / norm
            assert clip is None or shrink < 0.9  # else clipping would not be tested
            rate = RATE * share_of_rate[step]
            step += 1
            with torch.no_grad():
                for name, p in trained.items():
                    g = p.grad * shrink
                    first[name] = betas[0] * first[name] + (1 - betas[0]) * g
                    second[name] = betas[1] * second[name] + (1 - betas[1]) * g * g
                    mean = first[name] / (1 - betas[0] ** step)
                    spread = (second[name] / (1 - betas[1] ** step)).sqrt()
                    p -= rate * (mean / (spread + 1e-8) + decay * p)
    assert step == len(share_of_rate)
    return {n: p.detach() for n, p in trained.items()}


@pytest.mark.parametrize(
    ("name", "shares"), [("cosine", COSINE), ("linear", LINEAR), ("constant", CONSTANT)]
)
def test_the_rate_rises_and_falls(name: Any, shares: tuple[float, ...]) -> None:
    optimizer = OptimizerRecipe(schedule=name, warmup=1 / 3)
    assert [schedule(step, 6, optimizer) for step in range(6)] == pytest.approx(shares, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("falling", "shares", "betas", "decay", "clip", "again"),
    [
        ("cosine", COSINE, (0.7, 0.9), 0.5, 0.02, False),
        ("linear", LINEAR, (0.9, 0.999), 0.0, None, True),
    ],
)
def test_a_run_is_adamw_as_the_recipe_says(
    make_folder: Make,
    table_file: Make,
    tmp_path: Path,
    falling: str,
    shares: tuple[float, ...],
    betas: tuple[float, float],
    decay: float,
    clip: float | None,
    again: bool,
) -> None:
    recipe = recipe_of(
        make_folder,
        table_file,
        optimizer={"schedule": falling, "betas": betas, "weight_decay": decay, "clip": clip},
        checkpoint_activations=again,
    )
    expected = adamw(recipe, training_data(recipe), shares, betas=betas, decay=decay, clip=clip)
    run = finetune_to_folder(recipe, tmp_path / "out")
    found = {n.removeprefix("inner."): w for n, w in run.training.weights.items()}
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=2e-5, msg=name)
    rates = [e["learning_rate"] for e in run.training.state.curve if "learning_rate" in e]
    assert rates == pytest.approx([RATE * s for s in shares], rel=1e-6)


@pytest.mark.slow
def test_dropout_is_on_in_training_and_off_in_validation(
    make_folder: Make, table_file: Make, tmp_path: Path
) -> None:
    """With nine tenths of the adapter's input dropped, a check would read another model."""
    lora = {"rank": 2, "alpha": 64, "targets": ["q_proj", "v_proj"]}
    settings: dict[str, Any] = {
        "validation": str(table_file("valid.parquet", questions=QUESTIONS[3:], seed=2)),
        "optimizer": {"warmup": 0.0, "learning_rate": 0.03, "epochs": 1},
    }
    losses = {}
    for dropout in (0.0, 0.9):
        recipe = recipe_of(make_folder, table_file, lora=lora | {"dropout": dropout}, **settings)
        run = finetune_to_folder(recipe, tmp_path / f"{dropout}")
        losses[dropout] = [e["loss"] for e in run.training.state.curve if "loss" in e]
    # up projections start at zero, so the first update sees no difference
    assert losses[0.9][0] == pytest.approx(losses[0.0][0], abs=1e-6)
    assert losses[0.9][1] != pytest.approx(losses[0.0][1], abs=1e-4)

    assert recipe.lora is not None
    causal, tokenizer = open_plain(Path(recipe.model))
    model = add_adapter(causal, recipe.lora, seed=recipe.seed)
    for module in model.modules():
        vars(module).pop("forward", None)
    last = run.training.state.step
    saved = load_file(tmp_path / f"0.9/checkpoints/step-{last:07}/trained.safetensors")
    missing = model.load_state_dict(
        {n.removeprefix("inner."): w for n, w in saved.items()}, strict=False
    )
    assert not missing.unexpected_keys
    model.eval()
    rows = training_data(recipe).valid_rows
    asks = [Ask(r, tuple(range(len(r.question.options))), r.target) for r in rows]
    with torch.no_grad():
        shares = plain_shares(model, tokenizer, asks, recipe.prompting, chat=False)
    by_check = {e["step"]: e["valid_kl"] for e in run.training.state.curve if "valid_kl" in e}
    assert by_check[last] == pytest.approx(plain_kl(asks, shares).item(), abs=1e-5)
