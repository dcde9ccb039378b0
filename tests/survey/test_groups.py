"""Groups: the paper's own lists, intersections, files of a user's own, and refusals."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opinioncast.errors import InputError
from opinioncast.survey.groups import (
    Subpopulation,
    builtin_schemes,
    load_groups,
    standard_attributes,
)

TABLE_3 = {
    "CREGION": ["Northeast", "South"],
    "EDUCATION": ["College graduate/some postgrad", "Less than high school"],
    "SEX": ["Male", "Female"],
    "RACE": ["Black", "White", "Asian", "Hispanic"],
    "INCOME": ["$100,000 or more", "Less than $30,000"],
    "POLPARTY": ["Democrat", "Republican"],
    "POLIDEOLOGY": ["Liberal", "Conservative", "Moderate"],
    "RELIG": ["Protestant", "Jewish", "Hindu", "Atheist", "Muslim"],
}
"""Paper, Table 3 (its "College grad+" under the name the public data give it)."""

TABLE_7 = [
    "18-29",
    "30-49",
    "50-64",
    "65+",
    "Midwest",
    "West",
    "Associate's Degree",
    "High School Graduate",
    "Postgraduate",
    "Some College, No Degree",
    "$50,000-$75,000",
    "$30,000-$50,000",
    "Very Conservative",
    "Very Liberal",
    "Independent",
    "Something Else",
    "Other",
    "Agnostic",
    "Buddhist",
    "Nothing in Particular",
    "Orthodox",
    "Other",
    "Roman Catholic",
]
"""Paper, Table 7, group column from top to bottom."""

FIGURE_14_RELIGION = [
    *("Protestant", "Roman Catholic", "Mormon", "Orthodox", "Jewish", "Muslim", "Buddhist"),
    *("Hindu", "Atheist", "Agnostic", "Other", "Nothing in particular"),
]

ATTRIBUTES = [
    *("CREGION", "SEX", "AGE", "EDUCATION", "RACE", "CITIZEN", "MARITAL", "RELIG"),
    *("RELIGATTEND", "POLPARTY", "INCOME", "POLIDEOLOGY"),
]
EVERY_GROUP = [(a.name, g) for a in standard_attributes().values() for g in a.groups]

OWN = """
name: renters
attributes:
  TENURE:
    label: housing
    question: Do you rent or own your home?
    groups: [Rent, Own]
    bio: I {} my home.
    portray: "{} your home"
    phrases: {Rent: rent, Own: own}
  PET:
    question: Do you have a pet?
    groups: ["Yes", "No"]
groups:
  - TENURE=Rent
  - TENURE=Own & SEX=Female
  - total
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "groups.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_papers_22_groups() -> None:
    scheme = load_groups("paper22")
    assert len(scheme) == 22
    assert [s.key for s in scheme] == [(a, g) for a, groups in TABLE_3.items() for g in groups]


def test_the_papers_unseen_groups() -> None:
    scheme = load_groups("unseen")
    assert len(scheme) == 23
    assert [s.group.casefold() for s in scheme] == [g.casefold() for g in TABLE_7]
    assert not set(scheme) & set(load_groups("paper22"))


def test_all_groups_of_the_12_attributes() -> None:
    scheme = load_groups("all")
    assert list(scheme.attributes) == ATTRIBUTES
    assert [s.key for s in scheme] == EVERY_GROUP
    assert set(load_groups("paper22", "unseen")) <= set(scheme)
    assert builtin_schemes() == ["all", "paper22", "unseen"]


def test_the_steering_questions_figure_14_prints() -> None:
    known = standard_attributes()
    assert known["CREGION"].question == "Which part of the United States do you currently live in?"
    assert known["CREGION"].groups == ("Northeast", "Midwest", "South", "West")
    assert known["RELIG"].question == "What is your present religion, if any?"
    assert list(known["RELIG"].groups) == FIGURE_14_RELIGION


def test_schemes_files_and_expressions_keep_the_order_given(tmp_path: Path) -> None:
    own = write(tmp_path, OWN)
    scheme = load_groups("PET=yes", "sex=female & race=black", own, "total", "TENURE=Rent")
    assert [str(s) for s in scheme] == [
        "PET=Yes",
        "SEX=Female & RACE=Black",
        "TENURE=Rent",
        "TENURE=Own & SEX=Female",
        "TOTAL",
    ]
    assert scheme.name == "PET=yes+sex=female & race=black+renters+total+TENURE=Rent"
    assert load_groups("SEX=Male", "paper22").subpopulations[0].group == "Male"


def test_a_users_attribute_has_wording_by_default(tmp_path: Path) -> None:
    pet = load_groups(write(tmp_path, OWN)).attributes["PET"]
    assert (pet.label, pet.bio, pet.answer("Yes")) == ("PET", "My PET is {}.", "Yes")


def test_a_users_file_may_change_a_standard_attribute(tmp_path: Path) -> None:
    text = "attributes:\n  SEX: {question: What is your gender, groups: [Man, Woman]}\n"
    scheme = load_groups(write(tmp_path, text + "groups: {SEX: all}\n"))
    assert [s.group for s in scheme] == ["Man", "Woman"]
    assert standard_attributes()["SEX"].groups == ("Male", "Female")


