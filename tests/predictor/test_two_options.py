"""A scale left out changes no prediction of two options, and little else; over real questions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.methods.fake_encoder import FakeEncoder

from opinioncast import Predictor, Question, load_groups, read_questionnaire
from opinioncast.backends.sentences import SentenceModel
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.survey import Cells, OpinionTable

GROUPS = load_groups("SEX=Female", "POLPARTY=Democrat")


@pytest.fixture(scope="module")
def questions() -> list[Question]:
    return OpinionTable.read(SHIPPED_TRAINING).questions()


@pytest.mark.slow
def test_two_options_are_predicted_alike_with_and_without_a_scale(
    questions: list[Question], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SentenceModel, "load", lambda *_, **__: FakeEncoder())
    two = [q for q in questions if len(q.options) == 2 and q.has_scale]
    assert len(two) > 75
    bare = [replace(q, ordinal=()) for q in two]
    turned = [replace(q, ordinal=(2.0, 1.0)) for q in two]
    with Predictor(method="nearest") as predictor:
        scaled, left_out, other = (
            predictor.predict(Cells.cross(asked, GROUPS)) for asked in (two, bare, turned)
        )
    shares = np.array(scaled.frame["distribution"].to_list())
    assert np.array(left_out.frame["distribution"].to_list()) == pytest.approx(shares, abs=0)
    assert np.array(other.frame["distribution"].to_list()) == pytest.approx(shares, abs=0)
    # rows keep the scale that was given
    assert left_out.frame["ordinal"].to_list() == [[0.0, 0.0]] * (2 * len(two))
    assert left_out.frame["low"].to_list() == scaled.frame["low"].to_list()


@pytest.mark.slow
def test_the_rules_read_the_scales_that_two_hundred_real_questions_have(
    questions: list[Question], tmp_path: Path
) -> None:
    more = [q for q in questions if len(q.options) > 2 and len(q.text) < 400][:200]
    assert len(more) == 200
    lines = ["questions:"]
    for i, q in enumerate(more):
        lines += [f"  - id: q{i}", f"    question: {q.text!r}".replace("\\'", "''")]
        lines += ["    options:", *(f"      - {o!r}".replace("\\'", "''") for o in q.options)]
    path = tmp_path / "bare.yaml"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    read = read_questionnaire(path)
    same = [
        np.array_equal(_unit(one), _unit(other))
        for one, other in zip(read.questions, more, strict=True)
    ]
    assert np.mean(same) >= 0.95, [q.text for q, s in zip(more, same, strict=True) if not s]
    shown = [n for n in read.notes if "scale read from the options" in n]
    assert len(shown) == sum(q.has_scale for q in read.questions)


def _unit(question: Question) -> np.ndarray:
    """Positions from 0 to 1, whichever end comes first; off the scale: -1."""
    values = np.array(question.ordinal)
    on = values != -1
    if not question.has_scale:
        return np.zeros(len(values))
    out = np.where(on, (values - values[on].min()) / np.ptp(values[on]), -1)
    first = out[on][0] > out[on][-1]
    return np.round(np.where(on & first, 1 - out, out), 6)


def test_a_scale_can_be_said_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    text = (
        "questions:\n"
        "  - {id: a, question: How good?, options: [Very good, Good, Bad, Not sure]}\n"
        "  - {id: b, question: How good?, options: [Very good, Good, Bad, Not sure], scale: none}\n"
        "  - {id: c, question: How good?, options: [Very good, Good, Bad], scale: [1, 2, 9]}\n"
        "  - {id: d, question: Which one?, options: [Apples, Pears, Plums]}\n"
    )
    path.write_text(text)
    read = read_questionnaire(path)
    assert [q.ordinal for q in read.questions] == [
        (1, 2, 3, -1),
        (0, 0, 0, 0),
        (1, 2, 9),
        (0, 0, 0),
    ]
    assert len(read.notes) == 1
    assert read.notes[0].startswith('"a": scale read from the options: 1, 2, 3, -1')
