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

import yaml

from opinioncast.errors import InputError, OpinioncastError

MAX_BYTES = 64 * 2**20
"""The largest codebook met (2,192 variables) has 2 MB."""
MAX_DEPTH = 60
"""Recipes nest six deep; what is recursive further on stays far from Python's own limit."""
MAX_NODES = 5_000_000
"""Values of a file, what an alias stands for counted each time."""
MAX_DIGITS = 40
"""No survey's code or share is longer; Python itself refuses 4,300."""

Kind = type[OpinioncastError]

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_POINT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+]?[0-9]+)?")
_NULL = ("", "~", "null", "Null", "NULL")
_TAG = "tag:yaml.org,2002:"
_BAD = re.compile("[\ud800-\udfff\x00]")
_MERGE = "<<"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class WrittenFloat(float):
    """A number with a point that still knows how it was written: ``str`` gives "1.50" back."""

    written: str

    def __new__(cls, text: str) -> WrittenFloat:
        number = super().__new__(cls, text)
        number.written = text
        return number

    def __str__(self) -> str:
        return self.written

    def __reduce__(self) -> tuple[type[float], tuple[float]]:
        return float, (float(self),)


class Entries(dict[str | int | float, Any]):
    """A mapping of a file. ``lines``: key -> the line it stands on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[Any, int] = {}

    def __reduce__(self) -> tuple[type[dict[Any, Any]], tuple[dict[Any, Any]]]:
        return dict, (dict(self),)


class Items(list[Any]):
    """A list of a file. ``lines``: the line each item begins on."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[int] = []

    def __reduce__(self) -> tuple[type[list[Any]], tuple[list[Any]]]:
        return list, (list(self),)


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


# --- YAML -----------------------------------------------------------------------------------------


def parse_yaml(
    text: str, *, where: str, what: str, error: Kind = InputError, only_texts: bool = False
) -> Any:
    """What a YAML text holds.

    Args:
        where: the file, for errors.
        what, error: as of :func:`read_document`.
        only_texts: every value stays the text that is written, numbers and nulls too.
    """
    return _Yaml(where, what, error, only_texts).read(text)


