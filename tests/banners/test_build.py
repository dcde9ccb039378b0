"""Tables against one worked by hand, one computed respondent by respondent, and a published one."""

from __future__ import annotations

import math
from itertools import combinations
from types import SimpleNamespace
from typing import cast

import numpy as np
import polars as pl
import pyreadstat
import pytest
from scipy import stats

from opinioncast.banners.build import prediction_banner, survey_banner, without_columns
from opinioncast.banners.microdata import counts_of_bases, counts_of_wave
from opinioncast.banners.rounding import half_up
from opinioncast.banners.settings import BannerSettings
from opinioncast.curate.aggregate import aggregate
from opinioncast.curate.groups import GroupMasks
from opinioncast.curate.pipeline import CuratedWave
from opinioncast.errors import InputError
from opinioncast.survey import (
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    opinion_row,
)
from opinioncast.survey.wave import Design, Variable, Wave

TOTAL = Subpopulation()
WOMEN, MEN = (Subpopulation((("SEX", g),)) for g in ("Female", "Male"))
YOUNG, MIDDLE, OLD = (Subpopulation((("AGE", g),)) for g in ("18-29", "30-49", "65+"))
RENT = Question("rent", "Limit rents?", ("Favor", "Oppose", "Not sure"), (1, 2, -1))


def _hand() -> OpinionTable:
    shares = {
        TOTAL: ([0.50, 0.40, 0.10], 400),
        WOMEN: ([0.60, 0.30, 0.10], 100),
        MEN: ([0.45, 0.45, 0.10], 100),
        YOUNG: ([0.70, 0.20, 0.10], 90),
        MIDDLE: ([0.55, 0.35, 0.10], 60),
        OLD: ([0.20, 0.70, 0.10], 25),
    }
    return OpinionTable.from_rows(
        opinion_row(RENT, s, p, n=n, n_eff=float(n)) for s, (p, n) in shares.items()
    )


def test_letters_of_a_table_worked_by_hand() -> None:
    """Women and men: Favor t = 2.124 (p 0.035), Oppose p = 0.375, t = 0.15 / 0.0684653 = 2.191
    (p 0.030). 18-29 and 30-49: Favor p = (63 + 33) / 150 = 0.64, so t = 0.15 / (0.48 x 0.166667)
    = 0.15 / 0.08 = 1.875, 148 degrees: p 0.063; Oppose p = 39 / 150 = 0.26, t = 0.15 / 0.0731 =
    2.052: p 0.042. 65+ has 25 respondents: hidden. Means: as shares among those with an opinion.
    """
    banner = survey_banner(_hand(), BannerSettings())
    (table,) = banner.tables
    assert [c.letter for c in banner.columns] == ["", "A", "B", "C", "D", "E"]
    favor, oppose, unsure, mean = table.lines
    assert favor.marks == ("", "B", "", "d", "", "")
    assert oppose.marks == ("", "", "A", "", "C", "")
    assert unsure.marks == ("",) * 6  # equal shares
    assert mean.marks == ("", "", "A", "", "C", "")
    assert table.flags == ("", "", "", "*", "*", "**")
    assert np.isnan(favor.values[5])
    assert favor.values[0] == 0.5
    assert mean.values[1] == pytest.approx((0.6 + 2 * 0.3) / 0.9)
    assert any("taken to share no respondent" in line for line in banner.footer)
    assert any("unweighted ones stand in" in line for line in banner.footer)


def test_settings_change_the_letters_and_are_named() -> None:
    only_95 = survey_banner(_hand(), BannerSettings(low_level=None))
    assert only_95.tables[0].lines[0].marks[3] == ""
    bonferroni = survey_banner(_hand(), BannerSettings(correction="bonferroni", suppress_base=10))
    favor = bonferroni.tables[0].lines[0]
    # age: three pairs now, 18-29 and 30-49 against 65+: p < 0.01 times 3
    assert favor.marks == ("", "B", "", "E", "E", "")
    assert any("Bonferroni" in line for line in bonferroni.footer)
    whole = survey_banner(_hand(), BannerSettings(compare="total"))
    assert whole.tables[0].lines[0].marks == ("", "↑", "", "↑", "", "")
    nothing = survey_banner(_hand(), BannerSettings(compare="nothing"))
    assert not any(m for line in nothing.tables[0].lines for m in line.marks)


