"""JSON that every reader takes."""

from __future__ import annotations

import json
import math
from pathlib import Path

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


def test_half_a_surrogate_pair_can_be_written_and_comes_back() -> None:
    text = json_text({"a\udc80": "b\ud83d c\U0001f600"})
    assert text.encode("utf-8")
    assert json.loads(text) == {"a\udc80": "b\ud83d c\U0001f600"}
