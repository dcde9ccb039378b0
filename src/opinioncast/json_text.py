"""Figures as JSON that every reader takes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def json_text(content: Any, *, indent: int = 1, sort_keys: bool = False) -> str:
    """``content`` as JSON with an end of line; a number that is not known (NaN) is null.

    Python writes ``NaN``, which is no JSON and which other readers refuse.
    """
    text = json.dumps(
        _known(content),
        indent=indent,
        ensure_ascii=False,
        sort_keys=sort_keys,
        default=str,
        allow_nan=False,
    )
    # half a surrogate pair is no character of a file; JSON has an escape that reads back
    return text.encode("utf-8", "backslashreplace").decode() + "\n"


def _known(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: _known(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_known(v) for v in value]
    return value