def test_labels_name_attributes_too() -> None:
    scheme = load_groups("political party=democrat & Race or Ethnicity=ASIAN")
    assert scheme.subpopulations == (Subpopulation((("POLPARTY", "Democrat"), ("RACE", "Asian"))),)


def test_a_group_may_have_a_sign_of_equality_in_its_name(tmp_path: Path) -> None:
    text = (
        'attributes:\n  YEARS: {label: years, question: How old?, groups: ["y <= 30", "y = 31"]}\n'
    )
    scheme = load_groups(write(tmp_path, text + "groups: {YEARS: all}\n"))
    assert scheme.parse("YEARS=y = 31").conditions == (("YEARS", "y = 31"),)
    assert scheme.parse("years = Y <= 30").conditions == (("YEARS", "y <= 30"),)


def test_selecting_keeps_the_attributes() -> None:
    chosen = load_groups("paper22").select("SEX=Male", "SEX=male", "TOTAL")
    assert [str(s) for s in chosen] == ["SEX=Male", "TOTAL"]
    assert list(chosen.attributes) == ATTRIBUTES


@given(st.lists(st.sampled_from(EVERY_GROUP), max_size=4, unique_by=lambda pair: pair[0]))
def test_a_subpopulation_survives_its_key_and_its_expression(pairs: list[tuple[str, str]]) -> None:
    group = Subpopulation(tuple(pairs))
    assert Subpopulation.from_key(*group.key) == group
    assert load_groups("all").parse(str(group)) == group


def test_an_intersection_is_a_subpopulation() -> None:
    (group,) = load_groups("SEX=Female & RACE=Black")
    assert group.key == ("SEX & RACE", "Female & Black")
    assert Subpopulation().key == ("TOTAL", "All adults")


def test_a_key_that_is_no_intersection() -> None:
    with pytest.raises(InputError, match="one group per attribute"):
        Subpopulation.from_key("SEX & RACE", "Female")


@pytest.mark.parametrize(
    ("expression", "match"),
    [
        ("HEIGHT=Tall", "Unknown attribute"),
        ("SEX=Other", "Unknown group of SEX"),
        ("SEX=", "cannot be read"),
        ("SEX=Female & Black", "cannot be read"),
        ("SEX=Male & SEX=Female", "one attribute twice"),
        ("paper23", "Unknown group scheme"),
    ],
)
def test_expressions_that_are_refused(expression: str, match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        load_groups(expression)
    assert caught.value.expected
    assert caught.value.found


def test_no_group_at_all() -> None:
    with pytest.raises(InputError, match="No group was chosen"):
        load_groups()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("groups: [SEX=Male", "not valid YAML"),
        ("- SEX=Male", "names no groups"),
        ("name: x", "names no groups"),
        ("groups: SEX", "`groups` cannot be read"),
        ("groups: {SEX: [Femail]}", "Unknown group of SEX"),
        ("groups: {HEIGHT: [Tall]}", "Unknown attribute"),
        ("groups: {HEIGHT: all}", "Unknown attribute"),
        ("attributes: [X]\ngroups: [total]", "`attributes` cannot be read"),
        ("attributes: {X: {groups: [a, b]}}\ngroups: [total]", "lacks its wording"),
        ("attributes: {X: {question: q}}\ngroups: [total]", "lacks its wording"),
        (
            "attributes: {X: {question: q, groups: [a], bo: a}}\ngroups: [total]",
            "field that is not",
        ),
        ("attributes: {X: {question: q, groups: [a, a]}}\ngroups: [total]", "must differ"),
        ("attributes: {X: {question: q, groups: abc}}\ngroups: [total]", "groups cannot be read"),
        ("attributes: {X: {question: q, groups: [true]}}\ngroups: [total]", "text was expected"),
        ("attributes: {X: {question: q, groups: [A & B]}}\ngroups: [total]", "cannot be used"),
        ("attributes: {X=Y: {question: q, groups: [A]}}\ngroups: [total]", "cannot be used"),
        (
            "attributes: {X: {question: q, groups: [a], bio: I am a.}}\ngroups: [total]",
            "where the group goes",
        ),
        (
            "attributes: {X: {question: q, groups: [a], portray: 'are {group}'}}\ngroups: [total]",
            "where the group goes",
        ),
        (
            "attributes: {X: {question: q, groups: [a], phrases: {b: c}}}\ngroups: [total]",
            "`phrases` names a group",
        ),
    ],
)
def test_group_files_that_are_refused(tmp_path: Path, text: str, match: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=match) as caught:
        load_groups(path)
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(path))
    assert caught.value.found


def test_more_groups_than_letters(tmp_path: Path) -> None:
    names = ", ".join(f"g{i}" for i in range(27))
    text = f"attributes: {{X: {{question: q, groups: [{names}]}}}}\ngroups: [total]"
    with pytest.raises(InputError, match="26 at most"):
        load_groups(write(tmp_path, text))


def test_a_group_file_in_the_wrong_encoding(tmp_path: Path) -> None:
    path = tmp_path / "groups.yaml"
    path.write_bytes("groups: {RELIG: [Völkisch]}".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read") as caught:
        load_groups(path)
    assert caught.value.expected == "a file in UTF-8"
    assert caught.value.where.endswith("line 1")


def test_a_group_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_groups(tmp_path / "absent.yaml")
