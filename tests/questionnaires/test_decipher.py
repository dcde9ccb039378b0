"""Decipher surveys, made up: grids, loops, sliders, prefixes that no one declared."""

from __future__ import annotations

from pathlib import Path

from tests.questionnaires.instruments import checks, fields, imported

SURVEY = """<survey alt="Zoo" lang="english">
<block label="b1" cond="1" builder:title="Main">
<radio label="q1" cond="q0.r1"><title>&lt;b&gt;Like&amp;nbsp;it?&lt;/b&gt;</title>
  <comment>Select one</comment>
  <row label="r1">Yes</row><row label="r2" value="7">No</row>
  <row label="r3" cond="0">Gone</row><noanswer label="na">Don't know</noanswer></radio>
<radio label="q2"><title>Trust?</title><row label="r1">Army</row><row label="r2">[pipe: q1]</row>
  <col label="c1">A lot</col><col label="c2">Not at all</col></radio>
<radio label="q3" grouping="cols"><title>Best?</title>
  <row label="r1">Red</row><row label="r2">Blue</row>
  <col label="c1">Now</col><col label="c2">Then</col></radio>
<checkbox label="q4"><title>Own?</title>
  <row label="r1">Car</row><row label="r99" exclusive="1">None</row>
  </checkbox>
<select label="q5"><title>Rate</title>
  <choice label="ch1">Bad</choice><choice label="ch2">Good</choice>
  <row label="r1">Ford</row><col label="c1">Vans</col><col label="c2">Cars</col></select>
<number label="q6" uses="slidernumber.5" verify="range(0,100)"><title>Warm?</title></number>
<number label="q7" ss:size="10"><title>How many?</title></number>
<select label="q8" uses="ranksort.4"><title>Order</title><choice label="c1">1st</choice>
  <row label="r1">A</row></select>
<text label="q9"><title>Why?</title></text>
<radio label="q10" where="execute"><title>Hidden</title>
  <row label="r1">a</row><row label="r2">b</row></radio>
<html label="h1">Thanks</html><exec>import os</exec><term label="t1" cond="q1.r2">Out</term>
</block>
<loop label="L1" vars="brand"><title>Brands</title>
  <block label="b2"><radio label="q11_[loopvar: label]"><title>Know [loopvar: brand]?</title>
    <row label="r1">Yes</row><row label="r2">No</row></radio></block>
  <looprow label="1"><loopvar name="brand">Ford</loopvar></looprow>
  <looprow label="2"><loopvar name="brand">Fiat</loopvar></looprow></loop>
</survey>"""


def test_every_type(tmp_path: Path) -> None:
    instrument = imported(tmp_path / "zoo.xml", SURVEY)
    found, checked = fields(instrument), checks(instrument)
    assert instrument.head.title == "Zoo"
    assert instrument.check_list is not None
    assert instrument.check_list.notes[0] == (
        "prefixes that the file does not declare: builder, ss"
    )
    assert found["q1"]["question"] == "Like it?"
    assert found["q1"]["options"] == ["Yes", "No", "Don't know"]
    assert found["q1"]["codes"] == ["1", "7", "na"]
    assert found["q1"]["scale"] == [1, 2, -1]
    assert found["q1"]["routing"] == "1; q0.r1"
    assert found["q1"]["note"] == "Select one"
    assert found["q1"]["block"] == "Main"
    assert found["q2_r1"]["battery"] == "Trust?"
    assert found["q2_r1"]["options"] == ["A lot", "Not at all"]
    assert checked["q2"].why == "piped text: [pipe: q1]"
    assert found["q3_c2"]["question"] == "Then"
    assert found["q3_c2"]["options"] == ["Red", "Blue"]
    assert found["q4"]["codes"] == ["1", "99"]
    assert found["q4"]["select_all"] == "yes"
    assert found["q5_r1c2"]["question"] == "Ford - Cars"
    assert found["q6"]["options"][0] == "0 to 20"
    assert found["q11_2"]["question"] == "Know Fiat?"
    assert found["q11_2"]["block"] == "b2"
    reasons = {i: checked[i].why for i in ("q7", "q8", "q9", "q10")}
    assert reasons == {
        "q7": "open number",
        "q8": "ranking: ranksort.4",
        "q9": "open answer",
        "q10": "computed or hidden, nobody is asked: where=execute",
    }
    assert checked["q7"].where.endswith(", number q7")


def test_a_thermometer_of_numbers_is_a_scale(tmp_path: Path) -> None:
    text = """<survey alt="Zoo">
<number label="q1" verify="range(0,100)"><title>On a feeling thermometer, how warm?</title></number>
<number label="q2" verify="range(0,100)"><title>How many cars?</title></number></survey>"""
    instrument = imported(tmp_path / "zoo.xml", text)
    assert list(fields(instrument)) == ["q1"]
    assert len(fields(instrument)["q1"]["options"]) == 5
    assert checks(instrument)["q2"].why == "open number"


def test_lists_of_the_survey_are_put_in_where_they_are_asked_for(tmp_path: Path) -> None:
    text = """<survey alt="Zoo"><define label="towns"><row label="r1">Ulm</row>
<row label="r2">Bonn</row><row label="r3">Kiel</row></define>
<radio label="q1"><title>Where?</title><insert source="towns" exclude="r2"/>
<row label="r9">Elsewhere</row></radio>
<radio label="q2"><title>Own?</title><row label="r1">Car</row><row label="r2">Bike</row>
<insert source="towns" as="cols"/></radio>
<radio label="q3"><title>Gone?</title><insert source="none"/></radio></survey>"""
    instrument = imported(tmp_path / "zoo.xml", text)
    found = fields(instrument)
    assert found["q1"]["options"] == ["Ulm", "Kiel", "Elsewhere"]
    assert found["q1"]["codes"] == ["1", "3", "9"]
    assert found["q2_r1"]["options"] == ["Ulm", "Bonn", "Kiel"]
    assert checks(instrument)["q3"].why.startswith("no options")
