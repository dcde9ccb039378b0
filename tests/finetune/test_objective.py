"""The gradient of an epoch: the weighted mean's over its rows, however it is cut up.

Each loss of a packed step against a plain one: test_packed_step.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers
from tests.finetune.small_table import GROUPS, make_table

from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.finetune.epoch import UpdateWeight, epoch_plan, update_weight
from opinioncast.finetune.model import DistributionModel, add_adapter, uniform_log_shares
from opinioncast.finetune.objective import batch_losses, has_loss, mixed
from opinioncast.finetune.packing import Packer, share
from opinioncast.finetune.recipe import LoraRecipe, LossMix
from opinioncast.finetune.targets import training_rows
from opinioncast.prompts import Layout, Prompting
from opinioncast.survey import load_groups

Make = Callable[..., Path]
MIX = LossMix(kl=1.0, wasserstein=0.5, contrast=2.0)


@pytest.mark.slow
def test_the_sum_of_an_epochs_gradients_is_that_of_the_weighted_mean(make_folder: Make) -> None:
    """Whatever the updates' size, the micro-batches' and the number of processes."""
    folder = make_folder("llama")
    causal = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = DistributionModel(add_adapter(causal, LoraRecipe(rank=2, dropout=0), seed=0)).eval()
    draw = torch.Generator().manual_seed(2)
    trained = [p for p in model.parameters() if p.requires_grad]
    for weight in trained:
        weight.data = weight.data.double()
    for weight in trained:
        weight.data.normal_(0, 0.3, generator=draw)
    scheme = load_groups(*GROUPS)
    packer = Packer(PromptTokenizer(tokenizer), scheme, Prompting(), whole_questions=True)
    table = make_table()
    bases = [float(3 ** (i % 5)) for i in range(len(table))]
    weighted = type(table)(table.frame.with_columns(n_eff=torch.tensor(bases).numpy()))
    rows = training_rows(weighted, scheme, refusal=True, row_weight="n_eff")
    assert max(r.weight for r in rows) > 20 * min(r.weight for r in rows)

    def epoch(batch_rows: int, pack_tokens: int, processes: int) -> list[torch.Tensor]:
        """The mean over the updates of an epoch of their gradients."""
        plan = epoch_plan(
            rows,
            layout=Layout.QUESTION_FIRST,
            batch_rows=batch_rows,
            option_order="given",
            target="explicit",
            augment=None,
            epoch=0,
            seed=1,
        )
        mean = update_weight(rows, target="explicit", augment=None, updates=len(plan))
        for asks in plan:
            update = packer.update(asks, pack_tokens)
            for process in range(processes):
                for _, trees, counts in share(update, process, processes):
                    batch = update.batch(trees)
                    parts = batch_losses(model(batch.pack, batch.reading), batch, *mean)
                    (mixed(parts, MIX) * counts / len(plan)).backward()
        found = [p.grad.clone() for p in trained]
        model.zero_grad()
        return found

    whole = epoch(1_000, 100_000, 1)
    assert max(g.abs().max() for g in whole) > 1e-3
    for cut in ((4, 150, 1), (4, 100_000, 1), (12, 150, 3), (1_000, 150, 2)):
        for a, b in zip(epoch(*cut), whole, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_a_uniform_guess_is_uniform_over_each_rows_labels(make_folder: Make) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(make_folder("llama"))
    scheme = load_groups(*GROUPS)
    rows = training_rows(make_table(), scheme, refusal=True)
    packer = Packer(PromptTokenizer(tokenizer), scheme, Prompting())
    plan = epoch_plan(
        rows,
        layout=Layout.QUESTION_FIRST,
        batch_rows=1_000,
        option_order="given",
        target="explicit",
        augment=None,
        epoch=0,
        seed=0,
    )
    update = packer.update(plan[0], 100_000)
    (trees,) = update.micro_batches()
    batch = update.batch(trees)
    shares = uniform_log_shares(batch.reading).exp()
    for row, ask in zip(shares, (update.asks[i] for i in batch.asks), strict=True):
        k = len(ask.target)
        assert row[:k].tolist() == pytest.approx([1 / k] * k)
        assert row[k:].sum() == 0


def test_a_loss_that_is_always_nothing_is_told() -> None:
    rows = training_rows(make_table(), load_groups(*GROUPS[:2]), refusal=True)
    one = training_rows(make_table(), load_groups(GROUPS[0]), refusal=True)
    some, none = UpdateWeight(1.0, 1.0), UpdateWeight(1.0, 0.0)
    assert has_loss(LossMix(), one, none)
    distance = LossMix(kl=0, wasserstein=1)
    assert has_loss(distance, one, some)
    assert not has_loss(distance, rows, none)
    difference = LossMix(kl=0, contrast=1)
    assert has_loss(difference, rows, none)
    assert not has_loss(difference, one, some)
    assert not has_loss(LossMix(kl=0, wasserstein=1, contrast=1), one, none)
