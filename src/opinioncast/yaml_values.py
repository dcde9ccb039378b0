"""YAML as values that remember how they were written: the half of :mod:`opinioncast.documents` that
reads it. From the parser's events, without recursion, so that limits hold before anything costs.
"""

from __future__ import annotations

import math
import re
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
BAD = re.compile("[\ud800-\udfff\x00]")
"""Half a character, or a NUL: no text that can be written again."""
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
                            _line(event),
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
        line = _line(event)
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
        if BAD.search(text):
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


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


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
        raise twice(key, first, line, where, what, error)


def _number_of(text: str) -> float | None:
    return float(text) if len(text) <= MAX_DIGITS and _WHOLE.fullmatch(text) else None


def twice(
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
