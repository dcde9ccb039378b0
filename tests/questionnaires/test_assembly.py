"""What becomes of a found question: the same rules for every format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from opinioncast.errors import InputError
from opinioncast.questionnaires.assembly import assembled, choices_of, items_of
from opinioncast.questionnaires.check_list import Outcome
from opinioncast.questionnaires.declaration import Head, Instrument
from opinioncast.questionnaires.found import Choice, Found, Kind
from opinioncast.questionnaires.scales import numeric_options, scale_of

FILE = Path("made_up.docx")
YES_NO = choices_of([("1", "Yes"), ("2", "No")])
PLAIN = Found("paragraph 1", "Q1", "Are rents too high?", choices=YES_NO)


def of(*found: Found, head: Head | None = None) -> Instrument:
    return assembled(FILE, "made up", found, head or Head())


def why(found: Found) -> str:
    made = of(PLAIN, replace(found, id="odd"))
    assert made.check_list is not None
    return next(c.why for c in made.check_list.checks if c.id == "odd")


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (replace(PLAIN, text="Is ${q://QID1} right?"), "piped text: ${q://QID1}"),
        (replace(PLAIN, text="Is {INSERTANS:1X2} right?"), "piped text: {INSERTANS:1X2}"),
        (replace(PLAIN, text="Is [INSERT NAME] right?"), "piped text: [INSERT NAME]"),
        (
            replace(PLAIN, choices=choices_of([("1", "[pipe: q1]"), ("2", "b")])),
            "piped text: [pipe: q1] in an option",
        ),
        (replace(PLAIN, kind=Kind.OPEN), "open answer"),
        (replace(PLAIN, kind=Kind.RANKING, why="5 options"), "ranking: 5 options"),
        (replace(PLAIN, kind=Kind.SLIDER, choices=()), "slider: its ends are not in the file"),
        (replace(PLAIN, text=""), "no wording"),
        (replace(PLAIN, choices=()), "no options in the file"),
        (
            replace(PLAIN, choices=YES_NO[:1]),
            "fewer than 2 or more than 26 options: 1 option(s)",
        ),
        (
            replace(PLAIN, choices=choices_of((i, f"State {i}") for i in range(1, 52))),
            "fewer than 2 or more than 26 options: 51 option(s)",
        ),
        (replace(PLAIN, choices=choices_of([(1, "Yes"), (2, "yes")])), "an option appears twice"),
        (replace(PLAIN, text="Please rank these from 1 to 2."), "a question that asks for"),
    ],
)  # fmt: skip
def test_what_is_left_out_says_why(odd: Found, reason: str) -> None:
    assert why(odd).startswith(reason)


def test_an_id_that_stands_twice_is_kept_twice_and_said() -> None:
    made = of(PLAIN, replace(PLAIN, where="paragraph 9", text="And taxes?"), PLAIN)
    assert [e.fields["id"] for e in made.entries] == ["Q1", "Q1_2", "Q1_3"]
    assert made.check_list is not None
    assert made.check_list.checks[1].remarks == ("the id Q1 stands at paragraph 1 too: here Q1_2",)


def test_an_items_id_does_not_meet_another_questions() -> None:
    several = Found("a", "Q2", "Which?", Kind.SEVERAL, choices_of([("1", "Tea"), ("2", "Milk")]))
    made = of(several, replace(PLAIN, id="Q2_1"), replace(several, where="b"))
    assert [e.fields["id"] for e in made.entries] == ["Q2", "Q2_1_2", "Q2_3"]  # Q2_2 is the milk


def test_instructions_are_notes_not_wording() -> None:
    asked = "Do you agree? [RANDOMIZE] (DO NOT READ LIST) (if any)"
    made = of(replace(PLAIN, text=asked))
    assert made.entries[0].fields["question"] == "Do you agree? (if any)"
    assert made.entries[0].fields["note"] == "RANDOMIZE; DO NOT READ LIST"


def test_select_all_drops_dont_know_and_keeps_none() -> None:
    options = choices_of([(1, "Tea"), (2, "Milk"), (96, "None of these"), (98, "Don't know")])
    made = of(replace(PLAIN, kind=Kind.SEVERAL, choices=options))
    assert made.entries[0].fields["options"] == ["Tea", "Milk", "None of these"]
    assert made.check_list is not None
    (check,) = made.check_list.checks
    assert check.outcome is Outcome.ITEMS
    assert check.asked == 3
    assert check.remarks == ("no item: Don't know",)


def test_select_all_by_wording_alone_is_said() -> None:
    made = of(replace(PLAIN, text="Which apply? Check all that apply."))
    assert made.entries[0].fields["select_all"] == "yes"
    assert "scale" not in made.entries[0].fields


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ((Choice("Yes", "1"), Choice("", "2")), "options without words: 2"),
        ((Choice("", "1"), Choice("", "2")), "options without words: 1, 2"),
        ((Choice("A", "1"), Choice("", "x"), Choice("B", "3")), "options without words: x"),
        (
            (Choice("<img src='a.png' alt='A cat'>", "1"), Choice("<img src='b.png'>", "2")),
            "options without words: a picture",
        ),
    ],
)
def test_options_that_say_nothing(choices: tuple[Choice, ...], reason: str) -> None:
    assert why(replace(PLAIN, choices=choices)) == reason


def test_points_of_a_scale_need_no_words() -> None:
    choices = (Choice("Bad", "1"), *(Choice("", str(n)) for n in (2, 3, 4)), Choice("Good", "5"))
    (entry,) = of(replace(PLAIN, choices=choices)).entries
    assert entry.fields["options"] == ["Bad", "2", "3", "4", "Good"]
    pictures = tuple(Choice(f"<img src='{a}.png' alt='A {a}'>") for a in ("cat", "dog"))
    (entry,) = of(replace(PLAIN, choices=pictures)).entries
    assert entry.fields["options"] == ["A cat", "A dog"]


def test_a_battery_without_one_of_its_items() -> None:
    rows = items_of([("a", "The army"), ("b", "{party}"), ("c", "")])
    made = of(replace(PLAIN, items=rows))
    assert [e.fields["id"] for e in made.entries] == ["Q1_a"]
    assert made.check_list is not None
    assert [c.why for c in made.check_list.left_out] == ["piped text: {party}", "no wording"]


@pytest.mark.parametrize(
    ("choices", "scale"),
    [
        (choices_of([(1, "Very good"), (2, "Good"), (3, "Bad"), (9, "DK")]), (1, 2, 3, -1)),
        ((Choice("a", "1", 2), Choice("b", "2", -2), Choice("DK/NS", "9")), (4, 0, -1)),
        ((Choice("a", "1", 1), Choice("b", "2", 2), Choice("c", "3", 3, True)), (0, 1, -1)),
        (choices_of([(1, "18-29"), (2, "30-49"), (3, "50+"), (99, "Refused")]), (1, 2, 3, -1)),
        (choices_of([(1, "Ja"), (2, "Nein"), (3, "Weiß nicht")]), (1, 2, -1)),
        (choices_of([(1, "Berlin"), (2, "Hamburg"), (3, "Bremen")]), ()),
        (choices_of([(1, "Yes"), (2, "Don't know")]), ()),
    ],
)
def test_scales(choices: tuple[Choice, ...], scale: tuple[float, ...]) -> None:
    assert scale_of(choices, [c.text for c in choices], "?")[0] == scale


def test_points_of_a_short_scale_and_bands_of_a_long_one() -> None:
    short = numeric_options(0, 10, ("Cold", "Warm"))
    assert [c.text for c in short][::10] == ["0 (Cold)", "10 (Warm)"]
    assert len(short) == 11
    bands = [c.text for c in numeric_options(0, 100, ("", ""))]
    assert bands == ["0 to 20", "21 to 40", "41 to 60", "61 to 80", "81 to 100"]
    signed = [c.text for c in numeric_options(-50, 50, ("", ""))]
    assert signed == ["-50 to -30", "-29 to -10", "-9 to 10", "11 to 30", "31 to 50"]


def test_a_population_that_is_no_name_is_said_and_not_taken() -> None:
    long = "Everyone who " + "lives there and " * 20
    made = of(PLAIN, head=Head(population=long))
    assert made.head.population is None
    assert made.check_list is not None
    assert "no short name" in made.check_list.notes[0]
    assert of(PLAIN, head=Head(population="adults in Berlin")).head.population == "adults in Berlin"


def test_nothing_closed_is_an_error_that_counts() -> None:
    with pytest.raises(InputError, match="No closed question") as refused:
        of(replace(PLAIN, kind=Kind.OPEN), replace(PLAIN, kind=Kind.OPEN))
    assert "2 left out: 2 open answer" in str(refused.value)


def test_the_check_list_as_a_page_holds_every_check_once() -> None:
    odd = replace(PLAIN, id="odd", text="a | b <c>", kind=Kind.OPEN)
    made = of(PLAIN, odd, Found("p 3", "", "Thank you", Kind.TEXT))
    assert made.check_list is not None
    page = made.check_list.markdown("made_up.docx")
    assert page.count("\n| ") == 3 * 2  # a head and a row each
    assert "a \\| b \\<c>" in page
    assert made.check_list.summary() == (
        "1 understood, asked as 1 questions; 1 left out (1 open answer)"
    )
