"""Decimal and thousands signs of a text table's numbers, read where nothing else fits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import ascii_lowercase

import polars as pl

from opinioncast.survey.wave import tagged

EMPTY = ("NA", ".", "NaN", "nan", "#N/A", "#NULL!", "NULL", "<NA>")
"""What R, Stata, Python and SPSS write into a cell of a number column that is empty."""
_COMMA_DECIMAL = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:[. \u00a0\u202f'’]\d{3})+)(?:,\d+)?")
_COMMA_GROUPS = re.compile(r"[+-]?(?:\d+|[1-9]\d{0,2}(?:[, \u00a0\u202f'’]\d{3})+)(?:\.\d+)?")
_POINT_GROUPS = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
_MAX_DIGITS = 15  # more do not fit a Float64


@dataclass(frozen=True)
class Numbers:
    """A table's columns, those of numbers as Float64, and notes on what was decided."""

    columns: list[pl.Series]
    notes: list[str]


def numbers_of(table: pl.DataFrame, separator: str, decimal: str | None) -> Numbers:
    """Columns as numbers where all their cells are, else as text.

    A comma is a decimal sign where the cells allow nothing else and the separator is not a comma,
    a thousands sign where they allow nothing else; "1,234" is either, and then other columns
    decide, or nothing does and the column stays text.

    Args:
        decimal: "," or "." where a person says so.
    """
    bare = {c.name: _lettered(_bare(c)) for c in table.get_columns()}
    fits = {n: _commas(b, separator, decimal) for n, b in bare.items()}
    file = decimal or (
        ","
        if "decimal" in fits.values() and "thousands" not in fits.values()
        else "."
        if "thousands" in fits.values() and "decimal" not in fits.values()
        else None
    )
    groups = {n for n, b in bare.items() if fits[n] == "plain" and _only_point_groups(b)}
    points = any(
        f == "plain" and n not in groups and bool(b.str.contains(r"^[+-]?\d+\.\d+$").any())
        for (n, f), b in zip(fits.items(), bare.values(), strict=True)
    )
    if file is None and points and "decimal" not in fits.values():
        file = "."
    columns, emptied = [], 0
    kinds: dict[str, list[str]] = {}
    for column in table.get_columns():
        name, text = column.name, column.str.strip_chars().replace("", None)
        kind = fits[name]
        if kind == "either":
            kind = "unclear" if file is None else "decimal" if file == "," else "thousands"
        if kind == "plain" and _padded(bare[name]):
            kind = "padded"
        if name in groups and decimal == ",":
            kind = "point groups"
        elif name in groups and (
            file == "," or (file is None and (separator == ";" or _uneven(bare[name])))
        ):
            kind = "unclear"
        numbers = _cast(bare[name], kind)
        if numbers is None:
            kinds.setdefault(kind if kind in _KEPT else "mixed" * _mixed(bare[name]), []).append(
                name
            )
            columns.append(text)
            continue
        kinds.setdefault(kind, []).append(name)
        emptied += bool(text.is_in(EMPTY).any())
        columns.append(numbers)
    notes = []
    if emptied:
        notes.append(f'"NA" or "." read as an empty cell in {emptied} number column(s)')
    for kind, sentence in _SENTENCES.items():
        if kind in kinds:
            shown = ", ".join(kinds[kind][:8]) + (" ..." if len(kinds[kind]) > 8 else "")
            notes.append(f"{sentence}: {shown}")
    return Numbers(columns, notes)


_KEPT = ("unclear", "padded", "choices")
_SENTENCES = {
    "decimal": "comma read as the decimal sign",
    "thousands": "comma or space read as the thousands sign",
    "point groups": "point read as the thousands sign",
    "unclear": "left as text: a comma or point in its numbers may be a decimal or a thousands sign "
    '(say `decimal: ","` or `decimal: "."` in the recipe)',
    "choices": "left as text: commas between its digits may be decimal signs or separate several "
    'choices (say `decimal: ","` in the recipe if they are decimal signs)',
    "padded": 'left as text: numbers with and without zeros in front ("01", "1") may be two codes',
    "mixed": "left as text: numbers and other texts are mixed",
}


