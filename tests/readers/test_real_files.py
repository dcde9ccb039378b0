"""The shared survey files: published counts, and one answer from every encoding."""

import json

import polars as pl
import pytest

from opinioncast.readers import PLAIN, anes, gss, read_wave
from opinioncast.survey import Missing, tagged

GSS, ANES = gss.CONVENTIONS, anes.CONVENTIONS


def entries(path):
    content = json.loads(path.read_text())
    return content["questions"] if isinstance(content, dict) else content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "book", "conventions"),
    [
        ("gss/gss_2016.zsav", "gss/codebook_gss_2016.json", GSS),
        ("gss/gss_2018.zsav", "gss/codebook_gss_2018.json", GSS),
        ("gss/gss_2018.dta", "gss/codebook_gss_2018.json", GSS),
        ("gss/gss_trend_2016_2024.sav", "gss/codebook_gss_trend.json", GSS),
        ("anes/timeseries_2012.zsav", "anes/codebook_timeseries_2012.json", ANES),
        ("anes/timeseries_2020.zsav", "anes/codebook_timeseries_2020.json", ANES),
        ("anes/pilot_2018.sav", "anes/codebook_pilot_2018.json", ANES),
        ("anes/pilot_2020.sav", "anes/codebook_pilot_2020.json", ANES),
        ("anes/socialmedia_2020.sav", "anes/codebook_socialmedia_2020.json", ANES),
        ("fivethirtyeight/comma_survey.csv", "fivethirtyeight/codebook_comma.json", PLAIN),
        (
            "fivethirtyeight/flying_etiquette.csv",
            "fivethirtyeight/codebook_flying_etiquette.json",
            PLAIN,
        ),
        ("fivethirtyeight/nonvoters_data.csv", "fivethirtyeight/codebook_nonvoters.json", PLAIN),
        ("fivethirtyeight/star_wars.csv", "fivethirtyeight/codebook_star_wars.json", PLAIN),
    ],
)
def test_counts_equal_the_codebook(shared_data, data, book, conventions):
    expected = {e["variable"]: e["n_unweighted"] for e in entries(shared_data / book)}
    wave = read_wave(
        shared_data / data,
        family="x",
        wave="y",
        columns=list(expected),
        codebook=shared_data / book,
        conventions=conventions,
    )
    counted = {
        name: wave.respondents[name].is_in(list(wave.variables[name].codes)).sum()
        for name in expected
    }
    assert counted == expected
    assert not any("differ" in kind for kind in wave.meta["flags"])
    explained = set().union(*(wave.variables[n].missing.values() for n in expected))
    assert explained <= set(Missing)
    strays = wave.meta["flags"].get("answers that no label or codebook explains, taken as missing")
    assert not strays


def content(wave, name):
    """One variable's answers as option texts or missing reasons."""
    variable = wave.variables[name]
    if wave.respondents[name].dtype == pl.String:
        return wave.respondents[name].to_list()
    meaning = dict(zip(variable.codes, variable.options, strict=True)) | {
        code: f"<{reason}>" for code, reason in variable.missing.items()
    }
    return [meaning.get(v, v) for v in wave.respondents[name].to_list()]


@pytest.mark.slow
def test_three_encodings_of_one_anes_survey_give_one_wave(shared_data):
    names = ("pilot_2018.sav", "pilot_2018_usermissing.sav", "pilot_2018.dta")
    waves = [
        read_wave(shared_data / "anes" / n, family="ANES", wave="2018", conventions=ANES)
        for n in names
    ]
    for other in waves[1:]:
        assert other.respondents.equals(waves[0].respondents)
        assert dict(other.variables) == dict(waves[0].variables)
        assert other.meta["flags"] == waves[0].meta["flags"]


def test_gss_letters_and_user_missing_codes_give_the_same_answers(shared_data):
    folder = shared_data / "gss"
    names = [e["variable"] for e in entries(folder / "codebook_gss_2018.json")]
    stata, spss = (
        read_wave(folder / f, family="GSS", wave="2018", columns=names, conventions=GSS)
        for f in ("gss_2018.dta", "gss_2018.zsav")
    )
    for name in names:
        assert content(stata, name) == content(spss, name), name
    assert stata.variables["gunlaw"].missing[tagged("i")] is Missing.NOT_ASKED
    assert spss.variables["gunlaw"].missing[-100.0] is Missing.NOT_ASKED


def test_empty_labels_of_the_anes_pilot_are_not_options(shared_data):
    wave = read_wave(
        shared_data / "anes" / "pilot_2018.sav",
        family="ANES",
        wave="2018",
        columns=["follow"],
        conventions=ANES,
    )
    assert wave.variables["follow"].codes == (1.0, 2.0, 3.0, 4.0)


def test_positive_missing_codes_come_from_the_codebook(shared_data):
    folder = shared_data / "anes"
    wave = read_wave(
        folder / "pilot_2020.sav",
        family="ANES",
        wave="2020",
        columns=["votemail1a", "intelsup2"],
        codebook=folder / "codebook_pilot_2020.json",
        conventions=ANES,
    )
    missing = wave.variables["votemail1a"].missing
    assert missing[88.0] is Missing.NOT_ASKED
    assert missing[99.0] is Missing.UNKNOWN
    assert wave.variables["intelsup2"].missing[8.0] is Missing.NOT_ASKED


def test_star_wars_has_two_header_rows_in_latin_1(shared_data):
    folder = shared_data / "fivethirtyeight"
    wave = read_wave(
        folder / "star_wars.csv",
        family="538",
        wave="2014",
        codebook=folder / "codebook_star_wars.json",
    )
    assert len(wave) == 1186
    assert any("two header rows" in note for note in wave.meta["notes"])
    assert any("cp1252" in note for note in wave.meta["notes"])
