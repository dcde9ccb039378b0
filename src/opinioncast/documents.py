"""Every YAML and JSON file comes in here: one reading of each, limits, and nothing said twice.

What YAML reads otherwise than a person meant is left as the text that stands there: ``no``,
``On``, ``1e3``, ``1:30``, ``0012``, ``2020-11-03`` and ``True`` are texts. Only ``true`` and
``false``, ``null``, ``~``, whole numbers and numbers with a point are not. A number keeps what was
written (:class:`WrittenFloat`), so that an option ``1.50`` stays "1.50", and every mapping and list
knows the lines it stood on (:class:`Entries`, :class:`Items`), so that an error can name them.

A key that stands twice, a number without end, NaN, half a character (a lone surrogate), tags that
make objects, nesting without end, and aliases that unfold to more than a file may hold are refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opinioncast.errors import InputError, OpinioncastError
from opinioncast.yaml_values import (
    BAD,
    MAX_BYTES,
    MAX_DEPTH,
    MAX_DIGITS,
    Entries,
    Items,
    Kind,
    WrittenFloat,
    parse_yaml,
    twice,
)

__all__ = [
    "MAX_DEPTH",
    "Entries",
    "Items",
    "WrittenFloat",
    "parse_json",
    "parse_yaml",
    "read_document",
    "text_of",
    "texts_of",
]


def read_document(path: str | Path, what: str, *, error: Kind = InputError) -> Any:
    """What a YAML or JSON file holds; ``.json`` is read as JSON, anything else as YAML.

    Args:
        what: the file in words, for the error ("A scale file").
        error: the kind of error to raise.

    Raises:
        OpinioncastError: of the kind ``error``: it cannot be read, is not UTF-8 (UTF-16 with its
            mark will do), not valid, too large, too deep, or says something twice.
    """
    path = Path(path)
    text = _text(path, what, error)
    parse = parse_json if path.suffix.casefold() == ".json" else parse_yaml
    return parse(text, where=str(path), what=what, error=error)


def _text(path: Path, what: str, error: Kind) -> str:
    problem: object
    try:
        size = path.stat().st_size
        if path.is_file() and size > MAX_BYTES:
            raise error(
                f"{what} is too large",
                where=str(path),
                expected=f"at most {MAX_BYTES // 2**20} MiB",
                found=f"{size / 2**20:.0f} MiB",
            )
        raw = path.read_bytes()
        utf16 = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw[: problem.start].count(b"\n") + 1
        raise error(
            f"{what} cannot be read",
            where=f"{path}, line {line}",
            expected="a file in UTF-8",
            found=problem,
            hint="save it as UTF-8; it may be in Windows-1252 or Latin-1",
        ) from problem
    except OSError as problem:
        raise error(
            f"{what} cannot be read", where=str(path), expected="a file", found=problem
        ) from problem


# --- JSON -----------------------------------------------------------------------------------------


class _TwiceError(Exception):
    """A key stands twice in an object; where is found out afterwards."""


def parse_json(
    text: str | bytes,
    *,
    where: str,
    what: str,
    error: Kind = InputError,
    lenient: bool = False,
    pairs: bool = False,
) -> Any:
    """What a JSON text holds, with the limits of YAML; NaN and Infinity are no JSON.

    Args:
        text: bytes are UTF-8.
        where, what, error: as of :func:`parse_yaml`.
        lenient: of a program, not a person: NaN, Infinity and any character of a text are taken,
            as Python's own reader takes them. Who asks looks at the values.
        pairs: objects as lists of (key, value), for who can do with a key that stands twice.
    """

    def refused(expected: str, found: object, line: int | None = None) -> OpinioncastError:
        place = f"{where}, line {line}" if line else where
        return error(f"{what} cannot be read", where=place, expected=expected, found=found)

    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as problem:
            raise refused("text in UTF-8", problem) from problem
    if len(text) > MAX_BYTES:
        raise refused(f"at most {MAX_BYTES // 2**20} MiB", f"{len(text)} characters")
    depth = 0
    for match in _JSON_DEPTH.finditer(text):
        if match[0][0] == '"':
            continue
        depth += 1 if match[0] in "[{" else -1
        if depth > MAX_DEPTH:
            line = text.count("\n", 0, match.start()) + 1
            raise refused(f"at most {MAX_DEPTH} levels", "deeper nesting", line)
    try:
        value = json.loads(
            text,
            object_pairs_hook=list if pairs else _entries,
            parse_constant=float if lenient else _not_finite,
            parse_int=_json_int,
            parse_float=float if lenient else _json_float,
        )
    except _TwiceError:
        key, first, second = _find_twice(text)
        raise twice(key, first, second, where, what, error) from None
    except json.JSONDecodeError as problem:
        raise refused("valid JSON", problem.msg, problem.lineno) from problem
    except (ValueError, RecursionError) as problem:
        raise refused("valid JSON", problem) from problem
    if not lenient and (re.search(r"\\u(?:[dD][89a-fA-F]|0000)", text) or BAD.search(text)):
        for part in _texts(value):
            if BAD.search(part):
                raise refused("text", "half a character (a lone surrogate) or a NUL")
    return value


_JSON_DEPTH = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)


def _entries(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _TwiceError
    return made


def _not_finite(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _json_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _json_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is beyond every number")
    return number


def _find_twice(text: str) -> tuple[str, int, int]:
    """The first key that stands twice in one object, and both lines."""
    open_objects: list[dict[str, int] | None] = []
    previous: tuple[str, int] | None = None
    line, at = 1, 0
    for match in _JSON_TOKEN.finditer(text):
        line, at = line + text.count("\n", at, match.start()), match.start()
        token = match[0]
        if token in "[{":
            open_objects.append({} if token == "{" else None)
        elif token in "]}":
            open_objects.pop()
        elif token[0] == '"':
            previous = json.loads(token), line
        elif token == ":" and previous is not None and open_objects:
            key, found = previous
            seen = open_objects[-1]
            if seen is not None and key in seen:
                return key, seen[key], found
            if seen is not None:
                seen[key] = found
    return "a name", 1, line  # not reached: json.loads has found one


def _texts(value: Any) -> Iterator[str]:
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            left += [*each, *each.values()]
        elif isinstance(each, list | tuple):
            left += each


# --- where text is expected -----------------------------------------------------------------------


def text_of(value: Any, where: str, *, error: Kind = InputError) -> str:
    """A value as the text that stands in the file; a number is the text it was written as.

    Raises:
        OpinioncastError: of the kind ``error``: nothing, true or false, a list or a mapping.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = {type(None): "nothing", bool: "true or false"}.get(type(value))
        raise error(
            "A text was expected",
            where=where,
            expected="a text, in quotation marks if it reads like something else",
            found=kind or value,
        )
    return str(value)


def texts_of(values: Any, where: str, *, error: Kind = InputError) -> tuple[str, ...]:
    """A list's items as texts; the line is named where the file is YAML.

    Raises:
        OpinioncastError: as :func:`text_of`, or no list.
    """
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
        raise error("A list was expected", where=where, expected="a list of texts", found=values)
    lines = values.lines if isinstance(values, Items) else ()
    return tuple(
        text_of(v, f"{where}, line {lines[i]}" if i < len(lines) else where, error=error)
        for i, v in enumerate(values)
    )