class _Yaml:
    """From the parser's events to values, without recursion: depth is checked before it costs."""

    def __init__(self, where: str, what: str, error: Kind, only_texts: bool) -> None:
        self.where, self.what, self.error, self.only_texts = where, what, error, only_texts
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.stack: list[_Open] = []
        self.nodes = 0

    def refuse(self, line: int, expected: str, found: object, hint: str = "") -> OpinioncastError:
        return self.error(
            f"{self.what} cannot be read",
            where=f"{self.where}, line {line}",
            expected=expected,
            found=found,
            hint=hint or None,
        )

    def read(self, text: str) -> Any:
        if len(text) > MAX_BYTES:
            raise self.refuse(1, f"at most {MAX_BYTES // 2**20} MiB", f"{len(text)} characters")
        documents = 0
        try:
            for event in yaml.parse(text, Loader=_LOADER):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        raise self.refuse(
                            event.start_mark.line + 1,
                            "one document",
                            "a second one after ---",
                        )
                    self.stack = [_Open(Items(), 0, None)]
                elif isinstance(event, yaml.NodeEvent):
                    self._node(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._close()
        except yaml.YAMLError as problem:
            line = getattr(getattr(problem, "problem_mark", None), "line", None)
            raise self.error(
                f"{self.what} is not valid YAML",
                where=self.where if line is None else f"{self.where}, line {line + 1}",
                expected="YAML",
                found=getattr(problem, "problem", None) or problem,
                hint="put text with a colon or a leading quote, bracket or dash in quotation marks",
            ) from problem
        except (RecursionError, ValueError) as problem:
            raise self.refuse(1, "valid YAML", problem) from problem
        root = self.stack[0].value if self.stack else []
        return root[0] if root else None

    def _node(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise self.refuse(line, "an anchor above it", f"*{event.anchor}")
            value, size = self.anchors[event.anchor]
            if size == 0:
                raise self.refuse(
                    line, "an alias of a finished value", f"*{event.anchor} in itself"
                )
            self._add(value, size, line, written=None)
            return
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event, line)
            if event.anchor:
                self.anchors[event.anchor] = value, 1
            self._add(value, 1, line, written=event.value)
            return
        of = "map" if isinstance(event, yaml.MappingStartEvent) else "seq"
        if event.tag not in (None, "!", _TAG + of):
            raise self.refuse(line, "no tag", event.tag)
        if len(self.stack) > MAX_DEPTH:
            raise self.refuse(line, f"at most {MAX_DEPTH} levels", "deeper nesting")
        if self.stack[-1].wants_key:
            raise self.refuse(line, "a name before the colon", "a list or mapping as a key")
        if event.anchor:
            self.anchors[event.anchor] = None, 0
        self.stack.append(_Open(Entries() if of == "map" else Items(), line, event.anchor))

    def _close(self) -> None:
        done = self.stack.pop()
        if done.merged:
            for part in done.merged:  # what stands in the mapping itself goes before
                for key, value in part.items():
                    if key not in done.value:
                        done.value[key] = value
                        done.value.lines[key] = done.line
        if done.anchor:
            self.anchors[done.anchor] = done.value, done.size
        self._add(done.value, done.size, done.line, written=None)

    def _add(self, value: Any, size: int, line: int, written: str | None) -> None:
        self.nodes += 1
        top = self.stack[-1]
        top.size += size
        if top.size > MAX_NODES or self.nodes > MAX_NODES:
            raise self.refuse(
                line, f"at most {MAX_NODES} values, aliases unfolded", "more than that"
            )
        if isinstance(top.value, Items):
            top.value.append(value)
            top.value.lines.append(line)
            return
        if top.wants_key:
            top.key, top.key_line, top.wants_key = self._key(value, written, line), line, False
            return
        top.wants_key = True
        if top.key == _MERGE:
            parts = value if isinstance(value, list) else [value]
            if not all(isinstance(p, Entries) for p in parts):
                raise self.refuse(line, "mappings to merge after <<", value)
            top.merged += parts
            return
        _once(top.value, top.key, top.key_line, self.where, self.what, self.error)
        top.value[top.key] = value
        top.value.lines[top.key] = top.key_line

    def _key(self, value: Any, written: str | None, line: int) -> Any:
        if isinstance(value, dict | list):
            raise self.refuse(line, "a name before the colon", "a list or mapping as a key")
        if value is None or isinstance(value, bool):
            if not written:
                raise self.refuse(line, "a name before the colon", "nothing")
            return written
        return value

    def _scalar(self, event: Any, line: int) -> Any:
        text: str = event.value
        if _BAD.search(text):
            raise self.refuse(line, "text", "half a character (a lone surrogate) or a NUL")
        tag = event.tag
        if tag in ("!", _TAG + "str") or (tag is None and (event.style or self.only_texts)):
            return text
        if tag is not None and tag not in (_TAG + t for t in ("int", "float", "bool", "null")):
            raise self.refuse(line, "no tag", tag, "write the value as text, in quotation marks")
        if text in _NULL:
            return None
        if text in ("true", "false"):
            return text == "true"
        whole = _WHOLE.fullmatch(text)
        if not whole and not _POINT.fullmatch(text):
            if tag is not None:
                raise self.refuse(line, f"what {tag} stands for", text)
            return text
        if len(text) > MAX_DIGITS:
            raise self.refuse(line, f"a number of at most {MAX_DIGITS} digits", text)
        number = int(text) if whole and text != "-0" else WrittenFloat(text)
        if not whole and not math.isfinite(number):
            raise self.refuse(line, "a number", text)
        return number


class _Open:
    """A mapping or list whose end has not come yet."""

    __slots__ = ("anchor", "key", "key_line", "line", "merged", "size", "value", "wants_key")

    def __init__(self, value: Entries | Items, line: int, anchor: str | None) -> None:
        self.value: Any = value
        self.line, self.anchor = line, anchor
        self.size = 1
        self.key: Any = None
        self.key_line = 0
        self.wants_key = isinstance(value, Entries)
        self.merged: list[Entries] = []


def _once(entries: Entries, key: Any, line: int, where: str, what: str, error: Kind) -> None:
    """Refuse a key that is there already; 1, "1" and 1.0 name one thing."""
    first = entries.lines.get(key)
    if first is None and not isinstance(key, str):
        first = entries.lines.get(f"{key:g}" if isinstance(key, float) else str(key))
    if first is None and isinstance(key, str):
        number = _number_of(key)
        first = None if number is None else entries.lines.get(number)
    if first is not None:
        raise _twice(key, first, line, where, what, error)


def _number_of(text: str) -> float | None:
    return float(text) if len(text) <= MAX_DIGITS and _WHOLE.fullmatch(text) else None


def _twice(
    key: object, first: int, second: int, where: str, what: str, error: Kind
) -> OpinioncastError:
    lines = f"lines {first} and {second}" if first != second else f"line {first}"
    return error(
        f"{what} says something twice",
        where=f"{where}, {lines}",
        expected="each name once",
        found=f"{key!s} two times",
        hint="delete the one that is wrong, or rename it",
    )


# --- JSON -----------------------------------------------------------------------------------------


class _TwiceError(Exception):
    """A key stands twice in an object; where is found out afterwards."""


def parse_json(text: str, *, where: str, what: str, error: Kind = InputError) -> Any:
    """What a JSON text holds, with the limits of YAML; NaN and Infinity are no JSON.

    Args:
        where, what, error: as of :func:`parse_yaml`.
    """

    def refused(expected: str, found: object, line: int | None = None) -> OpinioncastError:
        place = f"{where}, line {line}" if line else where
        return error(f"{what} cannot be read", where=place, expected=expected, found=found)

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
            object_pairs_hook=_entries,
            parse_constant=_not_finite,
            parse_int=_json_int,
            parse_float=_json_float,
        )
    except _TwiceError:
        key, first, second = _find_twice(text)
        raise _twice(key, first, second, where, what, error) from None
    except json.JSONDecodeError as problem:
        raise refused("valid JSON", problem.msg, problem.lineno) from problem
    except (ValueError, RecursionError) as problem:
        raise refused("valid JSON", problem) from problem
    if re.search(r"\\u(?:[dD][89a-fA-F]|0000)", text) or _BAD.search(text):
        for part in _texts(value):
            if _BAD.search(part):
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
        elif isinstance(each, list):
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
