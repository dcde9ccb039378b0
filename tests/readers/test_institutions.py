"""ATP waves and OpinionQA folders in their published layout (synthetic), SubPOP's layout."""

import json

import polars as pl
import pyreadstat
import pytest

from opinioncast.errors import DataError, InputError
from opinioncast.readers import Conventions, atp, read_wave
from opinioncast.readers.institutions import conventions, recognised, register
from opinioncast.readers.opinionqa import read_opinionqa
from opinioncast.readers.subpop import read_rows, read_subpop, to_table, write_subpop
from opinioncast.survey import Design, Missing

OLD = {"F_AGECAT_FINAL": 2.0, "F_RELIG_FINAL": 9.0, "F_PARTY_FINAL": 1.0, "F_INCOME_FINAL": 3.0}
NEW = {"F_AGECAT": 2.0, "F_RELIG": 9.0, "F_PARTY_FINAL": 1.0, "F_INC_SDT1": 3.0}


def atp_file(folder, traits, weights):
    columns = {
        "QKEY": [1001.0, 1002.0, 1003.0, 1004.0],
        "ECON1_W82": [1.0, 3.0, 99.0, None],
        "THERM_W82": [99.0, 50.0, 999.0, None],
        **{w: [1.0, 2.0, 0.5, 0.5] for w in weights},
        **{name: [value] * 3 + [99.0] for name, value in traits.items()},
    }
    path = folder / "ATP W82.sav"
    pyreadstat.write_sav(
        pl.DataFrame(columns),
        str(path),
        variable_value_labels={
            "ECON1_W82": {1.0: "Excellent", 2.0: "Poor", 3.0: "Not sure", 99.0: "Refused"},
            "THERM_W82": {999.0: "Refused"},
            **{n: {1.0: "A", 2.0: "B", 3.0: "C", 9.0: "D", 99.0: "Refused"} for n in traits},
        },
    )
    return path


def read_atp(path, **more):
    return read_wave(path, family="ATP", wave="82", conventions=atp.CONVENTIONS, **more)


@pytest.mark.parametrize("coding", [OLD, NEW])
def test_atp_wave_in_both_codings(tmp_path, coding):
    path = atp_file(tmp_path, coding, ["WEIGHT_W82"])
    wave = read_atp(path, columns=["ECON1_W82", "THERM_W82", *coding])
    assert wave.design == Design(weight="WEIGHT_W82")
    assert wave.respondent_id == "QKEY"
    econ = wave.variables["ECON1_W82"]
    assert econ.options == ("Excellent", "Poor", "Not sure")  # offered: an answer
    assert econ.missing == {99.0: Missing.REFUSED}
    assert econ.system_missing is Missing.NOT_ASKED
    therm = wave.variables["THERM_W82"]
    assert therm.codes == ()
    assert therm.missing == {999.0: Missing.REFUSED}  # 99 degrees is an answer
    found = atp.traits(wave.respondents.columns)
    assert set(found) == {"AGE", "RELIG", "POLPARTY", "INCOME"}
    assert set(found.values()) == set(coding)


def test_atp_chooses_no_weight_among_several(tmp_path):
    path = atp_file(tmp_path, NEW, ["WEIGHT_W82", "WEIGHT_W82_W85"])
    with pytest.raises(DataError, match="several weights") as error:
        read_atp(path)
    assert error.value.found == "WEIGHT_W82, WEIGHT_W82_W85"
    assert "ATP W82.sav" in str(error.value)
    wave = read_atp(path, design=Design(weight="WEIGHT_W82_W85"))
    assert wave.design.weight == "WEIGHT_W82_W85"