def test_without_a_base_nothing_is_tested() -> None:
    table = _hand()
    bare = OpinionTable(table.frame.with_columns(n=None, n_eff=None))
    banner = survey_banner(bare, BannerSettings())
    assert not any(m for line in banner.tables[0].lines for m in line.marks)
    assert "Columns without a base were not tested." in banner.footer
    with pytest.raises(InputError):
        survey_banner(OpinionTable(table.frame.head(0)), BannerSettings())


def _wave(rng: np.random.Generator, people: int) -> tuple[Wave, np.ndarray]:
    respondents = pl.DataFrame(
        {
            "q": rng.choice([1.0, 2.0, 3.0, 9.0], people, p=[0.4, 0.3, 0.2, 0.1]),
            "w": rng.uniform(0.2, 4, people),
        }
    )
    variable = Variable("q", codes=(1, 2, 3), options=RENT.options, ordinal=RENT.ordinal)
    wave = Wave("T", "1", respondents, {"q": variable}, Design(weight="w"))
    masks = rng.random((people, 4)) < [0.5, 0.4, 0.3, 0.02]  # overlapping, the last a small one
    masks[:, 0] = True
    return wave, masks


def test_microdata_count_who_is_in_two_groups() -> None:
    """Every letter is what SciPy finds, respondent by respondent."""
    rng = np.random.default_rng(11)
    groups = (TOTAL, *(Subpopulation((("RELIG", g),)) for g in ("Atheist", "Agnostic", "Other")))
    seen = 0
    for _ in range(6):
        wave, masks = _wave(rng, 700)
        q = Question("q", "Limit rents?", RENT.options, RENT.ordinal, "T", "1")
        found = aggregate(wave, [(q, "q")], groups, masks)
        # of a wave curated, what counting reads
        curated = SimpleNamespace(
            wave=wave, questions=[(q, "q")], groups=GroupMasks(masks, groups, (), ())
        )
        counts = counts_of_wave(cast(CuratedWave, curated))
        banner = survey_banner(found.table, BannerSettings(suppress_base=0), counts=counts)
        (table,) = banner.tables
        answer = wave.respondents["q"].to_numpy()
        weight = np.where(answer < 9, wave.respondents["w"].to_numpy(), 0.0)
        assert table.bases.weighted == pytest.approx([weight[m].sum() for m in masks.T])
        for option in range(3):
            chosen = answer == option + 1
            for i, j in combinations((1, 2, 3), 2):
                a, b, both = weight * masks[:, i], weight * masks[:, j], None
                both = weight * masks[:, i] * masks[:, j]
                e1, e2, e0 = (v.sum() ** 2 / (v**2).sum() for v in (a, b, both))
                p1, p2 = (v[chosen].sum() / v.sum() for v in (a, b))
                p = (a[chosen].sum() + b[chosen].sum()) / (a.sum() + b.sum())
                t = (p1 - p2) / math.sqrt(p * (1 - p) * (1 / e1 + 1 / e2 - 2 * e0 / (e1 * e2)))
                level = 2 * stats.t.sf(abs(t), e1 + e2 - e0 - 2)
                high, low = (i, j) if p1 > p2 else (j, i)
                letter: str | None = banner.columns[low].letter
                letter = letter if level < 0.05 else letter.lower() if level < 0.1 else None
                marks = table.lines[option].marks
                assert (letter in marks[high]) if letter else True
                if letter is None:
                    assert banner.columns[low].letter not in marks[high].upper()
                seen += letter is not None
        beside = counts_of_bases(found.bases.with_columns(family=pl.lit("T"), wave=pl.lit("1")))
        assert beside["T", "1", "q"].weighted == pytest.approx(counts["T", "1", "q"].weighted)
    assert seen  # there was something to find


