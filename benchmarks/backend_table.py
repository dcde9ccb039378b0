"""The table of model families, adapter kinds and services in docs/backends.md, tried and written.

    python benchmarks/backend_table.py [--quick] [--section NAME] [--no-write]

Each family and kind is tried with a tiny random model in float32: label probabilities and shares of
the PyTorch backend (prompts packed where it packs them) against the model's own forward, one prompt
at a time; with an adapter, against PEFT's own model of the same adapter, texts too. ``--quick``
tries one random draw of each instead of three. A section is a function that returns rows; each
writes its table between markers of its name. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import transformers

from adapter_kinds import adapter_rows
from model_families import model_rows
from opinioncast.files import atomic_path
from tiny_models import Row

DOCUMENT = Path(__file__).parents[1] / "docs" / "backends.md"
Section = Callable[[bool], list[Row]]
SECTIONS: dict[str, tuple[str, Section]] = {
    "models": ("model family", model_rows),
    "adapters": ("adapter", adapter_rows),
}
"""Name of a section's markers -> head of its first column, and what makes its rows."""


def table(head: str, rows: Sequence[Row]) -> str:
    """As Markdown."""
    lines = [f"| {head} | outcome | within | to what, or why |", "|---|---|---|---|"]
    for row in rows:
        within = "" if row.within is None else f"{row.within:.0e}"
        lines.append(f"| {row.name} | {row.outcome} | {within} | {row.note} |")
    return "\n".join(lines)


def put(section: str, text: str) -> None:
    """Write ``text`` between the document's markers of ``section``."""
    begin, end = f"<!-- {section}: benchmarks/backend_table.py -->", f"<!-- end {section} -->"
    whole = DOCUMENT.read_text("utf-8")
    if whole.count(begin) != 1 or whole.count(end) != 1:
        raise SystemExit(f"{DOCUMENT.name} lacks the markers {begin} and {end}")
    before, rest = whole.split(begin)
    with atomic_path(DOCUMENT) as target:
        target.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one random draw of each")
    parser.add_argument("--section", choices=SECTIONS, help="only this one")
    parser.add_argument("--no-write", action="store_true", help="leave the document as it is")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    figures: dict[str, Any] = {}
    for name, (head, make) in SECTIONS.items():
        if options.section not in (None, name):
            continue
        rows = make(options.quick)
        text = table(head, rows)
        print(text, flush=True)
        if not options.no_write:
            put(name, text)
        within = [row.within for row in rows if row.within is not None]
        figures[name] = {
            "tried": len(rows),
            "refused": sum(row.outcome == "refused" for row in rows),
            "not_tried": sum(row.outcome == "not tried" for row in rows),
            "largest_difference": max(within, default=None),
        }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
