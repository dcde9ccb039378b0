"""Figures as JSON that every reader takes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from opinioncast.errors import InputError
from opinioncast.texts import visible


def json_text(content: Any, *, indent: int = 1, sort_keys: bool = False) -> str:
    """``content`` as JSON with an end of line; a number that is not known (NaN) is null.

    Python writes ``NaN``, which is no JSON and which other readers refuse.

    Raises:
        InputError: half a surrogate pair or a NUL in a text, which no file of this program may
            hold: :mod:`opinioncast.documents` would refuse to read it back.
    """
    text = json.dumps(
        _known(content),
        indent=indent,
        ensure_ascii=False,
        sort_keys=sort_keys,
        default=str,
        allow_nan=False,
    )
    found = _NO_TEXT.search(text)
    if found is not None:
        before = text[: found.start()].rpartition("\n")[2]
        raise InputError(
            "A text cannot be written, as nobody could read it back",
            where=visible(before[-60:].strip()) or None,
            expected="whole characters",
            found=f"half a character or a NUL ({found[0]!a})",
            hint="rename the file, group or option that it comes from",
        )
    return text + "\n"


_NO_TEXT = re.compile(r"[\ud800-\udfff]|(?<!\\)(?:\\\\)*\\u0000")
"""JSON escapes a NUL, and leaves half a pair as it is where it may write any letter."""


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _known(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_known(v) for v in value]
    return value
