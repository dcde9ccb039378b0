"""Modular Pluralism with models whose answers are known: who is asked what, and who is heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.fake_backend import FakeBackend, FakeWriter

from opinioncast.backends.protocol import LabelRequest, LabelScores, TextRequest
from opinioncast.errors import InputError, ModelError, NoScoresError
from opinioncast.evaluate.scores import score_cells
from opinioncast.methods.pluralism import ModularPluralism
from opinioncast.methods.row_cache import RowCache
from opinioncast.survey import Cells, OpinionTable, Question, load_groups, opinion_row

GROUPS = load_groups("POLPARTY=Democrat", "POLPARTY=Republican")
QUESTION = Question("guns", "Should gun laws be stricter?", ("Yes", "No"), (1, 2))
LEFT = FakeWriter(lambda request: " A. Fewer guns.\n\nQuestion: And you?", "left")
RIGHT = FakeWriter(lambda request: "B. More guns.", "right")


def choose(request: LabelRequest) -> list[float]:
    """Democrats take comment 1, Republicans comment 2, each with 0.6 of a mass of 0.8."""
    assert request.labels == ("1", "2")
    return [0.6, 0.2] if "Democrat" in request.text else [0.2, 0.6]


def answer(request: LabelRequest) -> list[float]:
    """Yes follows the passage on fewer guns; the second letter gets 0.1 more than it should."""
    yes = 0.7 if "Passage: A. Fewer guns.\n" in request.text else 0.2
    shares = {"Yes": yes, "No": 0.9 - yes}
    shown = {"A": "Yes", "B": "No"} if request.labels == ("A", "B") else {"A": "No", "B": "Yes"}
    by_label = {label: shares[shown[label]] + (0.1 if label == "B" else 0) for label in "AB"}
    return [by_label[label] for label in request.labels]


def setup(**settings: object) -> ModularPluralism:
    given = {
        "modules": [LEFT, RIGHT],
        "chooser": FakeBackend(choose, name="chooser"),
        "answerer": FakeBackend(answer, name="answerer"),
    }
    return ModularPluralism(**(given | settings))  # type: ignore[arg-type]


def test_the_choice_and_the_distribution_by_hand() -> None:
    prediction = setup().predict(Cells.cross([QUESTION], GROUPS))
    left, right = (r["distribution"] for r in prediction.table.frame.iter_rows(named=True))
    # Democrats: Yes 0.7 as A, 0.8 as B; Republicans: 0.2 and 0.3: position bias averages out
    assert left == pytest.approx([0.75, 0.25])
    assert right == pytest.approx([0.25, 0.75])
    assert prediction.table.frame["order_spread"].to_list() == pytest.approx([0.1, 0.1])
    assert prediction.table.frame["label_mass"].to_list() == pytest.approx([1, 1])
    first, second = prediction.details
    assert [c["comment"] for c in first["comments"]] == ["A. Fewer guns.", "B. More guns."]
    assert [c["module"] for c in first["comments"]] == ["left", "right"]
    assert (first["picked"], second["picked"]) == (1, 2)
    assert first["probabilities"] == pytest.approx([0.75, 0.25])
    record = prediction.record
    assert record["picked"] == [1, 1]
    assert record["chooser_label_mass_mean"] == pytest.approx(0.8)
    assert record["parse_failures"] == 0
    assert record["model"] == "answerer"
    assert record["texts"] == 4
    assert record["tokens_in"] is None  # a fake scorer does not tell how many tokens it reads


def test_one_hot_error_and_distance_of_the_same_rows() -> None:
    observed = OpinionTable.from_rows([opinion_row(QUESTION, g, [0.6, 0.4]) for g in GROUPS], {})
    means = score_cells(observed, setup().predict(Cells.cross([QUESTION], GROUPS)).table).mean()
    assert means["one_hot_error"] == pytest.approx(0.5)  # Republicans are predicted to say No
    assert means["wd"] == pytest.approx((0.15 + 0.35) / 2)


@pytest.mark.parametrize(
    ("said", "picked"),
    [
        ("2", 2),
        (" Comment 1 fits best.", 1),
        ("Of 3, number 2.", 2),
        ("1.5 of them", None),
        ("Of the 2 comments, Comment 1 fits best.", 1),
        ("From 1 to 2, I would select comment 2", 2),
        ("comment number 2, not the other 1", 2),
        ("I can't pick one of the 2 comments", None),
        ("Comment 1 is closer than comment 2.", None),
        ("1 or 2", None),
    ],
)
def test_a_chooser_that_only_writes(said: str, picked: int | None) -> None:
    prediction = setup(chooser=FakeWriter(lambda request: said)).predict(
        Cells.cross([QUESTION], GROUPS)
    )
    assert prediction.record["chooser_reads"] == "text"
    assert [d["picked"] for d in prediction.details] == [picked, picked]
    assert prediction.record["parse_failures"] == (0 if picked else 2)
    assert len(prediction.table) == (2 if picked else 0)
    assert all(p.missing and "names no one comment" in p.what for p in prediction.problems)


def test_empty_comments_are_not_offered() -> None:
    silent = FakeWriter(lambda request: "\n\n", "silent")

    def first(request: LabelRequest) -> list[float]:
        assert "Comment 1: A. Fewer guns." in request.text
        assert "Comment 2: B. More guns." in request.text
        return [0.4, 0.6]

    chooser = FakeBackend(first)
    three = setup(modules=[silent, LEFT, RIGHT], chooser=chooser).predict(
        Cells.cross([QUESTION], GROUPS)
    )
    assert [d["picked"] for d in three.details] == [3, 3]
    assert three.record["comments_empty"] == 2
    unasked = FakeBackend(choose)
    one = setup(modules=[silent, LEFT], chooser=unasked).predict(Cells.cross([QUESTION], GROUPS))
    assert [d["picked"] for d in one.details] == [2, 2]
    assert unasked.asked == []
    none = setup(modules=[silent, silent]).predict(Cells.cross([QUESTION], GROUPS))
    assert len(none.table) == 0
    assert all("no module wrote" in p.what and p.missing for p in none.problems)
    assert none.record["parse_failures"] == 0


def test_it_cannot_be_set_up_with_one_module_or_without_a_chat_model() -> None:
    with pytest.raises(InputError, match="cannot be set up"):
        setup(modules=[LEFT])
    with pytest.raises(ModelError, match="chat template"):
        setup(
            modules=[LEFT, RIGHT],
            chooser=LEFT,
            answerer=LEFT,
            chat=True,
        )


def test_chat_is_used_by_the_models_that_have_a_template() -> None:
    method = setup(chat=True)
    method.predict(Cells.cross([QUESTION], GROUPS))
    assert all(t.startswith("<user>Which") for t in method.chooser.asked)  # type: ignore[union-attr]
    assert all(t.startswith("<user>In terms") for t in method.answerer.asked)  # type: ignore[attr-defined]


def test_a_second_run_asks_nobody(tmp_path: Path) -> None:
    with RowCache(tmp_path / "c.sqlite") as cache:
        first = setup(cache=cache).predict(Cells.cross([QUESTION], GROUPS))
        again = setup(cache=cache)
        second = again.predict(Cells.cross([QUESTION], GROUPS))
        assert again.answerer.asked == []  # type: ignore[attr-defined]
        assert again.chooser.asked == []  # type: ignore[union-attr]
    assert second.record["texts_from_cache"] == 4
    assert second.table.content_hash == first.table.content_hash


def test_progress_reaches_its_end() -> None:
    seen: list[tuple[int, int]] = []
    setup().predict(
        Cells.cross([QUESTION], GROUPS), progress=lambda done, of: seen.append((done, of))
    )
    assert seen[-1] == (2 * (2 + 1 + 2), 10)  # two cells: two comments, a choice, two orders
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.slow
def test_the_embedded_model_as_every_part(embedded_backend: Any) -> None:
    from opinioncast.backends.torch_backend import TorchBackend

    backend = TorchBackend(embedded_backend.loaded, shared_prefix=False)
    method = ModularPluralism(
        [backend, backend], backend, backend, comment_tokens=8, option_orders="given"
    )
    prediction = method.predict(Cells.cross([QUESTION], GROUPS))
    assert len(prediction.table) == 2
    assert all(d["comments"][0]["comment"] for d in prediction.details)
    assert prediction.record["tokens_in"] > 100
    assert 0 < prediction.record["chooser_label_mass_mean"] <= 1


class Keeper(FakeBackend):
    """Keeps its answers itself, and counts five tokens read and one written for each."""

    keeps_answers = True

    @property
    def tokens(self) -> tuple[int, int]:
        return 5 * len(self.asked), len(self.asked)


def test_a_model_that_keeps_its_answers_does_not_keep_the_others_from_the_cache(
    tmp_path: Path,
) -> None:
    with RowCache(tmp_path / "c.sqlite") as cache:
        keepers = [Keeper(choose, name="chooser"), Keeper(answer, name="answerer")]
        for _ in range(2):
            asked: list[str] = []

            def left(request: TextRequest, asked: list[str] = asked) -> str:
                asked.append(request.text)
                return "A. Fewer guns."

            module = FakeWriter(left, "left")
            prediction = setup(
                modules=[module, RIGHT], chooser=keepers[0], answerer=keepers[1], cache=cache
            ).predict(Cells.cross([QUESTION], GROUPS))
        assert asked == [], "the second run has the comments from the cache"
        assert [len(k.asked) for k in keepers] == [4, 8], "theirs come from elsewhere"
    words = prediction.record["tokens_in"] - 5 * (2 + 4)
    assert words > 20
    assert prediction.record["tokens_out"] == 2 * (3 + 3) + 2 + 4  # comments of three words each


def test_a_chooser_that_could_score_is_read_as_asked() -> None:
    def first(request: LabelRequest) -> list[float]:
        raise AssertionError("its service gives no probabilities")

    chooser = FakeBackend(first, write=lambda request: "Comment 2.", name="chooser")
    prediction = setup(chooser=chooser, chooser_reads="text").predict(
        Cells.cross([QUESTION], GROUPS)
    )
    assert prediction.record["chooser_reads"] == "text"
    assert [d["picked"] for d in prediction.details] == [2, 2]
    with pytest.raises(ModelError, match="cannot be read like this"):
        setup(chooser=LEFT, chooser_reads="scores")
    with pytest.raises(InputError, match="Unknown way"):
        setup(chooser_reads="runes")


def test_a_chooser_whose_probabilities_were_refused_says_why() -> None:
    class Refusing(FakeBackend):
        def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
            for i, request in enumerate(requests):
                nothing = np.full(len(request.labels), np.nan)
                yield i, LabelScores(nothing, 1.0, "labels that were not listed")

    prediction = setup(chooser=Refusing(choose)).predict(Cells.cross([QUESTION], GROUPS))
    assert [p.what for p in prediction.problems] == [
        "the chooser gave no usable probabilities: labels that were not listed"
    ] * 2
    assert prediction.record["parse_failures"] == 0, "nothing was parsed"


@pytest.mark.parametrize(
    ("part", "says"), [("answerer", "few-shot -k 0"), ("chooser", "--chooser-reads text")]
)
def test_a_service_without_probabilities_is_named_before_anything_is_written(
    part: str, says: str
) -> None:
    class Mute(FakeBackend):
        def check_scoring(self, text: str) -> None:
            raise NoScoresError("The service gives no label probabilities", where="http://here")

    mute = Mute(answer, write=lambda request: "1")
    unasked = FakeBackend(answer, write=lambda request: "A.")
    with pytest.raises(ModelError, match="gives no label probabilities") as caught:
        setup(modules=[unasked, unasked], **{part: mute}).predict(Cells.cross([QUESTION], GROUPS))
    assert says in str(caught.value)
    assert "--chat" in str(caught.value)  # the service may only chat
    assert unasked.asked == []
    if part == "chooser":
        assert len(
            setup(chooser=mute, chooser_reads="text").predict(Cells.cross([QUESTION], GROUPS)).table
        )
