"""Triple-S definitions, made up: texts of modes and languages, scores, spreads, ranges."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.questionnaires.instruments import checks, fields, imported

from opinioncast.errors import InputError

SSS = """<?xml version="1.0" encoding="ISO-8859-1"?>
<!DOCTYPE sss PUBLIC "-//triple-s//DTD Survey Interchange v2.0//EN" "http://127.0.0.1:9/no.dtd">
<sss version="{version}" xml:lang="de" languages="de en" modes="interview analysis">
<survey><name>ZOO</name><title>Zoo<br/>Erste Welle<text xml:lang="en">Zoo</text></title>
<record ident="V">
<variable ident="1" type="quantity" use="serial"><name>ID</name><label>Nr</label></variable>
<variable ident="2" type="single"><name>Q1</name>
  <label>Besuch
    <text mode="analysis">Besucht</text>
    <text mode="interview" xml:lang="en">Have you been here?</text>
    <text mode="interview" xml:lang="de">Waren Sie schon für länger hier?</text></label>
  <values><value code="0">Nein</value>
    <value code="1"><text xml:lang="de">Ja</text><text xml:lang="en">Yes</text></value></values>
  </variable>
<variable ident="3" type="multiple"><name>Q2</name><label>Was?</label><spread subfields="2"/>
  <values><value code="1">Affen</value><value code="9">&quot;Bären&quot;</value></values></variable>
<variable ident="4" type="single"><name>Q3</name><label>Urteil</label><filter>Q1=1</filter>
  <values><value code="1" score="1">Gut</value><value code="2" score="-1">Schlecht</value>
  <value code="9">DK/NS</value></values></variable>
<variable ident="5" type="logical"><name>Q4</name><label>Again?</label></variable>
<variable ident="6" type="single"><name>Q5</name><label>Points</label>
  <values><range from="0" to="4"/><value code="4">Best</value></values></variable>
<variable ident="7" type="character"><name>Q6</name><label>Why?</label><size>30</size></variable>
<variable ident="8" type="quantity"><name>Q7</name><label>Miles</label>
  <values><range from="1" to="9"/><value code="10">more</value></values></variable>
<variable ident="9" type="date"><name>Q8</name><label>Day</label></variable>
</record></survey></sss>"""


@pytest.mark.parametrize("version", ["1.2", "2.0", "3.0"])
@pytest.mark.parametrize("ending", [".sss", ".xml"])
def test_every_type(tmp_path: Path, version: str, ending: str) -> None:
    text = SSS.replace("{version}", version).encode("iso-8859-1")
    instrument = imported(tmp_path / f"zoo{ending}", text)
    found, checked = fields(instrument), checks(instrument)
    assert instrument.head.title == "Zoo Erste Welle"
    assert instrument.head.language == "de"
    assert found["Q1"]["question"] == "Waren Sie schon für länger hier?"
    assert found["Q1"]["options"] == ["Nein", "Ja"]
    assert found["Q1"]["codes"] == ["0", "1"]
    assert found["Q2"]["options"] == ["Affen", '"Bären"']
    assert found["Q2"]["select_all"] == "yes"
    assert found["Q2"]["note"] == "at most 2 can be named"
    assert found["Q3"]["scale"] == [2, 0, -1]
    assert found["Q3"]["routing"] == "Q1=1"
    assert found["Q4"]["options"] == ["Yes", "No"]
    assert found["Q5"]["options"] == ["0", "1", "2", "3", "Best"]
    reasons = {i: checked[i].why for i in ("ID", "Q6", "Q7", "Q8")}
    assert reasons == {
        "ID": "computed or hidden, nobody is asked: use=serial",
        "Q6": "open answer",
        "Q7": "open number",
        "Q8": "date or time",
    }
    assert checked["Q1"].where == "line 7, variable 2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SSS 1.1 classic\nRECORD\n", "classic version 1.1"),
        (
            '<sss version="2.0"><hierarchy><level ident="a" href="a.sss"/></hierarchy></sss>',
            "a hierarchy of a.sss",
        ),
        ("<sss/>", "<survey> with its variables"),
    ],
)
def test_what_has_no_questions_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        imported(tmp_path / "zoo.sss", text)
    assert said in str(refused.value)