def test_a_published_bannerbook_is_given_back(shared_data) -> None:
    """Nationscape's book of the week of 7 May 2020, from its microdata: each whole percent within
    the rounding of one (its weights are published with fewer digits than it was computed with)."""
    file = shared_data / "nationscape" / "ns20200507.dta"
    data, _ = pyreadstat.read_dta(str(file), output_format="polars")
    published = pl.read_parquet(shared_data / "nationscape" / "bannerbooks.parquet").filter(
        pl.col("wave") == "20200507"
    )
    wording = {
        "right_track": "Would you say things in this country today are...",
        "pres_approval": "Do you approve or disapprove of the way Donald Trump is handling his job "
        "as president?",
    }
    codes = {"right_track": (1, 2, 999), "pres_approval": (1, 2, 3, 4, 999)}
    age, sex, region = (
        data[c].cast(pl.Float64).to_numpy() for c in ("age", "gender", "census_region")
    )
    masks = {
        TOTAL: np.ones(data.height, bool),
        **{Subpopulation((("SEX", g),)): sex == i for i, g in ((1, "Female"), (2, "Male"))},
        **{
            Subpopulation((("AGE", g),)): (age >= a) & (age <= b)
            for g, a, b in (
                ("18-29", 18, 29),
                ("30-44", 30, 44),
                ("45-64", 45, 64),
                ("65+", 65, 120),
            )
        },
        **{
            Subpopulation((("CREGION", g),)): region == i
            for i, g in enumerate(("Northeast", "Midwest", "South", "West"), 1)
        },
    }
    away = []
    for name, text in wording.items():
        rows = {
            (a, g): (options, percent)
            for options, a, g, percent in published.filter(pl.col("question") == text)
            .select("options", "attribute", "group", "percent")
            .iter_rows()
        }
        options = rows["total", "total"][0]
        question = Question(name, text, tuple(options), (), "NS", "20200507")
        variable = Variable(name, codes=codes[name], options=tuple(options))
        wave = Wave("NS", "20200507", data, {name: variable}, Design(weight="weight"))
        matrix = np.stack(list(masks.values()), axis=1)
        table = aggregate(wave, [(question, name)], list(masks), matrix).table
        banner = survey_banner(table, BannerSettings())
        for i, column in enumerate(banner.columns):
            key = ("total", "total") if column.is_total else column.subpopulation.key
            mine = [
                half_up(100 * line.values[i]) for line in banner.tables[0].lines[: len(options)]
            ]
            away += list(np.abs(np.array(mine) - rows[key][1]))
    assert len(away) == 88
    assert max(away) <= 1
    assert np.mean(np.array(away) == 0) > 0.9


def _predictions() -> PredictionTable:
    return PredictionTable.from_rows(
        opinion_row(RENT, s, p, low=low, high=high, model="m", method="x")
        for s, p, low, high in (
            (WOMEN, [0.5, 0.3, 0.2], [0.3, 0.2, 0.1], [0.7, 0.5, 0.3]),
            (TOTAL, [0.4, 0.4, 0.2], [0.2, 0.2, 0.1], [0.6, 0.6, 0.3]),
        )
    )


def test_predictions_have_intervals_and_no_letters() -> None:
    banner = prediction_banner(_predictions(), BannerSettings())
    assert [c.letter for c in banner.columns] == ["", ""]
    assert banner.columns[0].is_total
    favor, *_, mean = banner.tables[0].lines
    assert favor.values.tolist() == [0.4, 0.5]
    assert favor.low.tolist() == [0.2, 0.3]
    assert favor.marks == ()
    assert banner.tables[0].bases is None
    assert mean.low is not None
    assert mean.high is not None
    # of women: fewest "Oppose" and most "Favor", or the other way round
    assert mean.low[1] == pytest.approx((0.7 + 2 * 0.2) / 0.9, abs=1e-9)
    assert mean.high[1] == pytest.approx((0.3 + 2 * 0.5) / 0.8, abs=1e-9)
    assert banner.footer[0].startswith("Model predictions. No one was interviewed")
    alone = without_columns(banner, [1])
    assert alone.tables[0].lines[0].values.tolist() == [0.5]
    assert len(alone.columns) == 1


def test_observed_stands_beside_with_the_difference() -> None:
    banner = prediction_banner(_predictions(), BannerSettings(), observed=_hand())
    favor, *_, mean = banner.tables[0].lines
    assert favor.observed.tolist() == [0.5, 0.6]
    assert favor.difference == pytest.approx([-0.1, -0.1])
    assert mean.difference is not None
    assert mean.difference[0] == pytest.approx((0.4 + 0.8) / 0.8 - (0.5 + 0.8) / 0.9)
    assert banner.tables[0].bases.unweighted.tolist() == [400, 100]
    assert banner.compared
    other = OpinionTable(_hand().frame.with_columns(question_id=pl.lit("heat")))
    with pytest.raises(InputError, match="Nothing observed"):
        prediction_banner(_predictions(), BannerSettings(), observed=other)
