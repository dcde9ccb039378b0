"""Wide Stata files are read as pyreadstat reads them, and in time."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pyreadstat
import pytest

from opinioncast.errors import DataError
from opinioncast.readers import column_names, read_wave, spss_stata, stata_wide


def test_wide_and_narrow_readers_agree(tmp_path, monkeypatch):
    """Every storage type, missing letters, labels, texts; oracle: pyreadstat."""
    rng = np.random.default_rng(0)
    path = tmp_path / "f.dta"
    lettered = pl.Series([1, "a", 2, "z", None, 3] * 5, dtype=pl.Object)
    frame = pl.DataFrame(
        {
            "v_byte": rng.integers(-100, 100, 30).astype(np.int8),
            "v_int": rng.integers(-3000, 3000, 30).astype(np.int16),
            "v_long": rng.integers(-(10**9), 10**9, 30).astype(np.int32),
            "v_float": rng.normal(size=30).astype(np.float32),
            "v_double": [None if i % 7 == 0 else v for i, v in enumerate(rng.normal(size=30))],
            "letters": lettered,
            "text": [f"Zoë {i}" if i % 3 else "" for i in range(30)],
        }
    )
    pyreadstat.write_dta(
        frame,
        str(path),
        missing_user_values={"letters": ["a", "z"]},
        variable_value_labels={
            "v_byte": {1: "Ja", 2: "Weiß nicht", -5: "minus"},
            "letters": {1: "Yes", 2: "No", "a": "Don't know"},
        },
        column_labels=["Ein Label", "", "c", "d", "e", "f", "g"],
    )
    for columns in (None, ["letters", "text", "v_byte"]):
        narrow = spss_stata.read_raw(path, columns)
        spss_stata._dictionary_of.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(stata_wide, "WIDE", 1)
            assert stata_wide.layout_of(path) is not None
            wide = spss_stata.read_raw(path, columns)
            spss_stata._dictionary_of.cache_clear()
        assert wide.frame.select(narrow.frame.columns).equals(narrow.frame)
        assert dict(wide.labels) == dict(narrow.labels)
        assert wide.value_labels == narrow.value_labels
        assert wide.everywhere is not None
        assert narrow.everywhere is not None
        assert wide.everywhere() == narrow.everywhere()


@pytest.mark.parametrize("name", ["gss/gss_2018.dta", "anes/pilot_2018.dta",
                                  "nationscape/ns20210112.dta"])  # fmt: skip
def test_real_files_are_read_the_same(shared_data, monkeypatch, name):
    path = shared_data / name
    narrow = spss_stata.read_raw(path, None)
    monkeypatch.setattr(stata_wide, "WIDE", 1)
    layout = stata_wide.layout_of(path)
    if layout is None:
        pytest.skip("of a release before Stata 13")
    found = stata_wide.read_wide(path, layout, None)
    if found is None:
        pytest.skip("it has dates or long texts")
    wide = spss_stata.read_raw(path, None)
    assert wide.frame.equals(narrow.frame)
    assert wide.value_labels == narrow.value_labels
    assert wide.labels == narrow.labels


@pytest.mark.slow
def test_thousands_of_variables_take_seconds(tmp_path):
    """8,000 variables of 60 rows; benchmarks/curate.py measures 33,000 of 120."""
    path = tmp_path / "wide.dta"
    values = np.tile(np.array([1, 2, 3, 8, 9], np.int32), 12)
    labels = {1: "Agree", 2: "Neither", 3: "Disagree", 8: "Don't know", 9: "Refused"}
    frame = pl.DataFrame({f"v{i}": values for i in range(8000)})
    pyreadstat.write_dta(
        frame, str(path), variable_value_labels=dict.fromkeys(frame.columns, labels)
    )
    started = time.process_time()
    wave = read_wave(path, family="T", wave="1")
    assert time.process_time() - started < 10
    assert len(wave.variables) == 8000
    assert wave.variables["v7999"].options == ("Agree", "Neither", "Disagree")
    assert column_names(path)[-1] == "v7999"
    part = read_wave(path, family="T", wave="1", columns=["v3"])
    assert part.variables["v3"] == wave.variables["v3"]
    path.write_bytes(path.read_bytes()[:-200_000] + b"</stata_dta>")
    with pytest.raises(DataError):
        read_wave(path, family="T", wave="1")


@pytest.mark.parametrize("tag", [b"<K>", b"<N>", b"<map>"])
def test_a_damaged_head_is_an_error_that_names_the_file(tmp_path, tag):
    path = tmp_path / "f.dta"
    pyreadstat.write_dta(pl.DataFrame({"a": [1.0, 2.0]}), str(path))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(tag, b"<?>" + tag[3:], 1))
    with pytest.raises(DataError, match=r"f\.dta"):
        column_names(path)
    path.write_bytes(whole[: whole.index(b"<map>") + 20])
    with pytest.raises(DataError, match=r"f\.dta"):
        column_names(path)
