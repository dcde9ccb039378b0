"""The plan of an epoch, trees, micro-batches, and their shares between processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import transformers
from tests.finetune.small_table import GROUPS, make_table

from opinioncast.backends.prompt_tokens import PromptTokenizer
from opinioncast.errors import ModelError
from opinioncast.finetune.epoch import epoch_plan
from opinioncast.finetune.packing import Packer, share
from opinioncast.finetune.targets import training_rows
from opinioncast.prompts import Answers, Layout, Prompting
from opinioncast.survey import OpinionTable, Question, load_groups

Make = Callable[..., Path]


def plan(table: OpinionTable, **changed: Any) -> Any:
    rows = training_rows(table, load_groups(*GROUPS), refusal=True)
    return rows, plan_of(rows, **changed)


def plan_of(rows: Any, **changed: Any) -> Any:
    settings: dict[str, Any] = {
        "layout": Layout.QUESTION_FIRST,
        "batch_rows": 8,
        "option_order": "given",
        "target": "explicit",
        "augment": None,
        "epoch": 0,
        "seed": 0,
    }
    return epoch_plan(rows, **(settings | changed))


@pytest.fixture
def packer(make_folder: Make) -> Packer:
    tokenizer = transformers.AutoTokenizer.from_pretrained(make_folder("llama"))
    return Packer(PromptTokenizer(tokenizer), load_groups(*GROUPS), Prompting(), limit=2048)


@pytest.mark.parametrize("layout", list(Layout))
def test_every_row_once_an_epoch(table: OpinionTable, layout: Layout) -> None:
    rows, updates = plan(table, layout=layout)
    assert len(updates) == 2
    asked = [ask.row for update in updates for ask in update]
    assert sorted(map(id, asked)) == sorted(map(id, rows))
    if layout is Layout.QUESTION_FIRST:
        for update in updates:
            assert set(Counter(a.row.question.question_id for a in update).values()) == {4}


def test_some_groups_of_every_question_drawn_anew_each_epoch(table: OpinionTable) -> None:
    rows, updates = plan(table, groups_per_question=2)
    drawn = [{id(a.row) for update in updates for a in update}]
    drawn += [
        {id(a.row) for u in plan_of(rows, epoch=epoch, groups_per_question=2) for a in u}
        for epoch in range(1, 12)
    ]
    questions = {r.question for r in rows}
    for epoch in drawn:
        asked = Counter(r.question for r in rows if id(r) in epoch)
        assert asked == dict.fromkeys(questions, 2)
    assert len(set(map(frozenset, drawn))) > 1
    assert set().union(*drawn) == set(map(id, rows))  # no group waits for ever


def test_the_plan_hangs_on_seed_and_epoch_alone(table: OpinionTable) -> None:
    def key(**changed: Any) -> Any:
        settings: dict[str, Any] = {"option_order": "random"} | changed
        return [
            [(str(a.row.subpopulation), a.row.question.question_id, a.order) for a in update]
            for update in plan(table, **settings)[1]
        ]

    assert key() == key()
    assert key(epoch=1) != key()
    assert key(seed=1) != key()


def test_option_orders(table: OpinionTable) -> None:
    seen = set()
    for epoch in range(12):
        for ask in plan(table, option_order="reversed", epoch=epoch)[1][0]:
            k = len(ask.row.question.options)
            assert ask.order in (tuple(range(k)), tuple(range(k))[::-1])
            seen.add(ask.order)
    assert (0, 1, 2) in seen
    assert (2, 1, 0) in seen


def test_augmenting_shows_each_replica_once(table: OpinionTable) -> None:
    rows, updates = plan(table, target="augment", augment=10)
    shown: dict[int, list[float]] = {}
    for update in updates:
        for ask in update:
            assert sorted(set(ask.target)) == [0.0, 1.0]
            sums = shown.setdefault(id(ask.row), [0.0] * len(ask.target))
            for i, t in enumerate(ask.target):
                sums[i] += t
    for row in rows:
        assert sum(shown[id(row)]) == 10
        for total, share_ in zip(shown[id(row)], row.target, strict=True):
            assert abs(total / 10 - share_) < 0.1 + 1e-9


def test_trees_keep_to_the_budget_and_lose_no_row(table: OpinionTable, packer: Packer) -> None:
    _, updates = plan(table, batch_rows=16)
    for budget in (150, 300, 10_000):
        update = packer.update(updates[0], budget)
        batches = [update.batch(trees) for trees in update.micro_batches()]
        assert sorted(i for b in batches for i in b.asks) == list(range(16))
        assert all(b.tokens <= budget or len(b.asks) == 1 for b in batches)
    assert len(packer.update(updates[0], 10_000).trees) == 4


@pytest.mark.parametrize("processes", [2, 3, 7])
def test_processes_share_an_update(table: OpinionTable, packer: Packer, processes: int) -> None:
    _, updates = plan(table, batch_rows=16)
    update = packer.update(updates[0], 300)
    dealt = [share(update, p, processes) for p in range(processes)]
    assert len({len(d) for d in dealt}) == 1, "as many forward passes on each"
    counted = [owner for d in dealt for b in d if b.counts for t in b.trees for owner in t.owners]
    assert sorted(counted) == sorted(owner for tree in update.trees for owner in tree.owners)
    assert {request for request, _ in counted} == set(range(16))


def test_a_prompt_that_is_too_long_is_named(table: OpinionTable, make_folder: Make) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(make_folder("llama"))
    packer = Packer(PromptTokenizer(tokenizer), load_groups(*GROUPS), Prompting(), limit=20)
    with pytest.raises(ModelError, match="longer than the model can read"):
        packer.update(plan(table)[1][0], 1000)


def test_options_that_begin_alike_are_trained_to_their_end_or_refused(make_folder: Make) -> None:
    """By the code that prediction reads them with."""
    agree = (
        Question("so", "Is it so?", ("Agree", "Agree a lot", "No"), (2, 3, 1), "T", "1"),
        Question("not", "Is it not?", ("Agree a lot", "Agree"), (2, 1), "T", "1"),
    )
    rows = training_rows(make_table(agree), load_groups(*GROUPS), refusal=True)
    style = Prompting(answers=Answers.WORDS)
    tokenizer = transformers.AutoTokenizer.from_pretrained(make_folder("llama"))
    Packer(PromptTokenizer(tokenizer), load_groups(*GROUPS), style).check(rows)
    tokenizer.backend_tokenizer.normalizer = tokenizers.normalizers.Replace("\n", " ")
    with pytest.raises(ModelError, match="begins another") as caught:
        Packer(PromptTokenizer(tokenizer), load_groups(*GROUPS), style).check(rows)
    assert "letter" in str(caught.value.hint)
