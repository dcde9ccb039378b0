"""A packed training step against the plain one: one prompt at a time, PEFT's own layers, the
model's own vocabulary, and labels found by writing them behind the prompt."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from tests.finetune.small_table import GROUPS

from opinioncast.backends.low_rank import lighten
from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.finetune.epoch import Ask, epoch_plan
from opinioncast.finetune.model import DistributionModel, add_adapter
from opinioncast.finetune.objective import batch_losses
from opinioncast.finetune.packing import Packer
from opinioncast.finetune.recipe import LoraRecipe
from opinioncast.finetune.targets import training_rows
from opinioncast.prompts import Answers, Format, Layout, Prompting, build_prompt
from opinioncast.survey import OpinionTable, load_groups

Make = Callable[..., Path]
LORA = LoraRecipe(rank=2, alpha=4, dropout=0, targets="all-linear")
CHAT = "{% for m in messages %}<user>{{ m['content'] }}</user><model>{% endfor %}"


def open_plain(folder: Path) -> tuple[Any, Any]:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def with_adapter(causal: Any, *, light: bool, lora: LoraRecipe = LORA) -> Any:
    """An adapter whose up projections are not zero, so that every weight has a gradient."""
    model = add_adapter(causal, lora, seed=1)
    draw = torch.Generator().manual_seed(2)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data.normal_(0, 0.3, generator=draw)
    if not light:
        for module in model.modules():
            vars(module).pop("forward", None)
    return model


def plain_shares(
    model: Any, tokenizer: Any, asks: list[Ask], style: Prompting, *, chat: bool
) -> list[torch.Tensor]:
    """The model's shares of each ask's options, from one prompt at a time."""
    scheme = load_groups(*GROUPS)
    opening = (
        [tokenizer.bos_token_id] if tokenizer("A")["input_ids"][0] == tokenizer.bos_token_id else []
    )
    found = []
    for ask in asks:
        prompt = build_prompt(
            ask.row.question, ask.row.subpopulation, scheme, style, order=ask.order
        )
        text = prompt.text
        if chat:
            text = f"<user>{text.removesuffix('Answer:').rstrip()}</user><model>"
        bare = tokenizer(text, add_special_tokens=False)["input_ids"]
        labels = prompt.labels[: len(ask.target)]
        probabilities = []
        if prompt.words:
            probabilities = word_shares(model, tokenizer, opening, text, labels)
        for label in () if prompt.words else labels:
            said = torch.zeros((), dtype=torch.float64)
            spellings = {
                tuple(tokenizer(text + v, add_special_tokens=False)["input_ids"][len(bare) :])
                for v in (label, " " + label)
            }
            for spelling in spellings:
                ids = opening + bare + list(spelling)
                logits = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
                at = len(opening) + len(bare) - 1
                said = said + sum(logits[at + i, t] for i, t in enumerate(spelling)).exp()
            probabilities.append(said)
        shares = torch.stack(probabilities)
        found.append(shares / shares.sum())
    return found


def plain_kl(asks: list[Ask], found: list[torch.Tensor]) -> torch.Tensor:
    """Mean forward KL; as wordy as the definition."""
    total = torch.zeros((), dtype=torch.float64)
    for ask, shares in zip(asks, found, strict=True):
        for share, observed in zip(shares, ask.target, strict=True):
            if observed > 0:
                total = total + observed * (np.log(observed) - share.log()) / len(asks)
    return total


def plain_wasserstein(asks: list[Ask], found: list[torch.Tensor]) -> torch.Tensor:
    """Mean distance over the asks with a scale, between neighbouring positions."""
    total, rows = torch.zeros((), dtype=torch.float64), 0
    for ask, shares in zip(asks, found, strict=True):
        scale = [(x, i) for i, x in enumerate(ask.row.question.ordinal) if x >= 0]
        low, high = min(scale)[0], max(scale)[0]
        if low == high:
            continue
        rows += 1
        people = np.array([ask.target[i] for _, i in scale])
        model = torch.stack([shares[i] for _, i in scale])
        people, model = people / people.sum(), model / model.sum()
        points = sorted({x for x, _ in scale})
        for here, there in pairwise(points):
            below = [k for k, (x, _) in enumerate(scale) if x <= here]
            gap = people[below].sum() - model[below].sum()
            total = total + gap.abs() * (there - here) / (high - low)
    return total / rows


def plain_contrast(asks: list[Ask], found: list[torch.Tensor]) -> torch.Tensor:
    """Mean over the asks of how far the group is moved otherwise than people moved."""
    total = torch.zeros((), dtype=torch.float64)
    gaps = [s - torch.tensor(a.target, dtype=s.dtype) for a, s in zip(asks, found, strict=True)]
    for ask, gap in zip(asks, gaps, strict=True):
        own = [g for a, g in zip(asks, gaps, strict=True) if a.row.question == ask.row.question]
        total = total + (gap - sum(own) / len(own)).square().sum() / len(asks)
    return total


def word_shares(
    model: Any, tokenizer: Any, opening: list[int], text: str, options: tuple[str, ...]
) -> list[torch.Tensor]:
    """The options' shares, walking through them token by token, each prompt in full."""
    space = "" if text.endswith("\n") else " "
    bare = tokenizer(text, add_special_tokens=False)["input_ids"]
    said = [
        tokenizer(f"{text}{space}{option}\n", add_special_tokens=False)["input_ids"][len(bare) :]
        for option in options
    ]
    shares = []
    for tokens in said:
        logits = model(torch.tensor([opening + bare + tokens])).logits[0].double()
        share = torch.ones((), dtype=torch.float64)
        for i, token in enumerate(tokens):
            can = sorted({o[i] for o in said if o[:i] == tokens[:i] and len(o) > i})
            here = logits[len(opening) + len(bare) - 1 + i, can].softmax(-1)
            share = share * here[can.index(token)]
        shares.append(share)
    return shares


