"""Real instruments of every format: what is read of each, what is left out and why.

    python benchmarks/instruments.py [--folder DIR] [--quick] [--markdown] [--write]

Each file below the folder is imported as ``opinioncast import`` does it. Pairs that one survey was
exported to are compared question by question. ``--quick`` takes the small files, ``--markdown``
prints the tables as docs/instruments.md has them, ``--write`` puts them there. The last line is
JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

from opinioncast.errors import OpinioncastError
from opinioncast.files import atomic_path
from opinioncast.questionnaires.check_list import CheckList
from opinioncast.questionnaires.declaration import Instrument, instrument_formats
from opinioncast.questionnaires.file_format import format_of
from opinioncast.questionnaires.limits import read_bytes
from opinioncast.questionnaires.questionnaire import questionnaire

FOLDER = Path(__file__).parents[2] / "shared" / "instruments"
DOCUMENT = Path(__file__).parents[1] / "docs" / "instruments.md"
BEGIN = "<!-- instruments: python benchmarks/instruments.py --write -->"
END = "<!-- end of instruments -->"
SMALL = 30_000
PAIRS = (
    ("qsf/delphi_ctis_wave4.qsf", "docx/delphi_ctis_wave4.docx"),
    ("qsf/qualtricstools_logic.qsf", "docx/qualtricstools_logic_word_export.docx"),
)
"""Two exports of one survey each."""


@dataclass(frozen=True)
class Reading:
    """One file: an instrument with its check list, or why it was refused."""

    name: str
    instrument: Instrument | None
    refused: str
    seconds: float

    @property
    def check_list(self) -> CheckList | None:
        return self.instrument.check_list if self.instrument else None

    def row(self) -> str:
        checks = self.check_list
        if checks is None:
            return f"| {self.name} | refused | | | | {self.refused} |"
        items = sum(c.asked for c in checks.checks if "yes/no" in c.outcome.value)
        why = ", ".join(f"{n} {r}" for r, n in checks.reasons().items()) or "-"
        cells = (self.name, checks.format, len(checks.understood), checks.asked, items, why)
        return "| " + " | ".join(map(str, cells)) + " |"


def read(folder: Path, path: Path) -> Reading:
    """A file read and checked as ``predict`` would."""
    name, start = str(path.relative_to(folder)), time.perf_counter()
    try:
        kind, content = format_of(path), read_bytes(path)
        instrument = kind.read(path, content)
        questionnaire(instrument, path, content)
    except OpinioncastError as error:
        said = f"{error.title}: {error.found}".replace("|", "/").replace("<", "&lt;")
        return Reading(name, None, said[:150], time.perf_counter() - start)
    return Reading(name, instrument, "", time.perf_counter() - start)


def differences(first: Instrument, second: Instrument) -> tuple[int, list[str]]:
    """How many questions two exports of one survey have alike, and what differs of the others."""
    by_id = [{str(e.fields["id"]).casefold(): e.fields for e in i.entries} for i in (first, second)]
    alike, told = 0, []
    for name in dict.fromkeys((*by_id[0], *by_id[1])):
        one, other = by_id[0].get(name), by_id[1].get(name)
        if one is None or other is None:
            told.append(f"{name}: only in the {'second' if one is None else 'first'}")
            continue
        odd = [
            f"{field} {one.get(field, 'none')!r} and {other.get(field, 'none')!r}"
            for field in ("battery", "question", "options", "codes", "select_all", "scale")
            if one.get(field) != other.get(field)
        ]
        alike += not odd
        told += [f"{name}: {'; '.join(odd)}"] if odd else []
    return alike, told


def tables(readings: list[Reading]) -> str:
    """The page's tables."""
    lines = ["| file | read as | understood | asked | of these yes/no items | left out |"]
    lines += ["|---|---|---|---|---|---|", *(r.row() for r in readings), ""]
    by_name = {r.name: r.instrument for r in readings}
    for first, second in PAIRS:
        one, other = by_name.get(first), by_name.get(second)
        if one is None or other is None:
            continue
        alike, told = differences(one, other)
        lines += [f"`{first}` and `{second}`: {alike} entries alike, {len(told)} not.", ""]
        lines += [f"- {t[:400]}".replace("<", "&lt;") for t in told[:25]]
        lines += [f"- and {len(told) - 25} more"] if len(told) > 25 else []
        lines += [""] if told else []
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--quick", action="store_true", help="files under 30 kB")
    parser.add_argument("--markdown", action="store_true", help="print the page's tables")
    parser.add_argument("--write", action="store_true", help="write them into docs/instruments.md")
    options = parser.parse_args()
    endings = {e for kind in instrument_formats() for e in kind.endings}
    files = [
        p
        for p in sorted(options.folder.rglob("*"))
        if p.suffix in endings and p.is_file() and p.parent != options.folder
        and not (options.quick and p.stat().st_size > SMALL)
    ]  # fmt: skip
    readings = [read(options.folder, p) for p in files]
    text = tables(readings)
    if options.markdown:
        print(text)
    else:
        for one in readings:
            print(one.row(), f"{one.seconds:.2f} s")
    if options.write:
        page = DOCUMENT.read_text("utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        with atomic_path(DOCUMENT) as temporary:
            temporary.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    checked = [c for r in readings if (c := r.check_list) is not None]
    print(
        json.dumps(
            {
                "files": len(readings),
                "read": len(checked),
                "refused": len(readings) - len(checked),
                "understood": sum(len(c.understood) for c in checked),
                "asked": sum(c.asked for c in checked),
                "left_out": sum(len(c.left_out) for c in checked),
                "seconds": round(sum(r.seconds for r in readings), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
