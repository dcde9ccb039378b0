"""One rule of sameness: by key, wording and meaning; what hangs together; counts by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.survey.sameness import (
    Asked,
    alike,
    asked_before,
    clusters,
    digests,
    find_same,
    item_key,
    repeated,
    same_question,
    similarities,
    wording_key,
)

ASKED = Asked("ATP", "82", "SATIS_W82", "Don't you think taxes are too high?")


@pytest.mark.parametrize(
    "other",
    [
        Asked("ATP", "92", "SATIS_W92", "Other words"),  # another wave
        Asked("atp", "", "satis_w92", "Other words"),  # no wave named; small letters
        Asked("GSS", "2018", "taxhigh", ASKED.text),  # another family, id and wave
        Asked("", "", "q1", "DON'T YOU THINK TAXES ARE TOO HIGH"),
        Asked("", "", "q1", "Don’t you think taxes are too high?"),
        Asked("", "", "q1", "Dont you think taxes are too high"),
        Asked("", "", "q1", "Don`t  you think\ttaxes are too-high…?\n"),
        Asked("", "", "q1", "Don＇t you think taxes are too high？"),  # full width
        Asked("", "", "q1", "Don't you think ta\u00adxes are too high?"),  # soft hyphen
        Asked("", "", "q1", "Don\u00b4t you think taxes are too high?"),
        Asked("", "", "q1", '"Don\u02bct you think taxes are too high?"'),
        Asked("", "", "q1", "Don&#39;t you think <b>taxes</b>&nbsp;are too high?"),
        Asked("", "", "q1", "Don&rsquo;t you <I>think</I> taxes are <br/>too high?"),
        Asked("", "", "q1", "Q.12b: Don't you think taxes are too high?"),
        Asked("", "", "q1", "7) Don't you think taxes are too high?"),
        Asked("", "", "q1", "(c) Don't you think taxes are too high?"),
        Asked("", "", "q1", "Don't you think táxes are too high?"),
    ],
)
def test_the_same_question_in_other_dress(other: Asked) -> None:
    assert same_question(ASKED, other)
    assert same_question(other, ASKED)
    assert clusters([ASKED, other]) == [0, 0]
    assert len(find_same([ASKED], [other]).found) == 1


@pytest.mark.parametrize(
    "other",
    [
        Asked("GSS", "82", "SATIS_W82", "Other words"),  # an id says something in its family only
        Asked("ATP", "82", "SATISF_W82", "Don't you think taxes are too low?"),
        Asked("ATP", "82", "SATISF_W82", "You think taxes are too high?"),
    ],
)
def test_other_questions(other: Asked) -> None:
    assert not same_question(ASKED, other)
    assert clusters([ASKED, other]) == [0, 1]
    assert not find_same([ASKED], [other]).found


def test_what_is_kept_of_a_wording() -> None:
    assert wording_key("Is 3.5% high?") != wording_key("Is 35% high?")
    assert wording_key("co-operate") == wording_key("cooperate")
    assert wording_key("Straße") == wording_key("STRASSE")
    assert wording_key("cafe\u0301") == wording_key("caf\u00e9") == wording_key("cafe")
    assert (
        wording_key("over $30,000?") == wording_key("over $30 000?") == wording_key("over $30000")
    )
    assert wording_key("Is 3.500 high?") != wording_key("Is 3.50 high?")
    assert wording_key("in 2018, 2020") != wording_key("in 20182020")
    assert wording_key("12. 13.") == "12 13"  # no words follow
    assert wording_key("Is 3 < 5 and 7 > 6?") == "is3 5and7 6"
    assert wording_key("कि") != wording_key("की")  # vowel signs are no punctuation
    assert wording_key("?! …") == ""
    # wordings without a letter are not all one
    assert clusters([Asked("A", "", "a", "?"), Asked("A", "", "b", "!")]) == [0, 1]


def test_items() -> None:
    assert item_key("82", "SATIS_W82") == item_key("92", "SATIS_W92") == item_key("", "satis")
    assert item_key("2018a", "natspac_W2018a") == "natspac"
    assert (
        item_key("2018Fall", "natspac_W2018fall") == item_key("2018 fall", "NATSPAC") == "natspac"
    )
    assert item_key("", "_W82") == "_w82"  # nothing would be left


@given(st.text(max_size=40))
def test_what_surrounds_a_wording_does_not_matter(text: str) -> None:
    key = wording_key(text)
    for same in (text.casefold(), f"  {text}?", f'"{text}"', f"{text}\u2019 \u2026"):
        assert wording_key(same) == key


@given(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from("xyz")), max_size=12))
def test_clusters_are_the_connected_parts(drawn: Sequence[tuple[str, str]]) -> None:
    """Against a closure computed by matrix powers."""
    questions = [Asked("F", str(i), f"{a}{t}", f"{t} words") for i, (a, t) in enumerate(drawn)]
    n = len(questions)
    reach = np.eye(n, dtype=bool)
    for i in range(n):
        for j in range(n):
            reach[i, j] |= same_question(questions[i], questions[j])
    for _ in range(n):
        reach = reach @ reach
    found = clusters(questions)
    assert [[found[i] == found[j] for j in range(n)] for i in range(n)] == reach.tolist()
    assert repeated(questions) == n - len(set(found))
    assert list(dict.fromkeys(found)) == list(range(len(set(found))))  # by first appearance


TOWARD = {"Are rents high?": 0.0, "Do rents cost much?": 0.4, "Like cats?": 1.5, "Own a cat?": 0.9}


def encode(texts: Sequence[str]) -> np.ndarray:
    """Angles: cos 0.4 is 0.92, cos 0.5 is 0.88, cos 0.6 is 0.83, cos 0.9 is 0.62."""
    angle = np.array([TOWARD[t] for t in texts])
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_meaning_is_counted_where_a_model_is_at_hand() -> None:
    left = [Asked("A", "1", f"a{i}", t) for i, t in enumerate(TOWARD)]
    right = [Asked("B", "2", "b", "are rents HIGH"), Asked("A", "9", "a2_w9", "Are rents high?")]
    TOWARD["are rents HIGH"] = 0.0
    plain = find_same(left, right)
    assert [(s.question.question_id, s.reason, s.other.question_id) for s in plain.found] == [
        ("a0", "wording", "b"),
        ("a2", "key", "a2_w9"),
    ]
    assert plain.record() == {
        "questions": 4,
        "key": 1,
        "wording": 1,
        "meaning": None,
        "threshold": None,
    }
    meant = find_same(left, right, encode, threshold=0.9)
    assert [s.reason for s in meant.found] == ["wording", "meaning", "key"]
    assert meant.found[1].cosine == pytest.approx(np.cos(0.4))
    assert meant.count("meaning") == 1
    assert meant.words() == "2 of 4 by key or wording, 1 by meaning (cosine 0.9 or more)"
    assert [s.question.question_id for s in meant.of(["key"])] == ["a2"]


@pytest.mark.parametrize("cells", [16_000_000, 1])
def test_links_by_meaning_join_clusters(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr("opinioncast.survey.sameness._BLOCK_CELLS", cells)
    texts = [*TOWARD][:4]
    linked = alike([*texts, texts[0]], encode, threshold=0.85)
    assert linked == [(0, 1), (1, 3)]  # the repeated text is the first one's
    assert alike(texts, encode, threshold=0.9) == [(0, 1)]
    questions = [Asked("A", "", f"q{i}", t) for i, t in enumerate(texts)]
    assert clusters(questions, [(0, 1), (1, 3)]) == [0, 0, 1, 0]
    assert clusters(questions, units=["x", "y", "x", "z"]) == [0, 1, 0, 2]


def test_vectors_of_two_models_are_refused() -> None:
    with pytest.raises(InputError, match="different models"):
        next(similarities(np.ones((1, 2)), np.ones((1, 3))))


def test_hashes_tell_what_was_asked_before() -> None:
    known = digests([ASKED, ASKED])
    assert len(known.split()) == 2
    assert "taxes" not in known
    asked = [
        Asked("GSS", "1", "x", ASKED.text.upper()),
        Asked("ATP", "99", "satis_w99", "?"),
        Asked("GSS", "1", "y", "Other"),
    ]
    assert asked_before(asked, known) == {"questions": 3, "asked_in_training_too": 2}
    assert asked_before(asked, "") is None
