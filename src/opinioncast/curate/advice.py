"""What to do where the rules leave no question: one piece of advice per reason in the report."""

from __future__ import annotations

import polars as pl

from opinioncast.curate.select import Reason, SelectionSettings

CHOSEN = "chosen by question file"
MISFIT = "options do not fit the file"
NOT_IN_FILE = "not in the file"
UNUSABLE = "cannot be put as a question"
UNDECIDED = "missing answers not decided"

_KEEP = "if it is an opinion question all the same, `keep: {%s: why}` in a selection file"
_ADVICE: dict[str, str] = {
    MISFIT: "give `codes` or `labels` of each option of %s in the question file",
    UNDECIDED: "say what the answers of %s are, in the codebook or under `correct`, or "
    "`missing: {labels: ...}` in the wave",
    NOT_IN_FILE: "check the spelling of %s in the question file; names are case sensitive",
    UNUSABLE: "mend the options of %s in the codebook (`correct`)",
    Reason.NO_WORDING: "give the question as asked: `wording: FILE.json` with "
    '{"%s": "Do you ...?"}, or `question` in the codebook',
    Reason.TOO_FEW_OPTIONS: "the file does not say what the codes of %s mean: give `codes` and "
    "`options` in a codebook (`codebook: FILE.json`); `opinioncast init FILE` writes a first one",
    Reason.TOO_MANY_OPTIONS: "raise `select: {max_options: ...}` (%s), up to 26",
    Reason.TOO_FEW_RESPONDENTS: "lower `select: {min_n: ...}`, if so few answers are enough (%s)",
    Reason.TOO_FEW_IN_GROUPS: "lower `select: {min_group_n: ...}`, or ask for larger groups (%s)",
    Reason.FOLLOWS_FROM_GROUP: "raise `select: {max_association: ...}`; or " + _KEEP,
    Reason.GROUP_VARIABLE: "%s tells the groups: it can be a question only if the group recipe "
    "does not use it",
    Reason.KNOWLEDGE: "%s reads like a test of knowledge; " + _KEEP,
    Reason.OPEN_FILL: "write the wording of %s out (`wording`, or `review`)",
    Reason.FILTERED: "%s was asked only of some; " + _KEEP,
    Reason.CONSTANT: "%s tells nothing: all answers are alike; " + _KEEP,
    Reason.IDENTICAL: "%s repeats another variable; " + _KEEP,
    Reason.REDACTED: "%s has no answers in this file",
    Reason.FORCED_DROP: "the selection file drops %s",
    Reason.DEMOGRAPHIC: "%s reads like a trait; " + _KEEP,
    Reason.ADMINISTRATIVE: "%s is part of the design or of the fieldwork; " + _KEEP,
}


_IN_DETAIL = frozenset((MISFIT, UNDECIDED, UNUSABLE))
"""Reasons that only the particulars make clear."""
_LONG = 320


def advice(report: pl.DataFrame) -> list[str]:
    """One line per reason of a report's dropped variables, first what a codebook or setting mends.

    Args:
        report: of a curation, see :data:`opinioncast.curate.select.REPORT_SCHEMA`.
    """
    dropped = report.filter(~pl.col("kept"))
    reasons = dropped.group_by("reason", maintain_order=True).agg(
        pl.len().alias("n"), pl.col("variable").first(), pl.col("detail").first()
    )
    lines = []
    order = {str(reason): i for i, reason in enumerate(_ADVICE)}
    rows = sorted(reasons.iter_rows(), key=lambda row: order.get(row[0], len(order)))
    for reason, n, variable, detail in rows:
        told = _ADVICE.get(reason, "see the details of %s in the report")
        line = told.replace("%s", variable)
        if reason in _IN_DETAIL and detail:
            line += f" ({variable}: {detail if len(detail) <= _LONG else detail[:_LONG] + '...'})"
        lines.append(f"{n} x {reason}: {line}")
    return lines


def limits(settings: SelectionSettings) -> str:
    """The limits of a selection, for a message that says nothing passed them."""
    return (
        f"max_options {settings.max_options}, min_n {settings.min_n}, "
        f"min_group_n {settings.min_group_n}, max_association {settings.max_association:g}"
    )