def _bare(column: pl.Series) -> pl.Series:
    """The cells of a column that hold something."""
    text = column.str.strip_chars().replace("", None)
    return text.set(text.is_in(EMPTY).fill_null(False), None)


def _lettered(bare: pl.Series) -> pl.Series:
    """Stata's missing letters (".a" to ".z") as the codes that stand for them."""
    letters = bare.str.contains(r"^\.[a-z]$")
    if not letters.any() or letters.all():
        return bare
    return bare.replace({f".{c}": f"{tagged(c):.0f}" for c in ascii_lowercase})


def _commas(bare: pl.Series, separator: str, decimal: str | None) -> str:
    """What the commas of a column are: plain, decimal, thousands, either, choices or text."""
    if not bare.str.contains(r"\d[, \x{a0}\x{202f}'’]\d").any():
        return "plain"
    cells = bare.drop_nulls()
    if not cells.str.contains(r"^[+-]?[\d., \x{a0}\x{202f}'’]+$").all():
        return "plain"
    texts = cells.unique().to_list()
    as_decimal = all(_COMMA_DECIMAL.fullmatch(t) for t in texts)
    as_groups = all(_COMMA_GROUPS.fullmatch(t) for t in texts)
    if not any("," in t for t in texts):
        return "thousands" if as_groups else "decimal" if as_decimal else "plain"
    if decimal is not None:
        wanted = {",": as_decimal, ".": as_groups}.get(decimal, False)
        return ("decimal" if decimal == "," else "thousands") if wanted else "plain"
    if as_decimal and as_groups:
        return "either"
    if as_groups:
        return "thousands"
    if not as_decimal:
        return "plain"
    sure = separator == ";" or any(re.match(r"[+-]?0\d*,|.*,\d{3,}$", t) for t in texts)
    return "decimal" if sure else "choices"


def _padded(bare: pl.Series) -> bool:
    zeros = bare.str.contains(r"^[+-]?0\d")
    if not zeros.any():
        return False
    values = bare.cast(pl.Float64, strict=False)
    return not set(values.filter(zeros)).isdisjoint(values.filter(~zeros))


def _only_point_groups(bare: pl.Series) -> bool:
    texts = [t for t in bare.drop_nulls().unique().to_list() if "." in t]
    return bool(texts) and all(_POINT_GROUPS.fullmatch(t) for t in texts)


def _uneven(bare: pl.Series) -> bool:
    """Whether numbers with and without a point stand together as no program writes decimals.

    "1.500" beside "500": shortest decimals would be 1.5, those of a fixed width 500.000.
    """
    return bool(bare.str.contains(r"\.\d\d0$").any()) and bool(bare.str.contains(r"^\d+$").any())


def _mixed(bare: pl.Series) -> bool:
    cells = bare.drop_nulls()
    numbers = len(cells) - cells.cast(pl.Float64, strict=False).null_count()
    return 2 * numbers > len(cells) and numbers < len(cells)


def _cast(bare: pl.Series, kind: str) -> pl.Series | None:
    """The numbers of a column of one kind; None where it is none."""
    if kind in _KEPT:
        return None
    if kind == "decimal":
        bare = bare.str.replace_all(r"[. \x{a0}\x{202f}'’]", "").str.replace(",", ".")
    elif kind == "thousands":
        bare = bare.str.replace_all(r"[, \x{a0}\x{202f}'’]", "")
    elif kind == "point groups":
        bare = bare.str.replace_all(".", "", literal=True)
    numbers = bare.cast(pl.Float64, strict=False)
    longest = bare.str.len_chars().max()
    fits = (
        not isinstance(longest, int)
        or longest <= _MAX_DIGITS
        or bool((bare.str.contains(r"\.")).any())
    )
    finite = bool(numbers.is_finite().fill_null(True).all())
    same = numbers.null_count() == bare.null_count()
    return numbers if same and fits and finite else None
