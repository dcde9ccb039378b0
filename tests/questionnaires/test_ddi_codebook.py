"""DDI codebooks, made up: batteries, select-all groups, missing codes, frequencies."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.questionnaires import read_questionnaire

STUDY = """<stdyDscr><citation><titlStmt><titl>Zoo 2024</titl></titlStmt></citation>
<stdyInfo><sumDscr><nation>Narnia</nation><universe>{universe}</universe></sumDscr></stdyInfo>
</stdyDscr>"""
VARIABLES = """<dataDscr>
<varGrp ID="G1" type="multipleResp" var="V4 V5"><txt>Which do you own?</txt></varGrp>
<varGrp ID="G2" type="grid" var="V6 V7"><txt>How much do you trust each?</txt></varGrp>
<var ID="V1" name="rent"><labl>RENT</labl><qstn><qstnLit>Are rents <em>too</em> high?</qstnLit>
  <ivuInstr>Read out</ivuInstr></qstn><universe>Tenants</universe>
  <invalrng><item VALUE="8"/><range min="97" max="99"/></invalrng>
  <catgry><catValu>1</catValu><labl>Yes</labl><catStat type="freq">60</catStat>
    <catStat type="freq" wgtd="wgtd">75.0</catStat></catgry>
  <catgry><catValu>2</catValu><labl>No</labl><catStat type="freq">40</catStat>
    <catStat type="freq" wgtd="wgtd">25.0</catStat></catgry>
  <catgry missing="Y"><catValu>7</catValu><labl>Refused</labl>
    <catStat type="freq">9</catStat></catgry>
  <catgry><catValu>8</catValu><labl>Skipped</labl></catgry>
  <catgry><catValu>98</catValu><labl>Gone</labl></catgry></var>
<var ID="V2" name="age" intrvl="contin"><qstn><qstnLit>How old are you?</qstnLit></qstn></var>
<var ID="V3" name="labelled"><labl>Only a label</labl>
  <catgry><catValu>1</catValu><labl>Good</labl><catStat type="percent">30</catStat></catgry>
  <catgry><catValu>2</catValu><labl>Bad</labl><catStat type="percent">70</catStat></catgry></var>
<var ID="V4" name="own_car"><qstn><qstnLit>A car</qstnLit></qstn>
  <catgry><catValu>0</catValu><catStat type="freq">30</catStat></catgry>
  <catgry><catValu>1</catValu><catStat type="freq">10</catStat></catgry></var>
<var ID="V5" name="own_bike"><qstn><qstnLit>A bike</qstnLit></qstn>
  <catgry><catValu>0</catValu></catgry><catgry><catValu>1</catValu></catgry></var>
<var ID="V6" name="army"><qstn><preQTxt>How much do you trust each?</preQTxt>
  <qstnLit>The army</qstnLit></qstn>
  <catgry><catValu>1</catValu><labl>A lot</labl></catgry>
  <catgry><catValu>2</catValu><labl>Not at all</labl></catgry></var>
<var ID="V7" name="police"><qstn><qstnLit>The police</qstnLit></qstn>
  <catgry><catValu>1</catValu><labl>A lot</labl></catgry>
  <catgry><catValu>2</catValu><labl>Not at all</labl></catgry></var>
<var ID="V8" name="why"><qstn responseDomainType="text"><qstnLit>Why?</qstnLit></qstn></var>
<var ID="V9" name="shown"><qstn><preQTxt>Look here.</preQTxt><qstnLit>Nice?</qstnLit></qstn>
  <catgry><catValu>1</catValu><labl>Yes</labl></catgry>
  <catgry><catValu>2</catValu><labl>No</labl></catgry></var>
</dataDscr>"""


def codebook(namespace: str = ' xmlns="ddi:codebook:2_5"', universe: str = "Narnians") -> str:
    study = STUDY.replace("{universe}", universe)
    return f'<codeBook{namespace} xml:lang="en">{study}{VARIABLES}</codeBook>'


@pytest.mark.parametrize(
    "namespace", ['xmlns="ddi:codebook:2_5"', 'xmlns="http://www.icpsr.umich.edu/DDI"', ""]
)
def test_wordings_groups_and_missing_codes(tmp_path: Path, namespace: str) -> None:
    instrument = imported(tmp_path / "zoo.xml", codebook(f" {namespace}"))
    found, checked = fields(instrument), checks(instrument)
    assert list(found) == ["rent", "labelled", "own_car", "own_bike", "army", "police", "shown"]
    assert instrument.head.title == "Zoo 2024"
    assert instrument.head.population == "Narnians"
    assert found["rent"]["question"] == "Are rents too high?"
    assert found["rent"]["options"] == ["Yes", "No"]
    assert found["rent"]["routing"] == "Tenants"
    assert found["rent"]["note"] == "Read out"
    assert found["own_car"]["battery"] == "Which do you own?"
    assert found["own_car"]["options"] == ["No", "Yes"]
    assert found["own_car"]["codes"] == ["0", "1"]
    assert found["own_car"]["select_all"] == "item"
    assert found["police"]["battery"] == "How much do you trust each?"
    assert found["shown"]["question"] == "Look here. Nice?"
    assert checked["age"].why == "open number"
    assert checked["why"].why == "open answer"
    assert checked["labelled"].remarks == ("no wording in the file: its label is taken",)
    assert checked["army to police"].asked == 2


def test_frequencies_are_observed(tmp_path: Path) -> None:
    path = tmp_path / "zoo.xml"
    imported(path, codebook())
    asked = read_questionnaire(path)
    assert asked.observed is not None
    rows = {r["question_id"]: r for r in asked.observed.frame.iter_rows(named=True)}
    assert rows["rent"]["distribution"] == pytest.approx([0.75, 0.25])  # weighted, of the valid
    assert rows["rent"]["n"] == 100
    assert rows["labelled"]["distribution"] == pytest.approx([0.3, 0.7])
    assert rows["own_car"]["distribution"] == pytest.approx([0.75, 0.25])
    assert set(rows) == {"rent", "labelled", "own_car"}
    assert asked.population.people == "Narnians"


def test_frequencies_that_are_none_are_said(tmp_path: Path) -> None:
    text = """<codeBook xmlns="ddi:codebook:2_5"><dataDscr><var ID="V1" name="v1">
<qstn><qstnLit>Own?</qstnLit></qstn>
<catgry><catValu>1</catValu><labl>Yes</labl><catStat type="freq">30</catStat></catgry>
<catgry><catValu>2</catValu><labl>No</labl><catStat type="freq">-5</catStat></catgry></var>
<var ID="V2" name="v2"><qstn><qstnLit>Rent?</qstnLit></qstn><catgry><catValu>1</catValu></catgry>
<catgry><catValu>2</catValu></catgry></var></dataDscr></codeBook>"""
    instrument = imported(tmp_path / "zoo.xml", text)
    checked = checks(instrument)
    assert "frequencies aren't used" in checked["v1"].remarks[0]
    assert not instrument.entries[0].observed
    assert checked["v2"].why == "options without words: 1, 2"
