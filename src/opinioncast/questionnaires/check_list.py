"""The check list of an import: what was understood of a file, what was left out and why, and where.

A person goes through it before the questions are used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from opinioncast.texts import markdown_text


class Outcome(StrEnum):
    """What became of one thing in a file."""

    ASKED = "asked"
    ITEMS = "asked as yes/no items"
    BATTERY = "asked item by item"
    BANDS = "asked in bands"
    LEFT_OUT = "left out"
    NO_QUESTION = "no question"


@dataclass(frozen=True, slots=True)
class Check:
    """One question, battery or text of a file.

    Attributes:
        where: its place: "paragraph 12", "line 40", "element QID7".
        id: as the file names it.
        text: its wording, cleaned.
        outcome: what became of it.
        why: why it was left out.
        asked: how many questions it gives.
        remarks: what to look at, a sentence each.
    """

    where: str
    id: str
    text: str
    outcome: Outcome
    why: str = ""
    asked: int = 0
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckList:
    """All of them in the order of the file.

    Attributes:
        format: name of the format that was read.
        checks: one for each thing found.
        notes: of the whole file, a sentence each.
    """

    format: str
    checks: tuple[Check, ...] = ()
    notes: tuple[str, ...] = ()

    def of(self, *outcomes: Outcome) -> tuple[Check, ...]:
        """The checks with one of these outcomes."""
        return tuple(c for c in self.checks if c.outcome in outcomes)

    @property
    def left_out(self) -> tuple[Check, ...]:
        return self.of(Outcome.LEFT_OUT)

    @property
    def understood(self) -> tuple[Check, ...]:
        """Everything that is asked in some way."""
        return tuple(c for c in self.checks if c.asked)

    @property
    def asked(self) -> int:
        """How many questions are asked, each item of a battery counted."""
        return sum(c.asked for c in self.checks)

    def reasons(self) -> dict[str, int]:
        """Reason -> how many were left out for it, the commonest first."""
        counts: dict[str, int] = {}
        for check in self.left_out:
            reason = check.why.partition(":")[0]
            counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))

    def summary(self) -> str:
        """One sentence: what is asked, what is left out."""
        read = len(self.understood)
        items = sum(c.asked for c in self.of(Outcome.ITEMS))
        extra = f", {items} of them yes/no items of select-all" if items else ""
        reasons = ", ".join(f"{n} {reason}" for reason, n in self.reasons().items())
        left = f"; {len(self.left_out)} left out ({reasons})" if reasons else "; nothing left out"
        looked = sum(bool(c.remarks) for c in self.understood)
        look = f"; {looked} to look at" if looked else ""
        return f"{read} understood, asked as {self.asked} questions{extra}{left}{look}"

    def markdown(self, name: str) -> str:
        """The list as a page.

        Args:
            name: of the file.
        """
        lines = [
            f"# Check list of {markdown_text(name)}",
            "",
            f"Read as {self.format}: {self.summary()}.",
            "",
        ]
        lines += [f"- {markdown_text(note)}" for note in self.notes]
        lines += [""] if self.notes else []
        look = [c for c in self.understood if c.remarks]
        rest = [c for c in self.understood if not c.remarks]
        lines += _section("Left out", self.left_out)
        lines += _section("To look at", look)
        lines += _section("Understood", rest)
        lines += _section("Texts that are no question", self.of(Outcome.NO_QUESTION))
        return "\n".join(lines) + "\n"


def _section(title: str, checks: Sequence[Check]) -> list[str]:
    if not checks:
        return []
    lines = [f"## {title} ({len(checks)})", "", "| where | id | text | what became of it |"]
    lines += ["|---|---|---|---|"]
    for check in checks:
        said = check.why or check.outcome.value
        if check.asked > 1:
            said += f" ({check.asked})"
        said = "; ".join((said, *check.remarks))
        cells = (check.where, check.id, shortened(check.text, 160), said)
        lines.append("| " + " | ".join(markdown_text(" ".join(c.split())) for c in cells) + " |")
    return [*lines, ""]


def shortened(text: str, width: int) -> str:
    """``text`` on one line of at most ``width`` characters."""
    plain = " ".join(text.split())
    return plain if len(plain) <= width else plain[: width - 1].rstrip() + "…"
