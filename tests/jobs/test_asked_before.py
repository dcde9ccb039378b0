"""What the library says of the questions predicted, and must not say where they are scored."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from tests.library.made import EVERYONE, pistols, question, table
from tests.methods.fake_encoder import FakeEncoder

from opinioncast.evidence.matching import published_of_table
from opinioncast.jobs.asked_before import asked_before_frame, collapsed, relatives
from opinioncast.library.shelf import Library, Shelf, write_shelf
from opinioncast.survey import Question

GUNS = Question(
    "mine",
    "Would you favor or oppose a law that requires a permit for guns?",
    ("Oppose", "Favor"),
    wave="2024",
)
HIKES = Question("hikes", "How often do you go hiking in the hills?", ("Often", "Never"))


@pytest.fixture
def library(tmp_path: Path) -> Library:
    encoder = FakeEncoder()
    write_shelf(pistols(), tmp_path, encoder.encode, encoder.fingerprint)
    return Library((Shelf("mine", tmp_path),))


def test_the_very_question_is_evidence_of_its_years_in_the_order_of_the_asked_options(
    library: Library,
) -> None:
    found = relatives(library, [GUNS, HIKES], None)
    assert found.used == {"mine": ("GSS/guns",)}
    years = {piece.years: piece for piece in found.evidence if piece.years is not None}
    assert len(years) == len(found.evidence)
    assert sorted(years) == [6.0, 16.0, 26.0]  # 2018, 2008, 1998 before 2024
    total = next(c for c in years[6.0].cells if not c.subpopulation.conditions)
    assert total.shares == pytest.approx((0.3, 0.7))  # the library's lists Favor first
    assert (total.n, total.n_eff) == (400, 200)
    assert years[6.0].terms == "free"
    assert found.notes[0] == "mine: asked by GSS in 1998 to 2018 (3 times); see evidence"
    assert "hikes" not in found.near  # by wording alone it has no relative


def test_without_a_year_it_is_this_one_and_that_is_said(library: Library) -> None:
    found = relatives(library, [Question("q", GUNS.text, GUNS.options)], None)
    assert {round(p.years or 0) for p in found.evidence} == {
        date.today().year - y for y in (1998, 2008, 2018)
    }
    assert any("no year told" in note for note in found.notes)
    told = relatives(library, [GUNS], None, year=2020)
    assert {p.years for p in told.evidence} == {2.0, 12.0, 22.0}


def test_a_question_that_is_asked_twice_has_the_results_each_time(library: Library) -> None:
    again = Question("again", GUNS.text.upper(), ("Favor", "Oppose"), wave="2024")
    found = relatives(library, [GUNS, again], None)
    assert found.used == {"mine": ("GSS/guns",), "again": ("GSS/guns",)}
    latest = next(p for p in found.evidence if p.years == 6.0)
    totals = {c.question_id: c.shares for c in latest.cells if not c.subpopulation.conditions}
    assert totals == {"mine": pytest.approx((0.3, 0.7)), "again": pytest.approx((0.7, 0.3))}
    assert len({(c.question_id, c.subpopulation) for c in latest.cells}) == len(latest.cells)
    # as a table of the user's does
    given = published_of_table(pistols(), [GUNS, again], "past", "free")
    assert {c.question_id for c in given.cells} == {"mine", "again"}


def test_other_options_are_named_and_not_used(library: Library) -> None:
    other = Question("q", GUNS.text, ("Favor", "Oppose", "Depends"))
    found = relatives(library, [other], None)
    assert not found.evidence
    assert not found.used
    assert "with other options (Favor; Oppose): named, not used" in found.notes[0]


def test_by_meaning_the_nearest_are_named_with_how_near(library: Library) -> None:
    found = relatives(library, [HIKES], FakeEncoder())
    names = [n.asked.name for n in found.near["hikes"]]
    assert set(names) == {"GSS/guns", "GSS/whales"}
    frame = asked_before_frame(library, found)
    assert frame["nearness"].to_list() == sorted(frame["nearness"].to_list(), reverse=True)
    results = dict(frame.select("asked_before", "result").iter_rows())
    assert results["GSS/guns"] == "Favor 70%, Oppose 30% (2018, 400 people)"
    assert not frame["used_as_evidence"].any()


def test_what_asks_the_same_as_a_scored_question_is_neither_used_nor_named(
    library: Library,
) -> None:
    encoder = FakeEncoder()
    found = relatives(library, [GUNS, HIKES], encoder, scored=[GUNS])
    assert not found.evidence
    assert found.withheld == 1
    named = {n.asked.name for near in found.near.values() for n in near}
    assert named == {"GSS/whales"}
    assert "1 question(s) of the library ask the same as a scored one" in found.notes[-1]
    assert found.record()["library"]["withheld_as_scored"] == 1
    # by its key too: a later year of the same item in other words
    item = Question("GUNS", "Permits for weapons?", ("Yes", "No"), family="gss", wave="2026")
    assert relatives(library, [HIKES], encoder, scored=[item]).withheld == 1


def test_an_empty_library_knows_nothing() -> None:
    found = relatives(Library(), [GUNS], FakeEncoder())
    assert (found.near, found.evidence, found.notes) == ({}, (), ())


def test_finer_options_are_put_together(tmp_path: Path) -> None:
    options = ("Favor strongly", "Favor not strongly", "Oppose not strongly", "Oppose strongly")
    finer = question("guns", "2018", GUNS.text, options)
    write_shelf(table((finer, EVERYONE, [0.4, 0.2, 0.15, 0.25], 500)), tmp_path)
    found = relatives(Library((Shelf("x", tmp_path),)), [GUNS], None)
    (piece,) = found.evidence
    assert piece.cells[0].shares == pytest.approx((0.4, 0.6))  # Oppose is listed first
    assert "with finer options" in found.notes[0]
    assert found.used == {"mine": ("GSS/guns",)}


@pytest.mark.parametrize(
    ("asked", "finer", "places"),
    [
        (("Increased", "Decreased", "Kept the same"),
         ("Increased a lot", "Increased a little", "Kept about the same", "Decreased a little"),
         [0, 0, 2, 1]),
        (("Yes", "No"), ("Yes, definitely", "Yes, probably", "No, definitely not", "No"),
         [0, 0, 1, 1]),
        (("Favor", "Oppose", "Neither favor nor oppose"),
         ("Approve a lot", "Approve", "Neither favor nor oppose", "Oppose"), [0, 0, 2, 1]),
        (("Favor", "Oppose"), ("Favor a lot", "Favor", "Neither favor nor oppose", "Oppose"), None),
        (("Favor", "Oppose", "Neither"), ("Favor a lot", "Favor", "Oppose", "Oppose a lot"), None),
        (("Favor", "Oppose", "Neither"),
         ("Favor a lot", "Favor", "Neither favor nor oppose", "Oppose"), [0, 0, 2, 1]),
        (("Legal", "Not legal"), ("Always legal", "Legal at times", "Not legal"), [0, 0, 1]),
        (("Agree", "Disagree"), ("Agree", "Disagree"), None),
    ],
)  # fmt: skip
def test_which_finer_options_belong_together(
    asked: tuple[str, ...], finer: tuple[str, ...], places: list[int] | None
) -> None:
    assert collapsed(asked, finer) == places
