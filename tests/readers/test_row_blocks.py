"""Files read a block of rows at a time are what they are read at once."""

import datetime
import itertools

import numpy as np
import polars as pl
import pyreadstat
import pytest

from opinioncast.errors import DataError
from opinioncast.readers import row_blocks, spss_stata
from opinioncast.readers.row_blocks import column, read_columns

ROWS = 103


def survey():
    rng = np.random.default_rng(3)
    day = datetime.date(2024, 2, 29)
    return pl.DataFrame(
        {
            "q": [None if i % 11 == 0 else float(i % 4) for i in range(ROWS)],
            "income": rng.normal(size=ROWS),
            "text": [f"Zoë {i}" if i % 3 else "" for i in range(ROWS)],
            # no date at all in some blocks, nothing but dates in others
            "when": [day if 40 <= i < 60 else None for i in range(ROWS)],
        }
    )


def written(folder, kind):
    path = folder / f"survey.{kind.split('-')[-1]}"
    labels = {"q": {1: "Ja", 2: "Weiß nicht"}}
    if kind == "dta":
        letters = pl.Series("letters", ([1, "a", 2, None, 3] * 21)[:ROWS], dtype=pl.Object)
        pyreadstat.write_dta(
            survey().with_columns(letters),
            str(path),
            missing_user_values={"letters": ["a"]},
            variable_value_labels=labels | {"letters": {1: "Yes", "a": "Refused"}},
        )
    else:
        how = {"zsav": {"compress": True}, "row-sav": {"row_compress": True}}.get(kind, {})
        missing = {"q": [{"lo": 3, "hi": 3}]}
        pyreadstat.write_sav(
            survey(), str(path), variable_value_labels=labels, missing_ranges=missing, **how
        )
    return path


def in_blocks(patch, cells):
    patch.setattr(row_blocks, "CELLS", cells)
    patch.setattr(row_blocks, "_SMALL", 0)
    patch.setattr(row_blocks, "_MOST_BLOCKS", 1000)


@pytest.mark.parametrize("kind", ["sav", "zsav", "row-sav", "dta"])
@pytest.mark.parametrize("columns", [None, ["text", "q"]])
def test_a_file_in_blocks_is_the_file_at_once(tmp_path, monkeypatch, kind, columns):
    path = written(tmp_path, kind)
    whole = spss_stata.read_raw(path, columns)
    asked = []
    at_once = pyreadstat.read_dta if kind == "dta" else pyreadstat.read_sav

    def seen(*args, **options):
        asked.append(options.get("row_limit"))
        return at_once(*args, **options)

    monkeypatch.setitem(spss_stata._READERS, path.suffix, seen)
    for cells in (40, 97, 10_000):
        asked.clear()
        with monkeypatch.context() as patch:
            in_blocks(patch, cells)
            parts = spss_stata.read_raw(path, columns)
        assert parts.frame.equals(whole.frame)
        assert parts.value_labels == whole.value_labels
        assert parts.declared == whole.declared
        assert parts.notes == whole.notes
        assert (len(asked) > 2) == (cells < 10_000)
        sizes = {n for n in asked if n}
        assert all(n * len(whole.frame.columns) <= cells + 4 for n in sizes)


def test_texts_of_another_encoding_are_mended_in_every_block(tmp_path, monkeypatch):
    path = written(tmp_path, "sav")
    content = path.read_bytes()
    assert content.count("Zoë 7".encode()) > 1
    path.write_bytes(content.replace("Zoë 70".encode(), b"Zo\xeb 70 "))
    whole = spss_stata.read_raw(path, None)
    assert whole.frame["text"][70] == "Zoë 70"
    assert whole.notes
    with monkeypatch.context() as patch:
        in_blocks(patch, 50)
        parts = spss_stata.read_raw(path, None)
    assert parts.frame.equals(whole.frame)
    assert parts.notes == whole.notes


def test_a_file_cut_short_is_refused_in_blocks_too(tmp_path, monkeypatch):
    path = written(tmp_path, "sav")
    path.write_bytes(path.read_bytes()[:-900])
    with monkeypatch.context() as patch:
        in_blocks(patch, 50)
        with pytest.raises(DataError, match=r"cut short|cannot be read"):
            spss_stata.read_raw(path, None)


def test_blocks_are_of_a_bounded_number_and_their_rows_those_of_the_file(tmp_path, monkeypatch):
    path = written(tmp_path, "sav")
    monkeypatch.setattr(row_blocks, "CELLS", 8)
    monkeypatch.setattr(row_blocks, "_SMALL", 0)
    asked = []

    def seen(*args, **options):
        asked.append((options.get("row_offset"), options.get("row_limit")))
        return pyreadstat.read_sav(*args, **options)

    data, _, rows = read_columns(seen, path, {}, counted=True)
    blocks = asked[1:]  # the first is the dictionary
    assert rows == ROWS == len(data["q"])
    assert len(blocks) <= 32
    size = blocks[0][1] or ROWS
    assert [start for start, _ in blocks] == list(range(0, ROWS, size))
    assert all(b == size for _, b in blocks)
    assert all(after[0] - before[0] == before[1] for before, after in itertools.pairwise(blocks))


def test_columns_are_numbers_letters_texts_or_dates():
    assert column("a", [1, None, 2.5], text=False, letters=False).to_list() == [1.0, None, 2.5]
    assert column("a", ["", "x", None], text=True, letters=False).to_list() == [None, "x", None]
    lettered = column("a", [1, "b", None], text=False, letters=True).to_list()
    assert lettered == [1.0, row_blocks.TAGS["b"], None]
    day = datetime.date(2020, 1, 2)
    assert column("a", [day, None], text=False, letters=False).to_list() == ["2020-01-02", None]
