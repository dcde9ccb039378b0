"""JSON that every reader takes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from opinioncast.documents import parse_json
from opinioncast.errors import InputError
from opinioncast.json_text import json_text


def test_numbers_that_are_not_known_are_null() -> None:
    content = {"a": math.nan, "b": [math.inf, 1.5, {"c": -math.inf}], "d": (math.nan, 2)}
    text = json_text(content)
    assert json.loads(text) == {"a": None, "b": [None, 1.5, {"c": None}], "d": [None, 2]}
    assert "NaN" not in text
    assert text.endswith("\n")


def test_letters_stay_and_keys_may_be_sorted() -> None:
    assert json_text({"b": "é", "a": Path("x/y")}, indent=0, sort_keys=True) == (
        '{\n"a": "x/y",\n"b": "é"\n}\n'
    )


@pytest.mark.parametrize("bad", ["a\udc80", "b\ud83d c", "x\x00y", "\\\\\x00"])
def test_what_could_not_be_read_back_is_refused_by_name(bad: str) -> None:
    for content in ({"where": bad}, {bad: 1}):
        with pytest.raises(InputError, match="half a character or a NUL"):
            json_text(content)


@pytest.mark.parametrize("text", ["\U0001f600", "\\u0000", "\\\\u0000", "\\ud800", "\x1b", "a\nb"])
def test_what_is_written_is_read_back(text: str) -> None:
    written = json_text({text: [text]})
    assert parse_json(written, where="x", what="x") == {text: [text]}
