"""What stands above and below every table, so that it can be read by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opinioncast.banners.settings import BannerSettings
from opinioncast.banners.table import PREDICTION, Kind
from opinioncast.survey import Question

_CORRECTIONS = {
    "none": "no correction for the number of comparisons",
    "bonferroni": "Bonferroni's correction",
    "holm": "Holm's correction",
    "benjamini-hochberg": "the false discovery rate held by Benjamini and Hochberg's rule",
}


def base_text(kind: Kind, question: Question) -> str:
    """Who a table's figures are about."""
    people = question.population.people
    if kind == PREDICTION:
        return f"Predicted for: {people}. Nobody was asked."
    return f"Base: {people} who gave one of the answers shown."


def prediction_footer(
    settings: BannerSettings, meta: Mapping[str, Any], *, measured: bool, compared: bool
) -> tuple[str, ...]:
    """Below tables of predictions."""
    lines = [
        "Model predictions. No one was interviewed; this is not a poll or survey, and no margin of "
        "sampling error applies."
    ]
    if measured:
        lines.append(
            "In the line below a share: its 90% interval, measured on other survey questions. "
            "Intervals of nets and means are the widest that the intervals of the options allow."
        )
    else:
        lines.append("The error of these settings was never measured: any share is possible.")
    worth = meta.get("worth")
    if worth:
        overall = next(iter(worth.values()))
        lines.append(
            f"Measured on {overall['questions']} other questions: as near to what people answer as "
            f"a sample of {overall['words']} in the group."
        )
    lines.append(
        "Columns have no significance letters: nothing was sampled. Two groups whose intervals "
        "overlap are not told apart."
    )
    if compared:
        lines.append(
            "Difference: predicted minus observed, in points (in units of the scale for means). "
            + _small(settings, "what was observed")
        )
    lines.append(_rounding(settings))
    return tuple(lines)


def survey_footer(
    settings: BannerSettings,
    meta: Mapping[str, Any],
    *,
    weighted: bool,
    overlap: bool,
    no_bases: bool,
    total: bool,
) -> tuple[str, ...]:
    """Below tables of what people answered.

    Args:
        weighted: weighted bases are known.
        overlap: who is in two groups is known.
        no_bases: some columns have no base at all.
        total: there is a column of the whole.
    """
    lines = [_test(settings, total=total)]
    if settings.compare != "nothing":
        lines.append(
            "Test: two-sided Student's t of pooled shares on effective bases, less the effective "
            "base of those in both columns; "
            + _CORRECTIONS[settings.correction]
            + (
                " (over the comparisons of one row within one attribute)."
                if settings.correction != "none"
                else "."
            )
        )
        if settings.compare == "columns" and not overlap:
            lines.append("Groups of one attribute are taken to share no respondent.")
        if settings.compare == "columns" and overlap:
            lines.append("Who is in two groups of one attribute was counted in the microdata.")
        if not weighted:
            lines.append(
                "Weighted bases are not recorded: unweighted ones stand in their place where "
                "shares are pooled."
            )
        if no_bases:
            lines.append("Columns without a base were not tested.")
    lines.append(_small(settings, "a column"))
    told = [meta.get("standard_errors"), *(w.get("standard_errors") for w in meta.get("waves", ()))]
    errors = "; ".join(dict.fromkeys(str(e) for e in told if e))
    if errors:
        lines.append(f"Effective bases: from standard errors by {errors}.")
    lines.append(_rounding(settings))
    source = meta.get("citation") or meta.get("source")
    if source:
        lines.append(f"Source: {source}")
    return tuple(lines)


def _test(settings: BannerSettings, *, total: bool) -> str:
    high = f"{100 * settings.level:g}%"
    low = None if settings.low_level is None else f"{100 * settings.low_level:g}%"
    if settings.compare == "nothing":
        return "Differences between columns were not tested."
    if settings.compare == "total":
        if not total:
            return "Columns were to be tested against the whole, which is not in the table."
        also = f" (in brackets: {low})" if low else ""
        return (
            f"↑ ↓: above or below the whole, at the {high} level{also}; a part of less than 5% or "
            "more than 95% of the whole is not tested."
        )
    also = f", small ones at the {low} level" if low else ""
    return (
        "Letters: the share is higher than that of the column with the letter, among groups of "
        f"the same attribute; capitals at the {high} level{also}."
    )


def _small(settings: BannerSettings, what: str) -> str:
    return (
        f"* {what} rests on fewer than {settings.small_base} respondents; ** on fewer than "
        f"{settings.suppress_base}, and is not shown."
    )


def _rounding(settings: BannerSettings) -> str:
    unit = "whole percent"
    if settings.decimals:
        unit = f"percent with {settings.decimals} decimal{'s' * (settings.decimals != 1)}"
    least = f"<{0.5 / 10**settings.decimals:.{settings.decimals + 1}f}"
    return (
        f"Shares in {unit}, rounded half up after netting: they may miss 100. - is zero; {least} "
        "is above zero."
    )
