"""The embedding network: losses against numpy, symmetries, learning, files, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.backends.sentences import SentenceModel
from opinioncast.errors import DataError, ModelError
from opinioncast.evaluate.distance import pad, wasserstein
from opinioncast.evaluate.scores import score_cells
from opinioncast.methods.embedding.files import CONFIG, WEIGHTS
from opinioncast.methods.embedding.network import EmbeddingNetwork, NetworkShape
from opinioncast.methods.embedding.training import (
    TrainingCells,
    TrainingSettings,
    cell_losses,
    train_member,
    train_network,
    training_texts,
)
from opinioncast.survey import (
    Cells,
    GroupScheme,
    OpinionTable,
    PredictionTable,
    Question,
    load_groups,
    opinion_row,
    standard_attributes,
)

GROUPS = load_groups("SEX=Female", "SEX=Male", "total")
QUICK = TrainingSettings(
    NetworkShape(width=32, rank=8, heads=2, dropout=0.0, input_dropout=0.0),
    members=2,
    epochs=40,
    patience=40,
    batch=16,
    learning_rate=5e-3,
    weight_decay=0.01,
)
LIKED, DISLIKED = ("music", "summer", "bread", "sport"), ("taxes", "rain", "noise", "war")


def rule_table(start: int, stop: int) -> OpinionTable:
    """People favour what is liked; women by ten points more than men; wordings differ by number."""
    rows = []
    for i in range(start, stop):
        for word in (*LIKED, *DISLIKED):
            question = Question(
                f"{word}{i}", f"Item {i}: {word}", ("Good", "Middling", "Bad"), (1, 2, 3), "S", "1"
            )
            high = 0.7 if word in LIKED else 0.2
            for group in GROUPS:
                p = high + {"Female": 0.05, "Male": -0.05}.get(group.group, 0.0)
                rows.append(opinion_row(question, group, [p, 0.1, 0.9 - p]))
    return OpinionTable.from_rows(rows)


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return train_network(rule_table(0, 6), rule_table(6, 8), FakeEncoder(), QUICK)[0]


def shares(table: PredictionTable) -> np.ndarray:
    return np.array(table.frame["distribution"].to_list())


def test_losses_are_those_of_the_evaluation() -> None:
    rng = np.random.default_rng(0)
    questions = [
        Question("a", "A?", ("x", "y", "z"), (1, 2, 4), "S", "1"),
        Question("b", "B?", ("x", "y", "z", "w"), (3, -1, 1, 2), "S", "1"),
        Question("c", "C?", ("x", "y"), (0, 0), "S", "1"),
    ]
    rows = [
        opinion_row(q, g, rng.dirichlet(np.ones(len(q.options))).tolist())
        for q in questions
        for g in GROUPS
        if (q.question_id, g.group) != ("a", "Male")
    ]
    table = OpinionTable.from_rows(rows)
    cells = TrainingCells.of_table(table, FakeEncoder(), [])
    logits = torch.tensor(rng.standard_normal(cells.target.shape), dtype=torch.float32)
    logits = logits.masked_fill(~torch.from_numpy(cells.features.real)[:, None], -torch.inf)
    kl, distance, contrast = cell_losses(
        logits, cells.target, cells.there, cells.order, cells.steps, cells.on
    )
    predicted = torch.softmax(logits, -1).numpy()
    group = {g.key: i for i, g in enumerate(table.subpopulations())}
    number = {q.question_id: i for i, q in enumerate(questions)}
    for row in table.frame.iter_rows(named=True):
        i, g = number[row["question_id"]], group[row["attribute"], row["group"]]
        q, p = np.array(row["distribution"]), predicted[i, g, : len(row["options"])]
        assert float(kl[i, g]) == pytest.approx(float((q * np.log(q / p)).sum()), abs=1e-5)
        padded = pad([q.tolist()], 0.0), pad([p.tolist()], 0.0), pad([row["ordinal"]], np.nan)
        want = wasserstein(*padded)[0]
        assert float(distance[i, g]) == pytest.approx(0.0 if np.isnan(want) else want, abs=1e-5)
    missing = number["a"], group["SEX", "Male"]
    assert float(kl[missing]) == float(distance[missing]) == float(contrast[missing]) == 0
    assert (distance[2] == 0).all()


def test_contrast_asks_for_differences_only() -> None:
    table = rule_table(0, 1)
    cells = TrainingCells.of_table(table, FakeEncoder(), [])
    parts = (cells.target, cells.there, cells.order, cells.steps, cells.on)
    shifted = cells.target + torch.tensor([0.05, 0.0, -0.05])  # every group by as much
    _, distance, contrast = cell_losses(shifted.log(), *parts)
    assert (distance > 0.04).all()
    assert contrast.abs().max() < 1e-6
    level = cells.target.mean(1, keepdim=True).expand_as(cells.target)
    _, distance, contrast = cell_losses(level.log(), *parts)
    assert torch.allclose(distance, contrast, atol=1e-6)


def test_it_learns_a_rule_and_the_groups_difference(network: EmbeddingNetwork) -> None:
    held = rule_table(8, 10)
    found = network.predict(Cells.cross(held.questions(), GROUPS))
    assert not found.problems
    means = score_cells(held, found.table).mean()
    assert (means["wd"] or 1) < 0.05
    assert (means["wd_uniform"] or 0) > 0.2
    good = shares(found.table)[:, 0].reshape(-1, 3)
    female, male, total = good.T
    assert (female > total).all()
    assert (total > male).all()


def test_shares_sum_to_one_and_progress_ends(network: EmbeddingNetwork) -> None:
    seen: list[tuple[int, int]] = []
    table = network.predict(
        Cells.cross(rule_table(0, 1).questions(), GROUPS), progress=lambda *done: seen.append(done)
    ).table
    assert shares(table).sum(axis=1) == pytest.approx(1)
    assert seen[-1] == (24, 24)
    assert table.frame["label_mass"].is_null().all()


def test_the_listing_order_does_not_matter(network: EmbeddingNetwork) -> None:
    asked = Question("q", "Item 3: music", ("Good", "Middling", "Bad", "Unsure"), (1, 2, 3, -1))
    order = [2, 0, 3, 1]
    mixed = Question(
        "q",
        asked.text,
        tuple(asked.options[i] for i in order),
        tuple(asked.ordinal[i] for i in order),
    )
    given, moved = (shares(network.predict(Cells.cross([q], GROUPS)).table) for q in (asked, mixed))
    assert moved == pytest.approx(given[:, order], abs=1e-6)


def test_counting_the_scale_from_the_other_end_does_not_matter(network: EmbeddingNetwork) -> None:
    asked = Question("q", "Item 3: music", ("Good", "Middling", "Bad"), (1, 2, 3))
    given, turned = (
        shares(network.predict(Cells.cross([q], GROUPS)).table)
        for q in (asked, replace(asked, ordinal=(3, 2, 1)))
    )
    assert turned == pytest.approx(given, abs=1e-6)


def test_a_questions_prediction_does_not_depend_on_its_company(network: EmbeddingNetwork) -> None:
    short, long = (
        Question("s", "Item 1: rain", ("Good", "Bad"), (1, 2)),
        Question("l", "Item 1: war", ("a", "b", "c", "d", "e", "f", "g"), (1, 2, 3, 4, 5, 6, 7)),
    )
    alone = network.predict(Cells.cross([short], GROUPS)).table.frame["distribution"].to_list()
    both = network.predict(Cells.cross([short, long], GROUPS)).table.frame["distribution"].to_list()
    assert np.array(both[:3]) == pytest.approx(np.array(alone), abs=1e-6)


def test_unseen_groups_and_intersections_have_a_prediction(network: EmbeddingNetwork) -> None:
    groups = load_groups("RACE=Black", "SEX=Female & RACE=Black", "SEX=Female", "total")
    table = network.predict(Cells.cross(rule_table(0, 1).questions(), groups)).table
    values = shares(table).reshape(8, 4, 3)
    assert len(table) == 32
    assert np.abs(values[:, 1] - values[:, 0]).max() > 1e-4  # Female moves Black


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(network: EmbeddingNetwork) -> None:
    again, _ = train_network(rule_table(0, 6), rule_table(6, 8), FakeEncoder(), QUICK)
    for a, b in zip(network.members, again.members, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    first, second = network.members
    assert not torch.equal(first.level.weight, second.level.weight)


def test_what_is_saved_loads_and_predicts_the_same(
    network: EmbeddingNetwork, tmp_path: Path
) -> None:
    files = network.save(tmp_path)
    assert [f.name for f in files] == [WEIGHTS, CONFIG]
    loaded = EmbeddingNetwork.load(tmp_path, FakeEncoder())
    questions = rule_table(0, 1).questions()
    assert shares(loaded.predict(Cells.cross(questions, GROUPS)).table) == pytest.approx(
        shares(network.predict(Cells.cross(questions, GROUPS)).table), abs=2e-3
    )  # half precision
    again = tmp_path / "again"
    loaded.save(again)
    assert (again / WEIGHTS).read_bytes() == (tmp_path / WEIGHTS).read_bytes()


def test_another_sentence_model_is_refused(network: EmbeddingNetwork, tmp_path: Path) -> None:
    network.save(tmp_path)
    with pytest.raises(ModelError, match="another sentence model"):
        EmbeddingNetwork.load(tmp_path, FakeEncoder(fingerprint="other"))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("no folder", "embedding model cannot be read"),
        ("cut weights", "do not belong to the settings"),
        ("other weights", "weights cannot be loaded"),
        ("other format", "format 99"),
    ],
)
def test_a_damaged_folder_is_refused(
    network: EmbeddingNetwork, tmp_path: Path, harm: str, said: str
) -> None:
    network.save(tmp_path)
    weights, config = tmp_path / WEIGHTS, tmp_path / CONFIG
    if harm == "no folder":
        config.unlink()
    elif harm == "cut weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif harm == "other weights":
        weights.unlink()
    else:
        config.write_text(json.dumps(json.loads(config.read_text()) | {"format": 99}))
    with pytest.raises(ModelError, match=said):
        EmbeddingNetwork.load(tmp_path, FakeEncoder())


def test_a_learning_rate_that_diverges_is_stopped() -> None:
    with pytest.raises(ModelError, match="diverged"):
        train_network(
            rule_table(0, 2),
            rule_table(6, 7),
            FakeEncoder(),
            replace(QUICK, learning_rate=1e12, members=1),
        )


def test_an_attribute_without_wording_is_refused() -> None:
    scheme = GroupScheme("own", standard_attributes(), GROUPS.subpopulations)
    frame = rule_table(0, 1).frame.to_dicts()
    strange = [r | {"attribute": "PET", "group": "Cat"} for r in frame if r["group"] == "Male"]
    with pytest.raises(DataError, match="without wording"):
        train_network(OpinionTable.from_rows(strange), rule_table(6, 7), FakeEncoder(), QUICK)
    assert len(scheme) == 3


@pytest.mark.slow
def test_with_the_embedded_sentence_model(tmp_path: Path) -> None:
    encoder = SentenceModel.load()
    quick = replace(QUICK, members=1, epochs=30, learning_rate=2e-3)
    network, _ = train_network(rule_table(0, 4), rule_table(4, 6), encoder, quick)
    held = rule_table(6, 7)
    means = score_cells(held, network.predict(Cells.cross(held.questions(), GROUPS)).table).mean()
    assert (means["wd"] or 1) < 0.08
    network.save(tmp_path)
    EmbeddingNetwork.load(tmp_path, encoder)


def test_every_question_counts_alike_whatever_batch_it_falls_into(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three questions in batches of two and one: the one was worth two."""
    seen = []

    def watched(*parts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = cell_losses(*parts)
        found[0].retain_grad()
        seen.append(found[0])
        return found

    table = rule_table(0, 1).filter(pl.col("question_id").is_in(["music0", "taxes0", "rain0"]))
    encoder, settings = FakeEncoder(), replace(QUICK, members=1, epochs=1, batch=2, patience=1)
    with monkeypatch.context() as patch:
        patch.setattr("opinioncast.methods.embedding.training.cell_losses", watched)
        patch.setattr("opinioncast.methods.embedding.training.MEASURES", {"wd": lambda s, c: 0.5})
        train_network(table, rule_table(6, 7), encoder, settings)
    assert sorted(len(loss) for loss in seen) == [1, 2]
    for loss in seen:
        assert loss.grad is not None
        # two updates of three questions, 1.5 each; three groups a question
        assert torch.allclose(loss.grad, torch.tensor(1 / 1.5 / 3))


def test_a_score_that_is_no_number_is_never_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    table, encoder, nan = rule_table(0, 1), FakeEncoder(), float("nan")
    texts = list(dict.fromkeys(t for ts in training_texts(table) for t in ts))
    cells = TrainingCells.of_table(table, encoder, texts)
    shape = replace(QUICK.shape, inputs=cells.features.question.shape[1])
    quick = replace(QUICK, shape=shape, epochs=3)

    def kept(*scores: float) -> torch.Tensor:
        """Some weights of the network that three epochs of these scores leave."""
        following = iter(scores)
        measures = {"wd": lambda shares, cells: next(following)}
        monkeypatch.setattr("opinioncast.methods.embedding.training.MEASURES", measures)
        return train_member(cells, cells, quick)[0].level.weight.detach()

    assert torch.equal(kept(nan, 0.5, nan), kept(0.9, 0.5, 0.9))
    assert not torch.equal(kept(nan, 0.5, nan), kept(0.5, nan, nan))
    with pytest.raises(ModelError, match="No epoch gave a score"):
        kept(nan, nan, nan)
