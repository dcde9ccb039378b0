"""Few-shot prompting: which examples are shown, how the answer is read, what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.fake_backend import FakeBackend

from opinioncast.backends.protocol import TextRequest
from opinioncast.errors import InputError, ModelError
from opinioncast.methods.few_shot import FewShot
from opinioncast.methods.row_cache import RowCache
from opinioncast.survey import Cells, OpinionTable, Question, load_groups, opinion_row

GROUPS = load_groups("SEX=Female", "SEX=Male")
FEMALE, MALE = GROUPS.subpopulations
ANGLES = {"near": 10, "nearer": 5, "far": 80, "middle": 40, "asked": 0, "same words": 0}


class Angles:
    """A sentence model on a circle: the angle of a text says how like the others it is."""

    name = "angles"
    fingerprint = "angles-1"

    def encode(self, texts: list[str], /) -> npt.NDArray[np.float32]:
        angles = np.radians([ANGLES.get(t.removesuffix("?").lower(), 90) for t in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def question(name: str, family: str = "S") -> Question:
    return Question(name, f"{name}?", ("Yes", "No"), (1, 2), family, "1")


def table(*cells: tuple[str, list[str]], family: str = "S") -> OpinionTable:
    """Questions with the groups that answered them; Yes has the share angle / 100."""
    rows = []
    for name, groups in cells:
        yes = ANGLES.get(name.lower(), 90) / 100
        for group in (FEMALE, MALE):
            if str(group.group) in groups:
                rows.append(
                    opinion_row(question(name, family), group, [yes, 1 - yes], refusal_rate=0.1)
                )
    return OpinionTable.from_rows(rows, {})


BOTH = ["Female", "Male"]
TRAIN = table(("far", BOTH), ("near", BOTH), ("nearer", ["Female"]), ("middle", BOTH))
ASKED = Question("new", "asked?", ("Yes", "No"), (1, 2))


def says(text: str, **settings: object) -> FakeBackend:
    return FakeBackend(lambda request: [], write=lambda request: text, **settings)  # type: ignore[arg-type]


def method(backend: FakeBackend, train: OpinionTable = TRAIN, **settings: object) -> FewShot:
    return FewShot(backend, train, Angles(), **settings)  # type: ignore[arg-type]


GOOD = '{"A": 0.2, "B": 0.7, "C": 0.1}'


def test_the_most_alike_come_last_and_a_group_without_an_answer_is_passed_over() -> None:
    backend = says(GOOD)
    prediction = method(backend, k=2).predict(Cells.cross([ASKED], GROUPS))
    female, male = (d["examples"] for d in prediction.details)
    assert [e["question_id"] for e in female] == ["near", "nearer"]
    assert [e["question_id"] for e in male] == ["middle", "near"]  # he was not asked "nearer"
    assert female[1]["cosine"] == pytest.approx(np.cos(np.radians(5)), abs=1e-4)
    prompt = next(t for t in backend.asked if "gender is Male" in t or "is Male" in t)
    assert prompt.index("middle?") < prompt.index("near?") < prompt.index("asked?")
    # near: Yes 0.10 of those who answered, a tenth refused
    assert '{"A": 0.090, "B": 0.810, "C": 0.100}' in prompt


def test_shares_and_refusal_by_hand() -> None:
    prediction = method(says(GOOD)).predict(Cells.cross([ASKED], GROUPS))
    row = prediction.table.frame.row(0, named=True)
    assert row["distribution"] == pytest.approx([2 / 9, 7 / 9])
    assert row["refusal_rate"] == pytest.approx(0.1)
    assert row["label_mass"] is None
    without = method(says('{"A": 30, "B": 70}'), refusal=None).predict(Cells.cross([ASKED], GROUPS))
    row = without.table.frame.row(0, named=True)
    assert row["distribution"] == pytest.approx([0.3, 0.7])
    assert row["refusal_rate"] is None
    assert without.record["repairs"] == {"percent": 2}


def test_a_question_is_never_its_own_neighbour() -> None:
    train = table(("asked", BOTH), ("near", BOTH))
    again = table(("Asked", BOTH))  # the same words otherwise written
    for own in (question("asked"), Question("other", "  ASKED?", ("Yes", "No"), (1, 2), "T")):
        prediction = method(says(GOOD), train).predict(Cells.cross([own], GROUPS))
        for detail in prediction.details:
            assert [e["question_id"] for e in detail["examples"]] == ["near"]
        assert prediction.record["cells_with_fewer_examples"] == 2
        alone = method(says(GOOD), again).predict(Cells.cross([own], GROUPS))
        assert len(alone.table) == 0
    reworded = Question("near", "asked?", ("Yes", "No"), (1, 2), "S", "2")  # family and id
    found = method(says(GOOD), table(("near", BOTH), ("far", BOTH))).predict(
        Cells.cross([reworded], GROUPS)
    )
    assert [e["question_id"] for e in found.details[0]["examples"]] == ["far"]


def test_a_question_asked_in_two_waves_is_one_example_the_newest() -> None:
    rows = [
        opinion_row(
            Question(name, f"{name}?", ("Yes", "No"), (1, 2), "S", wave), group, [yes, 1 - yes]
        )
        for name, wave, yes in (("near", "2016", 0.2), ("near", "2018", 0.4), ("far", "2016", 0.6))
        for group in (FEMALE, MALE)
        if not (wave == "2018" and group is MALE)  # who was asked in 2016 only
    ]
    found = method(says(GOOD), OpinionTable.from_rows(rows, {}), k=2).predict(
        Cells.cross([ASKED], GROUPS)
    )
    female, male = (d["examples"] for d in found.details)
    assert [(e["question_id"], e["wave"]) for e in female] == [("far", "2016"), ("near", "2018")]
    assert [(e["question_id"], e["wave"]) for e in male] == [("far", "2016"), ("near", "2016")]


def test_no_example_and_no_readable_answer_are_problems_not_rows() -> None:
    train = table(("near", ["Female"]))

    def write(request: TextRequest) -> str:
        return "I would rather not say."

    backend = FakeBackend(lambda request: [], write=write)
    prediction = method(backend, train).predict(Cells.cross([ASKED], GROUPS))
    assert len(prediction.table) == 0
    assert [p.missing for p in prediction.problems] == [True, True]
    wrong = {p.group: p.what for p in prediction.problems}
    assert "no other training question" in wrong["Male"]
    assert "no JSON object" in wrong["Female"]
    assert prediction.record["parse_failures"] == 1
    refused = method(says('{"A": 0, "B": 0, "C": 1}'), train).predict(Cells.cross([ASKED], GROUPS))
    assert any("refusal" in p.what for p in refused.problems)
    assert refused.record["parse_failures"] == 0
    assert refused.record["all_on_refusal"] == 1


def test_structured_decoding_goes_with_the_backend_and_the_setting() -> None:
    able = says(GOOD, supports_schema=True)
    assert method(able).predict(Cells.cross([ASKED], GROUPS)).record["structured"] is True
    assert all(r.schema is not None for r in able.requests)
    assert list(able.requests[0].schema["properties"]) == ["A", "B", "C"]  # type: ignore[index]
    off = says(GOOD, supports_schema=True)
    method(off, structured=False).predict(Cells.cross([ASKED], GROUPS))
    unable = says(GOOD)
    assert method(unable).predict(Cells.cross([ASKED], GROUPS)).record["structured"] is False
    assert all(r.schema is None for r in (*off.requests, *unable.requests))
    with pytest.raises(ModelError, match="JSON form"):
        method(says(GOOD), structured=True)
    with pytest.raises(InputError, match="needs examples"):
        method(says(GOOD), k=0)
    with pytest.raises(InputError, match="needs examples"):
        FewShot(says(GOOD), None, None, k=2)


def test_without_a_table_the_model_writes_a_distribution_with_no_example() -> None:
    backend = says(GOOD)
    found = FewShot(backend, None, None, k=0).predict(Cells.cross([ASKED], GROUPS))
    assert found.problems == ()
    assert (
        found.table.frame["distribution"].to_list() == [pytest.approx([0.2 / 0.9, 0.7 / 0.9])] * 2
    )
    assert all(text.count("Answer distribution:") == 1 for text in backend.asked)
    assert found.record["train"] is None


def test_tokens_are_counted_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    asked = [Question(str(i), f"asked {i}?", ("Yes", "No"), (1, 2)) for i in range(10)]
    whole = says(GOOD)
    expected = method(whole).predict(Cells.cross(asked, GROUPS))
    words = sum(len(text.split()) for text in whole.asked)
    assert expected.record["tokens_in"] == words
    assert expected.record["tokens_out"] == 20 * len(GOOD.split())
    with RowCache(tmp_path / "c.sqlite") as cache:
        killed = says(GOOD, fail_after=11)
        with pytest.raises(KeyboardInterrupt):
            method(killed, cache=cache).predict(Cells.cross(asked, GROUPS))
        resumed = says(GOOD)
        found = method(resumed, cache=cache).predict(Cells.cross(asked, GROUPS))
        assert len(resumed.asked) == 20 - 11
        assert found.record["texts_from_cache"] == 11
        assert found.record["tokens_in"] == words
        assert found.table.content_hash == expected.table.content_hash
        other = says(GOOD, weights="others")
        method(other, cache=cache).predict(Cells.cross(asked, GROUPS))
        assert len(other.asked) == 20


def test_chat_puts_the_prompt_into_a_turn() -> None:
    backend = says(GOOD)
    prediction = method(backend, chat=True).predict(Cells.cross([ASKED], GROUPS))
    assert all(
        t.startswith("<user>Predict") and t.endswith("</user><model>") for t in backend.asked
    )
    assert (
        prediction.record["prompt_template"]
        != (method(says(GOOD)).predict(Cells.cross([ASKED], GROUPS)).record["prompt_template"])
    )


@pytest.mark.slow
def test_the_embedded_model_writes_distributions(embedded_backend: Any) -> None:
    from opinioncast.backends.sentences import SentenceModel
    from opinioncast.backends.torch_backend import TorchBackend
    from opinioncast.jobs.demo import demo_table

    backend = TorchBackend(embedded_backend.loaded, shared_prefix=False)
    train = demo_table()
    questions = train.questions()[:2]
    groups = load_groups("SEX=Female")
    few_shot = FewShot(backend, train, SentenceModel.load(), k=2)
    prediction = few_shot.predict(Cells.cross(questions, groups))
    assert prediction.record["structured"] is True
    assert prediction.record["parse_failures"] == 0
    assert len(prediction.table) + sum(p.missing for p in prediction.problems) == 2
    for detail in prediction.details:
        shares = json.loads(detail["answer"])
        assert sum(shares.values()) == pytest.approx(1, abs=0.0011)
        own = detail["question_id"]
        assert own not in [e["question_id"] for e in detail["examples"]]
