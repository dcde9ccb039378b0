"""Real instruments, where they are at hand beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.questionnaires.instruments import imported

import instruments as benchmark
from opinioncast.questionnaires.wording import piped, plain

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def readings() -> dict[str, benchmark.Reading]:
    """Every file of the folder, read once."""
    folder = Path(os.environ.get("OPINIONCAST_INSTRUMENTS") or benchmark.FOLDER)
    if not (folder / "index.tsv").is_file():
        pytest.skip(f"real instruments are not here (looked in {folder})")
    named = [line.split("\t")[0] for line in (folder / "index.tsv").read_text("utf-8").split("\n")]
    files = [f for n in named if (f := folder / n).is_file() and f.suffix not in _NO_INSTRUMENT]
    return {str(f.relative_to(folder)): benchmark.read(folder, f) for f in files}


_NO_INSTRUMENT = {".sav", ".asc", ".csv", ".dtd", ".xsd"}
_ASKED = {  # counted by hand in the files
    "surveymonkey/details.json": 1,
    "xlsform/pyxform_or_other.xlsx": 2,
    "xlsform/all_types_survey.xlsx": 14,  # 3 select_one, a table of 3, 1 with other, 3 + 4 items
    "triple_s/example1.sss": 16,  # Q2, Q4, Q7, Q8 and twice six attractions
    "triple_s/hierarchy/tripdata.sss": 2,
    "text/sample_survey_questionnaire.md": 51,
    "qsf/qualtricstools_logic.qsf": 7,
    "decipher/loop.xml": 2,
}


def test_counts(readings: dict[str, benchmark.Reading]) -> None:
    found = {n: c.asked for n, r in readings.items() if (c := r.check_list) is not None}
    assert {n: found.get(n) for n in _ASKED} == _ASKED


def test_wordings_are_clean_and_every_thing_has_its_place(
    readings: dict[str, benchmark.Reading],
) -> None:
    for name, reading in readings.items():
        if reading.instrument is None or reading.check_list is None:
            continue
        assert all(c.where for c in reading.check_list.checks), name
        assert all(c.why for c in reading.check_list.left_out), name
        for entry in reading.instrument.entries:
            texts = [entry.fields["question"], *entry.fields["options"]]
            for text in (*texts, entry.fields.get("battery", "")):
                assert text == plain(text), (name, text)
                assert not piped(text), (name, text)
                assert "(1)" not in text, (name, text)
                assert "___" not in text, (name, text)


def test_the_small_come_back_from_yaml(
    readings: dict[str, benchmark.Reading], tmp_path: Path
) -> None:
    folder = Path(os.environ.get("OPINIONCAST_INSTRUMENTS") or benchmark.FOLDER)
    for name, reading in readings.items():
        small = (folder / name).stat().st_size <= benchmark.SMALL
        if small and reading.instrument is not None and reading.check_list is not None:
            path = tmp_path / Path(name).name
            imported(path, (folder / name).read_bytes())


def test_two_exports_of_one_survey_are_the_same_questions(
    readings: dict[str, benchmark.Reading],
) -> None:
    differ = {}
    for first, second in benchmark.PAIRS:
        one, other = readings[first].instrument, readings[second].instrument
        assert one is not None
        assert other is not None
        alike, told = benchmark.differences(one, other)
        differ[first] = [t.split(":")[0] for t in told]
        assert not any("only in" in t for t in told)
        assert alike >= 7
    revised = ["c11", "d7", *(f"q{n}" for n in range(64, 81))]  # worded anew between the exports
    assert differ == {"qsf/delphi_ctis_wave4.qsf": revised, "qsf/qualtricstools_logic.qsf": []}


def test_what_is_no_instrument_is_refused(readings: dict[str, benchmark.Reading]) -> None:
    refused = {n for n, r in readings.items() if r.instrument is None}
    assert {"limesurvey/blank.lss", "triple_s/hierarchy/hierarchyDefinition.sss"} <= refused
    assert all(r.refused for r in readings.values() if r.instrument is None)