def test_atp_without_weight_key_or_of_another_wave(tmp_path):
    with pytest.raises(DataError, match="no weight"):
        read_atp(atp_file(tmp_path, NEW, []))
    path = atp_file(tmp_path, NEW, ["WEIGHT_W82"])
    with pytest.raises(DataError, match="another wave"):
        read_wave(path, family="ATP", wave="W91", conventions=atp.CONVENTIONS)
    pyreadstat.write_sav(pl.DataFrame({"ECON1_W82": [1.0]}), str(path))
    with pytest.raises(DataError, match="respondent key"):
        read_atp(path)


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "American_Trends_Panel_W34"
    out.mkdir()
    (out / "info.csv").write_text(
        ",key,option_mapping,question,references,option_ordinal\n"
        "0,EAT_W34,\"{2.0: 'Often', 1.0: \"\"Don't\"\", 3.0: 'Both', 99.0: 'Refused'}\","
        'How often?,"[\'Often\', ""Don\'t"", \'Both\', \'Refused\']","[1.0, 2.0, 1.5]"\n'
    )
    (out / "metadata.csv").write_text(
        ",key,options\n0,SEX,\"['Male', 'Female']\"\n1,AGE,\"['18-29', '65+']\"\n"
    )
    (out / "responses.csv").write_text(
        "QKEY,EAT_W34,SEX,AGE,WEIGHT_W34\n1,Often,Male,18-29,1.0\n2,Refused,Female,65+,2\n"
        "3,,Female,Refused,1\n4,Don't,Male,65+,1\n"
    )
    return out


def test_opinionqa_folder(folder):
    wave = read_opinionqa(folder)
    assert (wave.family, wave.wave, wave.respondent_id) == ("ATP", "34", "QKEY")
    assert wave.design.weight == "WEIGHT_W34"
    eat = wave.variables["EAT_W34"]
    assert (eat.codes, eat.options) == ((2.0, 1.0, 3.0), ("Often", "Don't", "Both"))
    assert eat.ordinal == (1.0, 2.0, 1.5)
    assert eat.missing == {99.0: Missing.REFUSED}
    assert eat.system_missing is Missing.NOT_ASKED
    assert wave.respondents["EAT_W34"].to_list() == [2.0, 99.0, None, 1.0]
    assert wave.variables["SEX"].options == ("Male", "Female")
    assert wave.respondents["SEX"].to_list() == [1.0, 2.0, 2.0, 1.0]
    assert wave.variables["AGE"].missing[99.0] is Missing.REFUSED
    assert read_opinionqa(folder, columns=["SEX"]).respondents.columns == [
        "SEX",
        "WEIGHT_W34",
        "QKEY",
    ]


def test_opinionqa_folder_with_a_file_or_column_missing(folder):
    (folder / "info.csv").write_text(
        (folder / "info.csv").read_text() + "1,GONE_W34,\"{1.0: 'a', 2.0: 'b'}\",Q?,[],\"[1, 2]\"\n"
    )
    with pytest.raises(DataError, match="GONE_W34"):
        read_opinionqa(folder)
    (folder / "metadata.csv").unlink()
    with pytest.raises(DataError, match=r"metadata\.csv"):
        read_opinionqa(folder)


ROW = {
    "qkey": "EAT1_W34",
    "attribute": "SEX",
    "group": "Male",
    "responses": [0.25, 0.75],
    "refusal_rate": 0.01,
    "ordinal": [1.0, 2.0],
    "question": "Often?",
    "options": ["Yes, often", "It's no", "Refused"],
}


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_subpop_layout_comes_back_without_loss(tmp_path, ending):
    rows = [ROW, ROW | {"group": "Female", "responses": [0.1, 0.9], "refusal_rate": None}]
    rows.append(ROW | {"qkey": None, "question": "Other?", "options": ["a", "b", "Refused"]})
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(json.dumps(r) + "\n" for r in rows))
    table = read_subpop(source)
    first = table.frame.row(0, named=True)
    assert (first["wave"], first["options"]) == ("34", ["Yes, often", "It's no"])
    back = read_rows(write_subpop(table, tmp_path / f"back{ending}"))
    assert back.select(list(ROW)).to_dicts() == rows
    again = to_table(back, family="ATP")
    assert again.content_hash == table.content_hash


def test_subpop_csv_as_pandas_writes_it(tmp_path):
    path = tmp_path / "p.csv"
    cells = {k: str(v) for k, v in ROW.items()}
    pl.DataFrame([cells]).write_csv(path)
    assert read_rows(path).row(0, named=True) == ROW


