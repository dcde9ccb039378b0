"""Bands in every notation, and who is in a range, against counting the values one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opinioncast.curate.bands import Band, read_band
from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.groups import GroupMasks, group_masks
from opinioncast.errors import DataError
from opinioncast.survey import Missing, Subpopulation, Variable, Wave

INF = math.inf
DASHES = ["-", " - ", "–", " – ", "—", "−", "‑", "~", "－", "â€“", " to ", " bis ", " through "]
OPEN_TOP = ["{}+", "{} +", "{} and over", "{} or more", "{} years and older", "{} plus", "≥ {}"]
OPEN_TOP += [">= {}", "at least {}", "{} ans et plus", "{} und älter", "{} anos ou mais"]
OPEN_TOP += ["{} años o más", "{} anni e più", "{} lat i więcej", "{} en ouder"]
OVER = ["> {}", ">{}", "over {}", "more than {}", "older than {} years", "über {}"]
OVER += ["más de {} años", "mais de {} anos", "powyżej {} lat", "plus de {} ans"]
OPEN_LOW = [
    "{} or younger",
    "up to {}",
    "<= {}",
    "≤{}",
    "{} and under",
    "{} years or less",
    "bis {}",
    "fino a {} anni",
    "até {} anos",
    "hasta {} años",
]
UNDER = ["< {}", "<{}", "under {}", "less than {}", "younger than {}", "moins de {} ans"]
UNDER += ["menos de {} años", "meno di {} anni", "menos de {} anos", "poniżej {} lat"]
AROUND = ["{}", "Age {}", "{} years", "{} years old", "1. {}", " {} "]


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Band]:
    """A text and the band it says, for whole numbers."""
    low = draw(st.integers(0, 120))
    high = draw(st.integers(low + 1, 150))
    kind = draw(st.sampled_from(["to", "number", "top", "over", "low", "under", "to under"]))
    around = draw(st.sampled_from(AROUND))
    match kind:
        case "number":
            return around.format(low), Band(low, low)
        case "to":
            return around.format(f"{low}{draw(st.sampled_from(DASHES))}{high}"), Band(low, high)
        case "to under":
            word = draw(st.sampled_from([" to under ", " to less than ", " - <", " but under "]))
            return f"{low}{word}{high}", Band(low, high - 1)
        case "top":
            return draw(st.sampled_from(OPEN_TOP)).format(low), Band(low, INF)
        case "over":
            return draw(st.sampled_from(OVER)).format(low), Band(low + 1, INF)
        case "low":
            return draw(st.sampled_from(OPEN_LOW)).format(high), Band(-INF, high)
        case _:
            return draw(st.sampled_from(UNDER)).format(high), Band(-INF, high - 1)


@pytest.mark.slow
@settings(max_examples=600)
@given(written())
def test_every_notation_of_a_band(case: tuple[str, Band]) -> None:
    text, band = case
    assert read_band(text) == band


@settings(max_examples=300)
@given(
    st.integers(1, 9_999_999),
    st.sampled_from(["${:,}", "€ {:,}", "{:,} USD", "{:,} dollars", "£{:,} per year", "{}"]),
    st.sampled_from([",", " ", "'", "\u00a0"]),
)
def test_money(amount: int, layout: str, separator: str) -> None:
    text = layout.format(amount).replace(",", separator)
    assert read_band(text) == Band(amount, amount)
    assert read_band(f"{text} or more") == Band(amount, INF)
    assert read_band(f"less than {text}") == Band(-INF, amount - 1)


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("$25,000 to less than $50,000", Band(25000, 49999)),
        ("$30k-$50k", Band(30000, 50000)),
        ("10-20k", Band(10000, 20000)),
        ("$1.5 million or more", Band(1_500_000, INF)),
        ("0.5-1.5", Band(0.5, 1.5)),
        ("1.5 to under 2.5", Band(1.5, 2.4)),
        ("2,5", Band(2.5, 2.5)),
        ("-5", Band(-5, -5)),
        ("20%-30%", Band(20, 30)),
        ("1981 or later", Band(1981, INF)),
        ("1945 or earlier", Band(-INF, 1945)),
        ("18歳未満", Band(-INF, 17)),
        ("18 至 24 岁", Band(18, 24)),
        ("41岁及以上", Band(41, INF)),
        ("만 65세 이상", None),
        ("65세 이상", Band(65, INF)),
    ],
)
def test_decimals_and_units(text: str, band: Band | None) -> None:
    assert read_band(text) == band


@pytest.mark.parametrize(
    "text",
    [
        *("n/a", "Don't know", "", "1.500", "€ 1.000 - 2.000", "29-18", "12th grade", "30 or 40"),
        *("65-", "18-29 or 40", "about 30", "none", "18 29", "1-2-3", "Q3"),
    ],
)
def test_what_is_no_number_or_may_be_another_is_none(text: str) -> None:
    assert read_band(text) is None


def masks_of(
    tmp: Path, column: list[Any], variable: Variable, ranges: dict[str, str]
) -> GroupMasks:
    path = tmp / "mine.yaml"
    groups = ", ".join(f'"{name}": {{{limits}}}' for name, limits in ranges.items())
    path.write_text(
        f"attributes: {{A: {{variable: {variable.name}, groups: {{{groups}}}}}}}", "utf-8"
    )
    wave = Wave("T", "1", pl.DataFrame({variable.name: column}), {variable.name: variable})
    wanted = [Subpopulation((("A", name),)) for name in ranges]
    return group_masks(wave, load_group_recipe(path), wanted)


@pytest.mark.slow
@settings(max_examples=150)
@given(
    # 97 to 99 may be codes of missing answers
    texts=st.lists(
        written().filter(lambda t: t[1].low not in (97, 98, 99)), max_size=12, min_size=1
    ),
    cuts=st.lists(st.integers(1, 140), min_size=1, max_size=4, unique=True),
)
def test_a_band_is_in_a_group_only_if_all_its_values_are(
    tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, Band]], cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts)]
    ranges = {
        f"g{low}": f"min: {low}" + (f", max: {high - 1}" if high else "")
        for low, high in zip(edges, [*edges[1:], 0], strict=True)
    }
    variable = Variable("hours")
    column = [text for text, _ in texts]
    found = masks_of(tmp_path_factory.mktemp("r"), column, variable, ranges)
    got = {s.group: found.masks[:, i] for i, s in enumerate(found.subpopulations)}
    for name, limits in ranges.items():
        low = int(name[1:])
        high = int(limits.rpartition(" ")[2]) if "max" in limits else 10_000
        for i, (_, band) in enumerate(texts):
            # every whole number the text may mean, counted one by one
            # (hours, of which none is negative)
            values = range(int(max(band.low, 0)), int(min(band.high, 10_000)) + 1)
            inside = all(low <= v <= high for v in values)
            assert bool(got[name][i] if name in got else False) == inside


def test_bands_across_a_limit_are_named(tmp_path: Path) -> None:
    texts = ["30-44"] * 5 + ["45-60"] * 4 + ["> 60"] * 3 + ["no idea"] * 2
    found = masks_of(
        tmp_path, texts, Variable("Age"), {"30-49": "min: 30, max: 49", "60+": "min: 60"}
    )
    assert found.masks.sum(axis=0).tolist() == [5, 3]
    notes = "\n".join(found.notes)
    assert 'no range holds them wholly: "45-60" (4)' in notes
    assert 'not read as a number: "no idea" (2)' in notes


def test_an_open_top_of_ages_is_inside_a_range_that_ends_beyond_any(tmp_path: Path) -> None:
    ranges = {"65+": "min: 65, max: 120"}
    ages = masks_of(tmp_path, ["80+", "65 or over", "64"], Variable("age_group"), ranges)
    assert ages.masks[:, 0].tolist() == [True, True, False]
    spent = masks_of(tmp_path, ["80+", "80"], Variable("spent"), ranges)
    assert spent.masks[:, 0].tolist() == [False, True]


def test_texts_without_a_number_tell_no_range(tmp_path: Path) -> None:
    found = masks_of(tmp_path, ["young", "old"], Variable("Age"), {"65+": "min: 65"})
    assert "nothing in Age reads as a number or band (it holds: young; old)" in found.missing[0][1]


AGES = [float(a) for a in range(18, 95) for _ in range(3)]


@pytest.mark.parametrize("label", ["Don't know", "Refused", "DK/NA [VOL.]", "Prefer not to say"])
def test_a_labelled_missing_code_is_no_age(tmp_path: Path, label: str) -> None:
    variable = Variable("age", codes=(98.0,), options=(label,))
    found = masks_of(tmp_path, AGES + [98.0] * 40, variable, {"65+": "min: 65, max: 120"})
    assert found.masks.sum() == sum(a >= 65 for a in AGES)


@pytest.mark.parametrize("code", [97.0, 98.0, 99.0, 998.0, 999.0, -9.0])
def test_an_unexplained_code_apart_from_the_ages_is_refused(tmp_path: Path, code: float) -> None:
    ranges = {"old": "min: 65" if code > 0 else "max: 29"}
    column = AGES + [code] * 40
    with pytest.raises(DataError, match="looks like the code of a missing answer") as caught:
        masks_of(tmp_path, column, Variable("age"), ranges)
    assert f"{code:g} (40 respondents)" in str(caught.value)
    assert "missing_codes" in str(caught.value)
    declared = Variable("age", missing={code: Missing.UNKNOWN})
    expected = sum(a >= 65 if code > 0 else a <= 29 for a in AGES)
    assert masks_of(tmp_path, column, declared, ranges).masks.sum() == expected


def test_old_people_and_amounts_are_no_missing_codes(tmp_path: Path) -> None:
    ages = [*AGES, 95.0, 96.0, 97.0, 97.0, 98.0, 99.0]
    assert masks_of(tmp_path, ages, Variable("age"), {"65+": "min: 65"}).masks.sum() == 96
    amounts = [float(v) for v in range(300)] + [99.0] * 50
    assert masks_of(tmp_path, amounts, Variable("kg"), {"a": "min: 50"}).masks.sum() == 300


def test_value_labels_that_are_bands_count_wholly(tmp_path: Path) -> None:
    variable = Variable(
        "agecat", codes=(18.0, 25.0, 35.0), options=("18-24", "25-34", "35 or older")
    )
    column = [18.0, 25.0, 35.0]
    found = masks_of(tmp_path, column, variable, {"18-29": "min: 18, max: 29", "35+": "min: 35"})
    assert found.masks.T.tolist() == [[True, False, False], [False, False, True]]
    assert any('"25-34" (1)' in note for note in found.notes)
