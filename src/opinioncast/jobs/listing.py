"""What can be named: methods, backends, models that ship, formats, and every option of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from opinioncast.backends.catalogue import CATALOGUE, CatalogueModel
from opinioncast.backends.declaration import backend_kinds
from opinioncast.methods.declaration import method_kinds
from opinioncast.options import Option
from opinioncast.questionnaires.declaration import instrument_formats
from opinioncast.report.report import report_formats


@dataclass(frozen=True)
class Listing:
    """One kind of thing.

    Attributes:
        title: what they are.
        columns, rows: a table; each row has as many texts as there are columns.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def listings() -> list[Listing]:
    """Everything that is declared, by this package or beside it."""
    methods, backends = method_kinds(), backend_kinds()
    return [
        Listing(
            "Methods (--method)",
            ("method", "what it is", "options"),
            tuple((k.name, k.help, _flags(k.options)) for k in methods),
        ),
        Listing(
            "Backends (--backend, or before a colon in a model's name)",
            ("backend", "what it is", "options"),
            tuple((k.name, k.help, _flags(k.options)) for k in backends),
        ),
        Listing(
            "Models that ship, or that a package holds (--model)",
            ("model", "what it is", "licence", "how to get it"),
            tuple((m.name, f"{m.label}: a {m.use}", m.licence, m.how_to_get) for m in _models()),
        ),
        Listing(
            "Questionnaires",
            ("format", "what it is", "endings"),
            tuple((k.name, k.help, " ".join(k.endings)) for k in instrument_formats()),
        ),
        Listing(
            "Files that predictions are written to (--write)",
            ("format", "what it is"),
            tuple((k.name, k.help) for k in report_formats()),
        ),
        Listing(
            "Options of methods and backends",
            ("option", "what it is for", "of"),
            _options(
                [(k.name, k.options) for k in methods] + [(k.name, k.options) for k in backends]
            ),
        ),
    ]


def markdown() -> str:
    """All listings as one page."""
    parts = ["# Settings", "", "Written by `opinioncast methods --markdown`.", ""]
    for listing in listings():
        parts += [f"## {listing.title}", "", _row(listing.columns)]
        parts += [_row(["---"] * len(listing.columns))]
        parts += [*map(_row, listing.rows), ""]
    return "\n".join(parts)


def _models() -> list[CatalogueModel]:
    return list(CATALOGUE.values())


def _flags(options: Mapping[str, Option]) -> str:
    return " ".join(option.flag for option in options.values())


def _options(kinds: Iterable[tuple[str, Mapping[str, Option]]]) -> tuple[tuple[str, ...], ...]:
    known: dict[str, tuple[Option, list[str]]] = {}
    for name, options in kinds:
        for option in options.values():
            known.setdefault(option.flag, (option, []))[1].append(name)
    return tuple((flag, option.help, ", ".join(of)) for flag, (option, of) in known.items())


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
