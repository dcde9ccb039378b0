"""The card that goes with every export: what a reader must be told, in the order they expect it.

AAPOR's Code (2021, III.A) lists eleven items to disclose with results; ESOMAR asks buyers of
AI-based services about five themes. What does not apply is said to, and why: a model's predictions
have no sample, and a card that left those items out would hide that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opinioncast.files import atomic_path
from opinioncast.survey import OpinionTable, PredictionTable, Question
from opinioncast.texts import markdown_text

AAPOR = "AAPOR Code of Professional Ethics and Practices (2021), III.A"
ESOMAR = "ESOMAR, questions to ask about AI-based services; ICC/ESOMAR Code (2025)"

NOTICE = (
    "Model predictions. No one was interviewed; this is not a poll or survey, and no margin of "
    "sampling error applies."
)
SYNTHETIC_NOTICE = (
    "Synthetic records drawn from model predictions. No record is a person who answered, and no "
    "number computed from them says anything about people beyond what the predictions say."
)
_NOT_RECORDED = "Not recorded."
_VERSION = version("opinioncast")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who stands behind an export; empty: not recorded.

    Attributes:
        sponsor: who paid for it.
        conductor: who made it.
        reviewer: the person who looked at the results before they went out.
        contact: where to ask.
    """

    sponsor: str = ""
    conductor: str = ""
    reviewer: str = ""
    contact: str = ""


