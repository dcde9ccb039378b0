"""Answers that are texts, as codes; codes of a codebook that are texts, as the file's numbers.

Two meanings never share a number: a codebook under which they would is refused.
"""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import polars as pl

from opinioncast.errors import DataError
from opinioncast.readers.codebook import Code, Entry, crossed
from opinioncast.readers.describe import Flags
from opinioncast.readers.labels import folded
from opinioncast.readers.raw import Range
from opinioncast.survey.wave import tagged

_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_LEADING = re.compile(r"(-?\d+)(?![\d.,])")
_LETTER = re.compile(r"\.?([a-z])", re.IGNORECASE)
_SHAPES = str.maketrans(
    dict.fromkeys("’‘´`ʼʹ′", "'") | dict.fromkeys("“”„«»", '"') | dict.fromkeys("‐‑‒–—−", "-")
)
_STRAY = -101.0
"""Texts nobody explains are numbered from here downwards."""


@dataclass(frozen=True)
class Numbered:
    """A text column as codes.

    Attributes:
        column: Float64 codes, empty cells null.
        entry: the codebook's entry with numbers for its texts.
        labels: the file's label per number.
        declared: numbers that the file declares missing, or that nobody explains.
        texts: number of each text, as it stands in the file.
        strays: numbers of texts that nobody explains, with the texts.
    """

    column: pl.Series
    entry: Entry | None
    labels: Mapping[float, str] = field(default_factory=dict)
    declared: tuple[Range, ...] = ()
    texts: Mapping[str, float] = field(default_factory=dict)
    strays: Mapping[float, str] = field(default_factory=dict)


def shape(text: str) -> str:
    """A text without what programs change on the way: apostrophes, dashes, quotes, blanks.

    Text that was UTF-8 and read as Windows-1252 ("â€™") is put right.
    """
    if any(mark in text for mark in "ÃÂâ"):
        with contextlib.suppress(UnicodeError):
            text = text.encode("cp1252").decode("utf-8")
    return " ".join(unicodedata.normalize("NFKC", text).translate(_SHAPES).split())


def number_of(text: str) -> float | None:
    """The number that a text is, None if it is none."""
    if _NUMBER.fullmatch(text.strip()) is None:
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def resolve(entry: Entry, labels: Mapping[float, str]) -> Entry:
    """The entry of a column of numbers with numbers for all its codes.

    A text is a number ("01"), a missing letter (".r", "r") or a value label of the file.

    Args:
        labels: cleaned label per code.

    Raises:
        DataError: a text that is none of these, or two codes that are one value.
    """
    by_label: dict[str, list[float]] = {}
    for code, text in labels.items():
        by_label.setdefault(folded(text), []).append(code)

    def number(code: Code) -> float:
        if not isinstance(code, str):
            return code
        if (value := number_of(code)) is not None:
            return value
        found = by_label.get(folded(code), [])
        if len(found) == 1:
            return found[0]
        if not found and (letter := _LETTER.fullmatch(code)):
            return tagged(letter[1])
        raise DataError(
            "A codebook gives a text for a column of numbers"
            if not found
            else "A codebook gives a text that labels several codes",
            where=f"variable {entry.variable}",
            expected="the number, a missing letter (.r), or one of the file's value labels: "
            + ("; ".join(f'{c:g} "{t}"' for c, t in list(labels.items())[:8]) or "it has none"),
            found=code if not found else f"{code}: codes {found}",
            hint="give the codes as numbers",
        )

    return _with_numbers(entry, number)


def _with_numbers(entry: Entry, get: Callable[[Code], float]) -> Entry:
    codes = None if entry.codes is None else tuple(get(c) for c in entry.codes)
    missing = [(c, get(c)) for c in entry.missing_codes]
    _check_apart(entry, [*zip(entry.codes or (), codes or (), strict=True)], missing)
    return replace(
        entry,
        codes=codes,
        missing_codes={value: entry.missing_codes[c] for c, value in missing},
        answers=tuple(get(c) for c in entry.answers),
    )


def _check_apart(
    entry: Entry, codes: Sequence[tuple[Code, float]], missing: Sequence[tuple[Code, float]]
) -> None:
    """Refuse two codes that are one value, among answers, among missing codes or across."""
    first: dict[float, Code] = {}
    for code, value in (*codes, *missing):
        if value in first:
            raise _one_value(entry, first[value], code, value)
        first[value] = code


def _one_value(entry: Entry, first: Code, second: Code, value: float) -> DataError:
    return DataError(
        "Two codes of a codebook are one value",
        where=f"variable {entry.variable}",
        expected="one code per value: two meanings cannot be told apart in the file",
        found=f"{first!r} and {second!r}, both {value:g}",
        hint="delete one of them, or write the codes as they stand in the file",
    )


