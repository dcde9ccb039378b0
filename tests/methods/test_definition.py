"""What a group's definition answers, what it cannot, and what only sounds like it."""

from __future__ import annotations

import math

import pytest

from opinioncast import Question, load_groups, predict
from opinioncast.methods.definition import BY_DEFINITION, asks_for, dollars
from opinioncast.survey import Attribute, GroupScheme, Subpopulation

BRACKETS = ("Under $30,000", "$30,000-$99,999", "$100,000 or more")


def rows(question: Question, *groups: str, scheme: GroupScheme | None = None):
    given = load_groups(*groups) if scheme is None else scheme
    made = predict([question], given, method="uniform")
    return made, {(r["group"]): r for r in made.frame.iter_rows(named=True)}


def test_income_of_an_income_group() -> None:
    asked = Question("inc", "What is your total household income before taxes?", BRACKETS)
    made, by = rows(asked, "INCOME=Less than $30,000", "INCOME=$100,000 or more", "SEX=Female")
    assert by["Less than $30,000"]["distribution"] == [1, 0, 0]
    assert by["Less than $30,000"]["low"] == by["Less than $30,000"]["high"] == [1, 0, 0]
    assert by["Less than $30,000"]["basis"] == BY_DEFINITION
    assert by["$100,000 or more"]["distribution"] == [0, 0, 1]
    assert by["Female"]["distribution"] == pytest.approx([1 / 3] * 3)  # of them it tells nothing
    assert made.record["by_definition"] == 2


def test_brackets_that_lie_within_the_group_share_it_by_the_method() -> None:
    asked = Question(
        "inc",
        "Last year, what was your total family income?",
        ("Less than $15k", "$15k to $30k", "$30k to $50k", "Over $50k", "Prefer not to say"),
    )
    _, by = rows(asked, "INCOME=Less than $30,000")
    row = by["Less than $30,000"]
    assert row["distribution"] == [0.5, 0.5, 0, 0, 0]
    assert row["low"] == [0] * 5
    assert row["high"] == [1, 1, 0, 0, 0]


def test_party_of_a_party_group_with_its_strength() -> None:
    options = ("Strong Democrat", "Not very strong Democrat", "Independent", "Strong Republican")
    asked = Question(
        "pid",
        "Generally speaking, do you think of yourself as a Republican, Democrat, or Independent?",
        options,
    )
    _, by = rows(asked, "POLPARTY=Democrat", "POLPARTY=Republican", "POLPARTY=Independent")
    assert by["Democrat"]["distribution"] == [0.5, 0.5, 0, 0]
    assert by["Republican"]["distribution"] == [0, 0, 0, 1]
    assert by["Independent"]["distribution"] == [0, 0, 1, 0]


def test_an_attribute_of_ones_own_is_told_by_its_options() -> None:
    tenure = Attribute("TENURE", "tenure", "Own or rent?", ("Own", "Rent"), "I {}.", "you {}", {})
    groups = [Subpopulation((("TENURE", g),)) for g in ("Own", "Rent")]
    scheme = GroupScheme("mine", {"TENURE": tenure}, tuple(groups))
    asked = Question("t", "Do you own or rent your home?", ("Own", "Rent"))
    _, by = rows(asked, scheme=scheme)
    assert by["Own"]["distribution"] == [1, 0]
    assert by["Rent"]["distribution"] == [0, 1]
    about_views = Question("v", "Is it better to own or to rent your home?", ("Own", "Rent"))
    assert asks_for(about_views, groups[0], scheme.attributes) is None


def test_an_intersection_is_answered_by_the_part_that_is_asked_for() -> None:
    asked = Question("sex", "What is your gender?", ("Man", "Woman", "Other"))
    _, by = rows(asked, "SEX=Female & RACE=Black")
    assert by["Female & Black"]["distribution"] == [0, 1, 0]


def test_options_that_cannot_be_matched_are_refused_with_the_reason() -> None:
    asked = Question("rel", "What is your religious preference?", ("Christian", "Other", "None"))
    made, by = rows(asked, "RELIG=Protestant", "SEX=Male")
    assert set(by) == {"Male"}
    (problem,) = made.problems
    assert problem.missing
    assert "asks for the religion that defines the group" in problem.what
    assert made.record["refused_by_definition"] == 1


@pytest.mark.parametrize(
    ("text", "options", "group"),
    [
        ("Which party would do a better job with the economy?", ("Democrats", "Republicans"),
         "POLPARTY=Democrat"),
        ("If the election were held today, would you vote for the Democrat or the Republican?",
         ("Democrat", "Republican"), "POLPARTY=Democrat"),
        ("Do you consider the income tax that you pay too high?", ("Yes", "No"),
         "INCOME=Less than $30,000"),
        ("How satisfied are you with your household income?", ("Satisfied", "Not satisfied"),
         "INCOME=Less than $30,000"),
        ("Do you think that men or women make better drivers?", ("Men", "Women"), "SEX=Male"),
        ("Should your religion matter to voters?", ("Yes", "No"), "RELIG=Jewish"),
        ("Do you favor a larger role of older people?", ("Yes", "No"), "AGE=65+"),
        ("Is your neighborhood safe?", ("Yes", "No"), "CITIZEN=Yes"),
        ("How often did your family talk about your race or ethnicity?", ("Often", "Never"),
         "RACE=Asian"),
        ("How much confidence do you have in the Republican Party?", ("Some", "None"),
         "POLPARTY=Republican"),
    ],
)  # fmt: skip
def test_what_only_sounds_like_it_is_left_to_the_method(
    text: str, options: tuple[str, ...], group: str
) -> None:
    scheme = load_groups(group)
    question = Question("q", text, options)
    assert asks_for(question, scheme.subpopulations[0], scheme.attributes) is None


@pytest.mark.parametrize(
    ("text", "options", "group", "places"),
    [
        ("How old are you?", ("18-29", "30-49", "50-64", "65+"), "AGE=30-49", (1,)),
        ("Are you a man or a woman?", ("Man", "Woman"), "SEX=Male", (0,)),
        ("Which part of the country do you live in?", ("Northeast", "South", "West"),
         "CREGION=South", (1,)),
        ("How would you describe your political views?", ("Very liberal", "Liberal", "Moderate",
         "Conservative", "Very conservative"), "POLIDEOLOGY=Conservative", (3,)),
        ("What is your race?", ("White", "Black or African American", "Asian"), "RACE=Black", (1,)),
        ("Are you a citizen of the United States?", ("Yes", "No"), "CITIZEN=No", (1,)),
        ("What is the highest level of education you have completed?",
         ("Less than high school", "High school", "College graduate/some postgrad"),
         "EDUCATION=Less than high school", (0,)),
        ("Are you registered as a Democrat, a Republican, or neither?",
         ("Democrat", "Republican", "Neither"), "POLPARTY=Republican", (1,)),
    ],
)  # fmt: skip
def test_standard_attributes(
    text: str, options: tuple[str, ...], group: str, places: tuple[int, ...]
) -> None:
    scheme = load_groups(group)
    found = asks_for(Question("q", text, options), scheme.subpopulations[0], scheme.attributes)
    assert found is not None
    assert found.places == places


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("$30,000-$49,999", (30000, 50000)),
        ("Less than $30k", (0, 30000)),
        ("$100,000 or more", (100000, math.inf)),
        ("$75k+", (75000, math.inf)),
        ("$50,000 to under $75,000", (50000, 75000)),
        ("30-49", None),
        ("Prefer not to say", None),
    ],
)
def test_dollars(text: str, span: tuple[float, float] | None) -> None:
    assert dollars(text) == span