@pytest.mark.parametrize(
    "change",
    [{"options": ["Yes", "No"]}, {"options": ["Yes", "No", "Maybe"]}, {"responses": [1.0]}],
)
def test_rows_off_the_layout_are_refused(tmp_path, change):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | {"group": "X"} | change) + "\n")
    with pytest.raises(DataError, match="row 2"):
        read_subpop(path)
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW)[:40])
    with pytest.raises(DataError, match="line 2"):
        read_subpop(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["opinionqa_contentious", "opinionqa_other"])
def test_published_opinionqa_rows_come_back_without_loss(shared_data, tmp_path, name):
    source = shared_data / "opinionqa" / f"{name}.jsonl"
    rows = read_rows(source)
    table = read_subpop(source)
    assert len(table) == rows.height
    assert table.meta["rescaled"] == 0
    assert table.meta["repeated_cells"] == (1 if name == "opinionqa_other" else 0)
    names = [c for c in (*ROW, "n", "wave") if c in rows.columns]
    back = read_rows(write_subpop(table, tmp_path / "back.jsonl"))
    assert back.select(names).equals(rows.select(names))


def test_every_institution_is_declared_once_and_knows_its_files() -> None:
    assert list(conventions()) == ["none", "anes", "anes_to_2008", "atp", "gss"]
    for columns, name in (
        (["ID", "WTSSALL", "age"], "gss"),
        (["QKEY", "F_AGECAT", "Q1"], "atp"),
        (["V201001", "V201002", "V200010a"], "anes"),
    ):
        found = recognised(columns)
        assert found is not None
        assert found[0] == name
    assert recognised(["id", "q1", "weight"]) is None


def test_an_institution_of_another_package() -> None:
    mine = Conventions(name="MYPOLL", reasons={7.0: Missing.REFUSED})
    register(mine)
    assert conventions()["mypoll"] is mine
    with pytest.raises(InputError, match="the name of one that comes with the package"):
        register(Conventions(name="GSS"))


def test_an_archives_list_of_items_reads_a_study_of_2004(tmp_path):
    """Names in capitals, options with their codes, 0, 8 and 9 missing, a post-election weight."""
    pl.DataFrame(
        {
            "V040101": [1.0, 2.0, 1.0, 1.0, 1.0],
            "V040102": [1.0, 2.0, 0.0, 1.0, 1.0],
            "V043001": [1, 3, 8, 0, 9],
            "V045001a": ["1", "5", "NA", "3", "8"],
        }
    ).write_parquet(tmp_path / "anes.parquet")
    items = {
        "V043001": {"desc": "A1. x", "text": "How?", "options": ["1. Well", "3.Badly"], "n": 2},
        "V045001A": {"desc": "B1. y", "text": "Agree?", "options": ["1. Yes", "5 No"], "n": 2},
    }
    (tmp_path / "items.json").write_text(json.dumps(items))

    def read(corrections):
        return read_wave(
            tmp_path / "anes.parquet",
            family="ANES",
            wave="2004",
            codebook=tmp_path / "items.json",
            corrections=corrections,
            conventions=conventions()["anes_to_2008"],
        )

    middle = {"codes": [1, 3, 5], "options": ["Yes", "Neither", "No"], "n_unweighted": 3}
    wave = read({"V045*": {"weight": "V040102"}, "V045001A": middle})
    how, agree = wave.variables["V043001"], wave.variables["V045001a"]
    assert (how.codes, how.options, how.wording) == ((1.0, 3.0), ("Well", "Badly"), "How?")
    assert how.missing == {0.0: Missing.NOT_ASKED, 8.0: Missing.DONT_KNOW, 9.0: Missing.REFUSED}
    assert how.weight is None
    assert (agree.options, agree.weight) == (("Yes", "Neither", "No"), "V040102")
    assert wave.respondents["V045001a"].is_in(agree.codes).sum() == 3
    assert "answers counted differ from the codebook" not in wave.meta["flags"]
    with pytest.raises(DataError, match="fits no entry"):
        read({"V06*": {"weight": "V040102"}})
