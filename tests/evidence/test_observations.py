"""What is given as known: matched by text, checked, and never counted twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evidence.small import (
    DEMOCRATS,
    EVERYONE,
    GROUPS,
    MEMBERS,
    MEN,
    RENT,
    REPUBLICANS,
    TRUST,
    WOMEN,
)

from opinioncast.errors import InputError
from opinioncast.evidence.known import known_cells, read_known
from opinioncast.evidence.matching import match_shares, read_pilot
from opinioncast.evidence.observations import (
    Cell,
    Pilot,
    Published,
    check_cells,
    without_same_people,
)
from opinioncast.evidence.sample import Answers, Sample
from opinioncast.evidence.store import read_evidence_folder, write_evidence
from opinioncast.survey import Question, load_groups

SCHEME = load_groups("total")
OPTIONS = {"rent": 2, "trust": 3}


@settings(max_examples=100, deadline=None)
@given(st.permutations([("A lot", 20.0), ("Some", 45.0), ("None", 35.0)]))
def test_options_are_matched_by_text_in_any_order(rows: list[tuple[str, float]]) -> None:
    shares, rounding, notes = match_shares(TRUST, dict(rows), where="file")
    assert shares == pytest.approx((0.2, 0.45, 0.35))
    assert rounding == pytest.approx(0.01)
    assert not notes


@pytest.mark.parametrize("label", ["A LOT", " a lot. ", "A  lot"])
def test_case_spaces_and_stops_do_not_count(label: str) -> None:
    shares, _, _ = match_shares(TRUST, {label: 0.2, "Some": 0.45, "None": 0.35}, where="file")
    assert shares == pytest.approx((0.2, 0.45, 0.35))


@pytest.mark.parametrize("total", [99, 101])
def test_sums_of_99_and_101_are_rounding_and_said(total: int) -> None:
    given = {"A lot": 20, "Some": 45, "None": total - 65}
    shares, _, notes = match_shares(TRUST, given, where="file")
    assert sum(shares) == pytest.approx(1)
    assert str(total) in notes[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"A lot": 20, "Some": 45, "None": 28}, "do not sum"),
        ({"A lot": 20, "Some": 45}, "without a share: None"),
        ({"A lot": 20, "Some": 45, "None": 30, "A little": 5}, "A little"),
        ({"A lot": -5, "Some": 70, "None": 35}, "negative"),
        ({"A lot": float("nan"), "Some": 70, "None": 30}, "not a number"),
        ({"A lot": 0, "Some": 0, "None": 0}, "do not sum"),
        ({"a lot": 10, "A lot": 20, "Some": 40, "None": 30}, "two shares"),
    ],
)
def test_shares_that_do_not_fit(given: dict[str, float], words: str) -> None:
    with pytest.raises(InputError) as error:
        match_shares(TRUST, given, where="file")
    assert words in str(error.value)


def test_no_answers_are_left_out_and_said() -> None:
    given = {"A lot": 18, "Some": 42, "None": 30, "Don’t know": 8, "Refused": 2}
    shares, _, notes = match_shares(TRUST, given, where="file")
    assert shares == pytest.approx((0.2, 42 / 90, 30 / 90))
    assert "8" in notes[0]


def test_a_questions_own_dont_know_stays() -> None:
    question = Question("q", "?", ("Yes", "No", "Don't know"))
    shares, _, _ = match_shares(question, {"No": 30, "Yes": 60, "Don't know": 10}, where="file")
    assert shares == pytest.approx((0.6, 0.3, 0.1))


def test_known_of_a_questionnaire() -> None:
    raw = {
        "TOTAL": {"shares": [58, 42], "n": 1004},
        "POLPARTY=Democrat": {"Oppose": 25, "Favor": 75},
    }
    cells, _ = known_cells(RENT, raw, SCHEME, "q.yaml, line 3")
    assert cells[0] == Cell("rent", EVERYONE, (0.58, 0.42), 1004, 0.01, 1004)
    assert cells[1].subpopulation == DEMOCRATS
    assert cells[1].shares == pytest.approx((0.75, 0.25))
    with pytest.raises(InputError, match="group of POLPARTY"):
        known_cells(RENT, {"POLPARTY=Green": [50, 50]}, SCHEME, "q.yaml")
    with pytest.raises(InputError, match="one per option"):
        known_cells(RENT, {"TOTAL": [50, 30, 20]}, SCHEME, "q.yaml")


def test_known_of_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "known.csv"
    path.write_text(
        "question_id,group,option,percent,n\n"
        "rent,TOTAL,Oppose,42,1004\nrent,TOTAL,Favor,58,1004\n"
        "rent,POLPARTY=Democrat,Favor,75,\nrent,POLPARTY=Democrat,Oppose,25,\n",
        "utf-8",
    )
    found = read_known(path, [RENT, TRUST], SCHEME)
    assert [c.shares for c in found.cells] == [(0.58, 0.42), (0.75, 0.25)]
    path.write_text("question_id,group,option,share\nguns,TOTAL,Favor,1\n", "utf-8")
    with pytest.raises(InputError, match="not predicted"):
        read_known(path, [RENT], SCHEME)
    path.write_text("question_id,group,option,share\nrent,TOTAL,Favour,.5\n", "utf-8")
    with pytest.raises(InputError, match="options"):
        read_known(path, [RENT], SCHEME)


def weight_of(cell: object) -> float:
    return 0.5


def test_exact_results_come_back_from_their_file(tmp_path: Path) -> None:
    given = tmp_path / "known.csv"
    given.write_text(
        "question_id,group,option,percent,n_eff\nrent,TOTAL,Favor,58,inf\nrent,TOTAL,Oppose,42,inf\n"
    )
    piece = read_known(given, [RENT], SCHEME)
    assert [c.n_eff for c in piece.cells] == [np.inf]
    write_evidence(tmp_path, [piece])
    assert read_evidence_folder(tmp_path) == [piece]


def test_a_topline_that_contradicts_its_groups() -> None:
    groups = [Cell("rent", MEN, (0.4, 0.6)), Cell("rent", WOMEN, (0.5, 0.5))]
    assert check_cells([Cell("rent", EVERYONE, (0.45, 0.55)), *groups], "poll", weight_of) == []
    with pytest.raises(InputError, match="contradicts"):
        check_cells([Cell("rent", EVERYONE, (0.6, 0.4)), *groups], "poll", weight_of)
    with pytest.raises(InputError, match="twice"):
        check_cells([*groups, groups[0]], "poll", weight_of)
    (note,) = check_cells([Cell("rent", EVERYONE, (0.495, 0.505)), *groups], "poll", weight_of)
    assert "points off" in note


def pilot(count: int = 40, seed: int = 0) -> Pilot:
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 4, count)
    return Pilot(
        "pilot.csv",
        GROUPS,
        MEMBERS[rows],
        {"rent": rng.integers(0, 2, count)},
        {"rent": np.ones(count)},
    )


def test_the_same_people_are_used_once_and_named() -> None:
    one = pilot()
    topline = Published(
        "topline",
        (Cell("rent", EVERYONE, tuple(one.shares("rent", 2, np.full(40, True))[0]), 40, 0.0, 40),),
    )
    other = Published("other", (Cell("rent", EVERYONE, (0.6, 0.4), 800, 0.01, 800),))
    again = replace(other, name="reprint")
    used, left_out = without_same_people([topline, one, other, again, one], OPTIONS)
    assert [p.name for p in used] == ["pilot.csv", "other"] or [p.name for p in used] == [
        "pilot.csv",
        "reprint",
    ]
    assert len(left_out) == 3
    assert sum("pilot.csv" in line for line in left_out) == 2


def test_order_of_people_and_pieces_does_not_matter() -> None:
    one = pilot()
    order = np.random.default_rng(1).permutation(40)
    shuffled = replace(
        one,
        members=one.members[order],
        choice={"rent": one.choice["rent"][order]},
        weights={"rent": one.weights["rent"][order]},
    )
    assert one.key == shuffled.key
    assert one.key != pilot(seed=1).key


def sample(weights: np.ndarray, members: np.ndarray, options: tuple[str, ...]) -> Sample:
    question = Question("rent", "Limit rents?", options)
    choice = np.arange(len(weights)) % 2
    return Sample("pilot", GROUPS, members, [Answers(question, choice, weights)])


def test_a_pilots_options_are_matched_by_text_too() -> None:
    given = sample(np.ones(4), MEMBERS, ("Oppose", "Favor"))
    found = read_pilot(given, [RENT], "pilot.csv", "own")
    assert found.choice["rent"].tolist() == [1, 0, 1, 0]
    with pytest.raises(InputError, match="other options"):
        read_pilot(sample(np.ones(4), MEMBERS, ("Yes", "No")), [RENT], "pilot.csv", "own")


def test_what_a_pilot_lacks_is_named() -> None:
    members = MEMBERS.copy()
    members[3] = False
    found = read_pilot(sample(np.ones(4), members, RENT.options), [RENT], "pilot.csv", "own")
    assert any("SEX: 1 of 4 people in none" in n for n in found.notes)
    assert any("SEX=Female: 1 of the pilot" in n for n in found.notes)
    with pytest.raises(InputError, match="No question of the pilot"):
        read_pilot(sample(np.zeros(4), members, RENT.options), [RENT], "pilot.csv", "own")


def test_republicans_are_a_cell() -> None:
    assert REPUBLICANS.group == "Republican"