def gradients(model: Any) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


FIRST, PAPER = Layout.QUESTION_FIRST, Layout.PAPER
LETTERS, WORDS = Answers.LETTERS, Answers.WORDS
CASES = [
    ("llama", "merged bytes", FIRST, Format.QA, False, "eager", LETTERS),
    ("llama", "single bytes", FIRST, Format.QA, False, "sdpa", LETTERS),
    ("llama", "spaced", PAPER, Format.QA, False, "sdpa", LETTERS),
    ("llama", "merged bytes", PAPER, Format.BIO, False, "eager", LETTERS),
    ("llama", "opened and closed", PAPER, Format.PORTRAY, False, "eager", LETTERS),
    ("llama", "merged bytes", FIRST, Format.QA, True, "eager", LETTERS),
    ("gemma3, mixed", "merged bytes", FIRST, Format.QA, False, "sdpa", LETTERS),
    ("gemma3, mixed", "merged bytes", PAPER, Format.QA, False, "eager", LETTERS),
    ("mistral, window 12", "merged bytes", FIRST, Format.BIO, False, "sdpa", LETTERS),
    ("mistral, window 12", "single bytes", PAPER, Format.QA, False, "eager", LETTERS),
    ("gemma2, eager", "merged bytes", FIRST, Format.PORTRAY, False, "eager", LETTERS),
    ("llama", "merged bytes", FIRST, Format.QA, False, "eager", WORDS),
    ("llama", "single bytes", FIRST, Format.QA, True, "sdpa", WORDS),
    ("gemma3, mixed", "merged bytes", PAPER, Format.BIO, False, "eager", WORDS),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "tokens", "layout", "format", "chat", "attention", "answers"), CASES
)
def test_packed_equals_plain_in_loss_and_gradients(
    make_folder: Make,
    table: OpinionTable,
    family: str,
    tokens: str,
    layout: Layout,
    format: Format,
    chat: bool,
    attention: str,
    answers: Answers,
) -> None:
    style = Prompting(layout, format, answers=answers, chat=chat)
    scheme = load_groups(*GROUPS)
    rows = training_rows(table, scheme, refusal=True)[:9]
    asks = epoch_plan(
        rows,
        layout=layout,
        batch_rows=len(rows),
        option_order="random",
        target="explicit",
        augment=None,
        epoch=0,
        seed=3,
    )[0]
    causal, tokenizer = open_plain(make_folder(family, tokens))
    if chat:
        tokenizer.chat_template = CHAT
    plain = with_adapter(causal, light=False)
    expected = plain_kl(asks, plain_shares(plain, tokenizer, asks, style, chat=chat))
    expected.backward()

    causal, _ = open_plain(make_folder(family, tokens))
    causal.config._attn_implementation = attention
    packed = with_adapter(causal, light=True)
    model = DistributionModel(packed)
    update = Packer(PromptTokenizer(tokenizer), scheme, style).update(asks, 250)
    assert len(update.micro_batches()) > 1
    loss = torch.zeros(())
    for trees in update.micro_batches():
        batch = update.batch(trees)
        parts = batch_losses(
            model(batch.pack, batch.reading), batch, update.weight, update.scaled_weight
        )
        parts["kl"].backward()
        loss = loss + parts["kl"].detach()
    assert loss.item() == pytest.approx(expected.item(), abs=2e-6)
    wanted, found = gradients(plain), gradients(packed)
    assert wanted.keys() == found.keys()
    assert len(found) == 2 * 7 * 3
    scale = max(g.abs().max() for g in wanted.values())
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * scale.item())


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gemma3, mixed"])
def test_every_loss_packed_equals_plain(
    make_folder: Make, table: OpinionTable, family: str
) -> None:
    """Wasserstein and contrast too: the groups of a question are in one micro-batch, however small
    the budget, or the contrast would be another."""
    style, scheme = Prompting(FIRST, Format.QA), load_groups(*GROUPS)
    rows = training_rows(table, scheme, refusal=True)
    asks = [Ask(r, tuple(range(len(r.question.options))), r.target) for r in rows]
    causal, tokenizer = open_plain(make_folder(family, "merged bytes"))
    plain = with_adapter(causal, light=False)
    shares = plain_shares(plain, tokenizer, asks, style, chat=False)
    expected = {
        "kl": plain_kl(asks, shares),
        "wasserstein": plain_wasserstein(asks, shares),
        "contrast": plain_contrast(asks, shares),
    }
    mix = {"kl": 1.0, "wasserstein": 0.5, "contrast": 2.0}
    sum(mix[name] * value for name, value in expected.items()).backward()

    causal, _ = open_plain(make_folder(family, "merged bytes"))
    packed = with_adapter(causal, light=True)
    model = DistributionModel(packed)
    packer = Packer(PromptTokenizer(tokenizer), scheme, style, whole_questions=True)
    update = packer.update(asks, 64)
    assert len(update.micro_batches()) > 1
    found = dict.fromkeys(mix, 0.0)
    for trees in update.micro_batches():
        batch = update.batch(trees)
        parts = batch_losses(
            model(batch.pack, batch.reading), batch, update.weight, update.scaled_weight
        )
        sum(mix[name] * parts[name] for name in mix).backward()
        found = {name: found[name] + parts[name].item() for name in mix}
    for name, value in expected.items():
        assert found[name] == pytest.approx(value.item(), abs=2e-6), name
    wanted, got = gradients(plain), gradients(packed)
    scale = max(g.abs().max() for g in wanted.values())
    for name, gradient in wanted.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=1e-5 * scale.item())


def test_the_light_forward_equals_pefts(make_folder: Make) -> None:
    causal, _ = open_plain(make_folder("llama"))
    model = with_adapter(causal, light=False, lora=LoraRecipe(rank=3, targets="all-linear"))
    ids = torch.arange(20)[None]
    torch.manual_seed(5)
    model.train()
    expected = model(ids).logits  # with dropout
    expected.square().mean().backward()
    wanted = gradients(model)
    model.zero_grad()
    assert lighten(model) == 7 * 3
    torch.manual_seed(5)
    found = model(ids).logits
    found.square().mean().backward()
    torch.testing.assert_close(found, expected)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, wanted[name], rtol=1e-4, atol=1e-7)