def by_codebook(
    column: pl.Series, entry: Entry, code_of: Mapping[str, float] | None, flags: Flags
) -> Numbered:
    """A text column whose codebook lists its answers.

    A cell is the code it equals as text ("01" is not "1" where both are codes), else the one code
    it equals as a number ("1.0" is 1), else the one from which only the shape of apostrophes,
    dashes and quotes sets it apart ("Don’t care"). Options are numbered 1, 2, ... in
    the codebook's order and missing texts -1, -2, ...; where some codes are numbers, these keep
    their value, texts that begin with a free one ("10 - Extremely likely") get it, and the others
    one that no code has.
    A text the codebook does not list becomes a missing code, flagged with its text; "NA" becomes
    an empty cell.

    Args:
        code_of: the number of each text, where it is known.

    Raises:
        DataError: two codes that are one text, a cell that is two codes as a number, or two texts
            ("01", "1") that are one code.
    """
    codes, gone = entry.codes or (), tuple(entry.missing_codes)
    swapped = crossed(entry.options, list(map(str, codes))) if entry.options else None
    if swapped and not entry.relabel:
        raise DataError(
            "A codebook gives one answer the text of another",
            where=f"variable {entry.variable}",
            expected="for each text of the file what it says, in other words if you like",
            found=f'"{swapped[0]}" for "{swapped[1]}"',
            hint="correct the order of `options`; if the file is wrong, add `relabel: true`",
        )
    table = _numbering(entry, code_of)
    listed: dict[str, float] = {}
    for code in (*codes, *gone):
        text = code if isinstance(code, str) else f"{code:g}"
        if text in listed:
            raise _one_value(entry, text, code, listed[text])
        listed[text] = table[code]
    if code_of is not None:
        listed |= {text.strip(): number for text, number in code_of.items()}
    by_value: dict[float, list[str]] = {}
    for text in listed:
        if (value := number_of(text)) is not None:
            by_value.setdefault(value, []).append(text)
    by_shape: dict[str, list[str]] = {}
    for text in listed:
        by_shape.setdefault(shape(text), []).append(text)
    cells = column.str.strip_chars()
    numbers: dict[str, float] = {}
    written: dict[str, list[str]] = defaultdict(list)
    strays: list[str] = []
    for text in cells.drop_nulls().unique(maintain_order=True).to_list():
        value = number_of(text)
        alike = by_value.get(value, []) if value is not None else by_shape.get(shape(text), [])
        key = text if text in listed else alike[0] if len(alike) == 1 else None
        if key is not None:
            numbers[text] = listed[key]
            written[key].append(text)
        elif alike and value is not None:
            raise _two_writings(column.name, *alike[:2])
        elif text != "NA":
            strays.append(text)
    for texts in written.values():
        padded = [t for t in texts if _zeros(t)]
        bare = [t for t in texts if not _zeros(t)]
        if padded and bare:
            raise _two_writings(column.name, padded[0], bare[0])
    taken = set(listed.values())
    free = (n for n in _counting(_STRAY, -1.0) if n not in taken)
    stray_numbers = dict(zip(strays, free, strict=False))
    _flag_strays(cells, strays, flags, "texts that the codebook does not list, taken as missing")
    coded = cells.replace_strict(numbers | stray_numbers, default=None, return_dtype=pl.Float64)
    by_name = _with_numbers(replace(entry, answers=()), table.__getitem__)
    missing: dict[Code, str] = {
        table[c]: text or (c if isinstance(c, str) else "")
        for c, text in entry.missing_codes.items()
    }
    missing |= dict.fromkeys(stray_numbers.values(), "missing")
    return Numbered(
        coded.alias(column.name),
        replace(by_name, missing_codes=missing),
        texts=dict(numbers),
        strays={number: text for text, number in stray_numbers.items()},
    )


def _numbering(entry: Entry, code_of: Mapping[str, float] | None) -> dict[Code, float]:
    """The number of each code of an entry; no two have the same unless they are the same."""
    codes, gone = entry.codes or (), tuple(entry.missing_codes)
    table: dict[Code, float] = {}
    if code_of is not None:
        known = {text.strip(): number for text, number in code_of.items()}
        for c in (*codes, *gone):
            if isinstance(c, str) and c not in known:
                raise DataError(
                    "A codebook gives a text that has no code",
                    where=f"variable {entry.variable}",
                    expected=", ".join(known),
                    found=c,
                )
            table[c] = known[c] if isinstance(c, str) else c
        return table
    for c in (*codes, *gone):
        value = number_of(c) if isinstance(c, str) else c
        if value is not None and (value not in table.values() or not isinstance(c, str)):
            table[c] = value
    mixed = any(c in table for c in codes)
    for place, c in enumerate(codes, start=1):
        if c in table:
            continue
        taken = set(table.values())
        assert isinstance(c, str)
        lead = _LEADING.match(c) if mixed else None
        wanted = float(lead[1]) if lead else float(place)
        above = max([*taken, float(len(codes))]) + 1
        table[c] = (
            wanted
            if wanted not in taken
            else next(n for n in _counting(above, 1.0) if n not in taken)
        )
    for place, c in enumerate(gone, start=1):
        if c not in table:
            taken = set(table.values())
            table[c] = next(n for n in _counting(-float(place), -1.0) if n not in taken)
    return table