NOBODY_NAMED = Parties()


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a card."""

    number: str
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Card:
    """What is disclosed.

    Attributes:
        notice: what comes before everything; empty for a survey.
        items: AAPOR's eleven, in order.
        themes: ESOMAR's five, in order.
    """

    notice: str
    items: tuple[Item, ...]
    themes: tuple[Item, ...]

    def markdown(self) -> str:
        """The card as Markdown."""
        lines = ["# Disclosure card", ""]
        if self.notice:
            lines += [f"**{markdown_text(self.notice)}**", ""]
        for title, items in ((AAPOR, self.items), (ESOMAR, self.themes)):
            lines += [f"## {markdown_text(title)}", ""]
            for item in items:
                head = markdown_text(f"{item.number} {item.heading}".strip())
                lines += [f"{head}", f": {markdown_text(item.text)}", ""]
        return "\n".join(lines)


def write_card(card: Card, path: Path) -> Path:
    """Write the card as Markdown."""
    with atomic_path(path) as temporary:
        temporary.write_text(card.markdown(), "utf-8")
    return path


def disclosure_card(
    table: OpinionTable | PredictionTable,
    *,
    parties: Parties = NOBODY_NAMED,
    synthetic: str = "",
    today: date | None = None,
) -> Card:
    """The card of a table's export.

    Args:
        synthetic: how records were drawn from predictions, where the export is of such.
        today: the date of the export; None: now.
    """
    day = (today or datetime.now(UTC).date()).isoformat()
    questions = table.questions()
    groups = table.subpopulations()
    if isinstance(table, OpinionTable):
        items = _survey_items(table, questions, parties, day)
        return Card("", items, _survey_themes(parties))
    notice = SYNTHETIC_NOTICE if synthetic else NOTICE
    items = _prediction_items(table, questions, len(groups), parties, day, synthetic)
    return Card(notice, items, _prediction_themes(table, parties))


def _prediction_items(
    table: PredictionTable,
    questions: Sequence[Question],
    groups: int,
    parties: Parties,
    day: str,
    synthetic: str,
) -> tuple[Item, ...]:
    meta = table.meta
    evidence = [str(e) for e in meta.get("evidence", [])]
    known = f" Read together with: {'; '.join(evidence)}." if evidence else ""
    strategy = (
        "None: a statistical model predicted how groups would answer, from the wording of the "
        f"questions and the names of the groups.{known}"
    )
    texts = (
        strategy,
        _parties(parties),
        f"{len(questions)} question(s); exact wording and options stand with every table. They "
        "were put to the model, not to people." + _paraphrase(questions),
        f"{_population(questions)}, as {groups} group(s), each named at the head of its column. "
        "The predictions are meant for these people at the time of the surveys that the model "
        "learned from, unless evidence of another time was read in.",
        "Does not apply: no sample was drawn and no one was recruited."
        + (" The sources named under 1 have samples of their own." if evidence else ""),
        f"Does not apply: no interview in any mode. Method: {_methods(table)}.",
        f"No fieldwork. Exported {day}.",
        "Does not apply: no sample, so no sampling error. " + _precision(table),
        "Does not apply: no respondents to weight."
        + (
            f" Groups are put together over a population frame: {_frame(meta)}."
            if meta.get("population_frame")
            else ""
        ),
        f"opinioncast {_VERSION}; content hash of the predictions {table.content_hash}. "
        + (synthetic + " " if synthetic else "")
        + "No answers were edited or imputed, because there are none.",
        "Predictions can miss the level of an answer by tens of points, make groups more alike or "
        "more unlike than they are, and know nothing of events after the surveys learned from. "
        "Not done: fieldwork, cognitive testing, a check against people who answered these "
        "questions" + (" (beyond the sources named under 1)." if evidence else "."),
    )
    return tuple(
        Item(str(i), heading, text)
        for i, (heading, text) in enumerate(zip(_HEADINGS, texts, strict=True), start=1)
    )


_HEADINGS = (
    "Data collection strategy",
    "Who sponsored the research and who conducted it",
    "Measurement tools and instruments",
    "Population under study",
    "Method used to generate and recruit the sample",
    "Methods and modes of data collection",
    "Dates of data collection",
    "Sample sizes and precision of the results",
    "How the data were weighted",
    "How the data were processed and checked",
    "Limitations of the design and data collection",
)


def _survey_items(
    table: OpinionTable, questions: Sequence[Question], parties: Parties, day: str
) -> tuple[Item, ...]:
    meta = table.meta
    waves = [w for w in meta.get("waves", []) if isinstance(w, Mapping)] or [meta]
    names = "; ".join(
        dict.fromkeys(filter(None, (f"{q.family} {q.wave}".strip() for q in questions)))
    )
    weights = "; ".join(dict.fromkeys(name for w in waves for name in dict(w.get("weights") or {})))
    errors = "; ".join(_told(w.get("standard_errors") for w in waves))
    missing = "; ".join(_told(w.get("missing_codes") for w in waves))
    n = table.frame["n"].drop_nulls().to_list()
    sizes = f"{min(n)} to {max(n)} respondents a cell" if n else "not recorded"
    respondents = "; ".join(
        f"{w.get('family', '')} {w.get('wave', '')}: {w['respondents']} respondents".strip()
        for w in waves
        if w.get("respondents")
    )
    source = str(meta.get("citation") or meta.get("source") or "").strip()
    see = f" See the source: {source}" if source else ""
    texts = (
        f"A survey, tabulated from its data. {names or 'Which one is not recorded'}.{see}",
        _parties(parties) + (f" The survey's own: {source}" if source else ""),
        f"{len(questions)} question(s); wording and options stand with every table."
        + _paraphrase(questions, bool(meta.get("paraphrase"))),
        f"{_population(questions)}.",
        f"Not in the data tabulated.{see}",
        f"Not in the data tabulated.{see}",
        f"Not in the data tabulated beyond: {names or 'nothing'}. Exported {day}.",
        f"{respondents + '; ' if respondents else ''}{sizes}; unweighted, weighted (where known) "
        f"and effective bases stand in every table."
        + (f" Standard errors: {errors}." if errors else ""),
        f"Weight: {weights}." if weights else "No weight is recorded.",
        f"opinioncast {_VERSION}; content hash of the table {table.content_hash}; "
        f"missing answers: {missing or 'not recorded'}.",
        "Figures of small bases are marked or not shown. Differences were tested column by column; "
        "nothing else about error (coverage, nonresponse, wording) is in a table's letters.",
    )
    return tuple(
        Item(str(i), heading, text)
        for i, (heading, text) in enumerate(zip(_HEADINGS, texts, strict=True), start=1)
    )


_THEMES = (
    "The company",
    "Explainable and fit for purpose",
    "Trustworthy, ethical and transparent",
    "Human oversight",
    "Data governance",
)


def _prediction_themes(table: PredictionTable, parties: Parties) -> tuple[Item, ...]:
    meta = table.meta
    trained = meta.get("trained_on")
    size = trained.get("train_questions") if isinstance(trained, Mapping) else None
    texts = (
        f"{parties.conductor or 'Not recorded.'} Software: opinioncast {_VERSION}, open source.",
        f"AI was used to predict shares: {_methods(table)}. {_precision(table)} Fit for drafting "
        "questionnaires, planning samples and testing pipelines; not for reporting what people "
        "think.",
        "Every table, sheet and file says that it is model output. Intervals were measured where "
        "it is said so; where not, they run from 0 to 1.",
        (
            f"Looked at before release by {parties.reviewer}."
            if parties.reviewer
            else "None recorded: no person is named who looked at the results before release."
        )
        + " Sampling, deployment, analysis and interpretation had no other recorded human part.",
        "No respondent's record is in this export. "
        + (f"Learned from {size} survey questions at group level. " if size else "")
        + "Terms of the surveys and models apply to what is made of them.",
    )
    return _themes(texts)


def _survey_themes(parties: Parties) -> tuple[Item, ...]:
    return _themes(
        (
            f"{parties.conductor or 'Not recorded.'} Software: opinioncast {_VERSION}, open "
            "source.",
            "No AI was used for the figures: they are weighted shares.",
            "Does not apply: no synthetic data.",
            f"Looked at before release by {parties.reviewer}."
            if parties.reviewer
            else "None recorded.",
            "Group-level shares only; the source's terms apply.",
        )
    )


def _themes(texts: Iterable[str]) -> tuple[Item, ...]:
    return tuple(Item("", h, t) for h, t in zip(_THEMES, texts, strict=True))


def _parties(parties: Parties) -> str:
    told = [
        f"{word}: {name}."
        for word, name in (
            ("Sponsor", parties.sponsor),
            ("Conducted by", parties.conductor),
            ("Contact", parties.contact),
        )
        if name
    ]
    return " ".join(told) or _NOT_RECORDED


def _paraphrase(questions: Sequence[Question], said: bool = False) -> str:
    if said or any(q.paraphrase for q in questions):
        return " Wordings are paraphrased: not word for word what was fielded."
    return ""


def _population(questions: Sequence[Question]) -> str:
    people = dict.fromkeys(q.population.people for q in questions)
    return "; ".join(people)[:1].upper() + "; ".join(people)[1:]


def _methods(table: PredictionTable) -> str:
    pairs = table.frame.select("method", "model").unique(maintain_order=True).iter_rows()
    return (
        "; ".join(dict.fromkeys(" with ".join(filter(None, pair)) for pair in pairs)) or "unknown"
    )


def _precision(table: PredictionTable) -> str:
    worth = table.meta.get("worth")
    if worth:
        overall = next(iter(worth.values()))
        return (
            "Each share has a 90% interval measured on other survey questions; on "
            f"{overall['questions']} of them predictions lay as near to what people answered as a "
            f"sample of {overall['words']} in the group."
        )
    return "What these predictions are worth was never measured."


def _frame(meta: Mapping[str, Any]) -> str:
    card = meta["population_frame"]
    told = [str(card[k]) for k in ("population", "year", "source") if card.get(k)]
    return ", ".join(told) or "not described"


def _told(values: Iterable[Any]) -> list[str]:
    return list(dict.fromkeys(str(v) for v in values if v))
