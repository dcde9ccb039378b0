"""Putting curated tables together: opinions only, one wording, spellings merged, rounded."""

from __future__ import annotations

import math

import pytest
from tests.library.made import EVERYONE, WOMEN, question, table

from opinioncast.errors import DataError
from opinioncast.library.making import Named, make_library, places_of, rounded, same_wording
from opinioncast.library.recipe import LibraryRecipe
from opinioncast.survey.sameness import Asked

RECIPE = LibraryRecipe(
    name="r",
    parts=("x",),
    endings=("y", "v", "nv"),
    cut=("Edits are in compliance.",),
    not_opinions={"GSS": ("vol*", "smoke")},
)


def test_what_is_no_opinion_and_what_an_evaluation_asks_is_left_out_with_the_reason() -> None:
    given = table(
        (question("abany", "1998"), EVERYONE, [0.4, 0.6], 100),
        (question("abanyv", "2021"), EVERYONE, [0.4, 0.6], 100),
        (question("volart", "1998"), EVERYONE, [0.4, 0.6], 100),
        (question("gunlaw", "1998"), EVERYONE, [0.4, 0.6], 100),
        (question("cappun", "2018", "Do you favour hanging?"), EVERYONE, [0.4, 0.6], 100),
    )
    apart = [
        Asked("GSS", "2022", "abany", "anything"),
        Asked("ATP", "9", "x", "Do you favor gunlaw"),
    ]
    made = make_library(RECIPE, [given], apart)
    assert made.table.frame["question_id"].to_list() == ["cappun"]
    assert {(i, why) for i, why in made.left_out.select("question_id", "reason").iter_rows()} == {
        ("abany", "an evaluation set asks it"),
        ("abanyv", "an evaluation set asks it"),  # another spelling of what is kept apart
        ("gunlaw", "an evaluation set asks it"),  # its wording, whatever the id
        ("volart", "no opinion"),
    }


def test_years_have_the_wording_and_options_of_the_latest_by_their_place() -> None:
    old = question("gods", "1998", "Is there a God? Edits are in compliance.", ("NO GOD", "A GOD"))
    new = question("gods", "2018", "Is there a god?", ("A god", "No god"))
    made = make_library(
        RECIPE,
        [table((old, EVERYONE, [0.1, 0.9], 50)), table((new, EVERYONE, [0.85, 0.15], 60))],
    )
    frame = made.table.frame
    assert frame["options"].to_list() == [["A god", "No god"]] * 2
    assert frame["wave"].to_list() == ["1998", "2018"]
    # 1998 had listed "no god" first
    assert frame["distribution"].to_list() == [[0.9, 0.1], [0.85, 0.15]]
    assert frame["question"].unique().to_list() == ["Is there a god?"]


def test_two_spellings_of_one_year_are_pooled_by_effective_base() -> None:
    a = question("helpful", "2021", "Would you say that people try to be helpful?")
    b = question("helpfulnv", "2021", "Would you say people try to be helpful?")
    made = make_library(RECIPE, [table((a, WOMEN, [0.5, 0.5], 100), (b, WOMEN, [0.8, 0.2], 300))])
    (row,) = made.table.frame.iter_rows(named=True)
    assert made.merged == {"GSS/helpfulnv": "GSS/helpful"}
    assert row["n"] == 400
    assert row["n_eff"] == 200
    assert row["distribution"] == pytest.approx([0.25 * 0.5 + 0.75 * 0.8, 0.25 * 0.5 + 0.75 * 0.2])
    both = math.sqrt((0.25 * 0.02) ** 2 + (0.75 * 0.02) ** 2)
    assert row["se"] == pytest.approx([both, both], abs=5e-5)


def test_another_wording_under_an_ending_is_another_question() -> None:
    a = question("natfare", "2018", "Are we spending too much on welfare?")
    b = question("natfarey", "2018", "Are we spending too much on assistance to the poor?")
    made = make_library(
        RECIPE, [table((a, EVERYONE, [0.5, 0.5], 100), (b, EVERYONE, [0.8, 0.2], 300))]
    )
    assert made.table.frame["question_id"].to_list() == ["natfare", "natfarey"]
    assert not made.merged


def test_studies_that_rename_their_variables_share_a_question_by_its_wording() -> None:
    recipe = LibraryRecipe(name="r", parts=("x",), renamed=("ANES",))
    given = [
        ("V08", "2008", "Was the war worth it?", "ANES"),
        ("V04", "2004", "Was the war worth it", "ANES"),
        ("a", "2004", "How about this?", "ANES"),  # an item that the wording does not name
        ("b", "2004", "How about this?", "ANES"),
        ("c", "2008", "How about this?", "ANES"),
        ("d", "2004", "Was it?", "GSS"),
        ("e", "2008", "Was it?", "GSS"),
    ]
    rows = [(question(i, w, t, family=f), EVERYONE, [0.5, 0.5], 9) for i, w, t, f in given]
    made = make_library(recipe, [table(*rows)])
    assert made.merged == {"ANES/V04": "ANES/V08"}
    kept = made.table.frame.select("question_id", "wave").rows()
    assert [w for i, w in kept if i == "V08"] == ["2004", "2008"]
    assert {i for i, _ in kept} == {"V08", "a", "b", "c", "d", "e"}


def test_other_options_of_the_same_variable_are_another_question() -> None:
    a = question("work", "1998", options=("Yes", "No"))
    b = question("work", "2018", options=("A great deal", "Some", "Hardly any"))
    made = make_library(
        RECIPE, [table((a, EVERYONE, [0.5, 0.5], 9), (b, EVERYONE, [0.2, 0.3, 0.5], 9))]
    )
    assert made.table.frame["question_id"].to_list() == ["work", "work_1998"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Should it be legal?", "should it be legal", True),
        ("Space exploration program", "Space exploration", True),
        ("It should be allowed", "It should not be allowed", False),
        ("Are we spending enough on welfare", "Are we spending enough on aid to the poor", False),
        ("I am happy here", "I am unhappy here", False),
    ],
)
def test_same_wording(one: str, other: str, same: bool) -> None:
    assert same_wording(one, other) is same


@pytest.mark.parametrize(
    ("left", "right", "places"),
    [
        (("Agree", "Disagree"), ("Disagree", "Agree"), (1, 0)),
        (("STRONG AGREE", "Neither", "STRONG DISAGREE"),
         ("Strongly agree", "Neither", "Strongly disagree"), (0, 1, 2)),
        (("Owner decides", "Cant discriminate"), ("First law", "Second law"), None),
        (("Yes", "No"), ("Yes", "No", "Depends"), None),
        (("Very good", "Good", "Bad", "Very bad"), ("Very bad.", "Bad!", "Good!", "Very good."),
         (3, 2, 1, 0)),
    ],
)  # fmt: skip
def test_options_of_another_year(
    left: tuple[str, ...], right: tuple[str, ...], places: tuple[int, ...] | None
) -> None:
    one, two = (
        Named("GSS", wave, "a", "Do you favor a?", options, tuple(map(float, range(len(options)))))
        for wave, options in (("1", left), ("2", right))
    )
    assert places_of(one, two) == places


def test_rounded_shares_still_sum_to_one() -> None:
    shares = rounded([1 / 3, 1 / 3, 1 / 3])
    assert shares == [0.3334, 0.3333, 0.3333]
    assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_nothing_left_is_an_error() -> None:
    given = table((question("smoke", "1998"), EVERYONE, [0.4, 0.6], 100))
    with pytest.raises(DataError, match="No question is left"):
        make_library(RECIPE, [given])