def by_labels(
    column: pl.Series,
    labels: Mapping[str, str],
    declared: Iterable[tuple[str, str]],
    entry: Entry | None,
    flags: Flags,
) -> Numbered | None:
    """A text column to whose values the file gives labels; None: free text with a few labels.

    Codes that are different numbers ("01", "99") keep their value, so that a "9" stays apart from
    the answers; letters get the number of their place, or one that is free. A text without label
    is missing, and flagged.

    Args:
        labels: the file's label per text.
        declared: ranges of texts that the file declares missing, as (low, high).
    """
    cells = column.str.strip_chars()
    keys = {k.strip(): t for k, t in labels.items()}
    met = cells.drop_nulls().unique(maintain_order=True).to_list()
    strays = [t for t in met if t not in keys and t]
    if len(strays) > max(len(keys), 1):
        flags.add("a text, with labels on some values only", column.name)
        return None
    values = {k: v for k in keys if (v := number_of(k)) is not None}
    by_value = len(set(values.values())) == len(values)
    numbers = _placed(list(keys), values if by_value else {})
    taken = set(numbers.values())
    free = (n for n in _counting(_STRAY, -1.0) if n not in taken)
    stray_numbers = dict(zip(strays, free, strict=False))
    _flag_strays(cells, strays, flags, "texts without a value label, taken as missing")
    gone = [
        (n, n)
        for k, n in numbers.items()
        if any(low.strip() <= k <= high.strip() for low, high in declared)
    ]
    gone += [(n, n) for n in stray_numbers.values()]
    coded = cells.replace_strict(numbers | stray_numbers, default=None, return_dtype=pl.Float64)
    if entry is not None:
        texts: dict[Code, float] = dict(numbers.items())
        for code in (*entry.missing_codes, *entry.answers):
            text = code if isinstance(code, str) else f"{code:g}"
            if text not in numbers and not (by_value and number_of(text) in taken):
                raise DataError(
                    "A codebook gives a code that the file does not label",
                    where=f"variable {column.name}",
                    expected=", ".join(keys),
                    found=code,
                )
            texts[code] = numbers.get(text, number_of(text) or 0.0)
        entry = _with_numbers(entry, texts.__getitem__)
    return Numbered(
        coded.alias(column.name),
        entry,
        labels={numbers[k]: t for k, t in keys.items()},
        declared=tuple(gone),
        texts=numbers,
        strays={number: text for text, number in stray_numbers.items()},
    )


def _placed(keys: Sequence[str], values: Mapping[str, float]) -> dict[str, float]:
    """The number of each text: its value, else its place among all, else the next that is free."""
    numbers: dict[str, float] = {}
    taken = set(values.values())
    for place, key in enumerate(keys, start=1):
        found = values.get(key)
        if found is None:
            found = next(n for n in _counting(float(place), 1.0) if n not in taken)
            taken.add(found)
        numbers[key] = found
    return numbers


def with_options(entry: Entry, labels: Mapping[str, str]) -> Entry:
    """The entry with the file's labels as options, where it lists text codes without options."""
    if entry.codes is None or entry.options is not None:
        return entry
    keys = {k.strip(): t for k, t in labels.items()}
    unnamed = [c for c in entry.codes if str(c) not in keys]
    if unnamed:
        raise DataError(
            "A codebook gives codes without options and the file has no labels for them",
            where=f"variable {entry.variable}",
            expected=f"options in the codebook, or codes among {', '.join(keys) or 'none'}",
            found=unnamed,
        )
    return replace(entry, options=tuple(keys[str(c)] for c in entry.codes))


def _flag_strays(cells: pl.Series, strays: Sequence[str], flags: Flags, kind: str) -> None:
    if not strays:
        return
    counts = dict(cells.filter(cells.is_in(list(strays))).value_counts().iter_rows())
    shown = ", ".join(f'"{t[:30]}" x {counts[t]}' for t in strays[:3])
    more = f", {len(strays)} texts in all" if len(strays) > 3 else ""
    share = sum(counts.values()) / max(len(cells) - cells.null_count(), 1)
    flags.add(kind, cells.name, f"{shown}{more}; {share:.1%} of the answers")


def _zeros(text: str) -> bool:
    """Whether a number is written with zeros in front that its value does not have."""
    return re.match(r"[+-]?0\d", text) is not None


def _two_writings(name: str, first: str, second: str) -> DataError:
    return DataError(
        "Two texts of a column are one code as numbers",
        where=f"variable {name}",
        expected="one way of writing each code, or a codebook that lists both as texts",
        found=f'"{first}" and "{second}"',
        hint='list every text in the codebook in quotes (codes: ["01", "1"]), or mend the file',
    )


def _counting(start: float, step: float) -> Iterator[float]:
    while True:
        yield start
        start += step
