"""From a wording as fielded to one that reads well in a prompt (paper, Appendix A.3 and Figure 6).

Three sources, in this order of authority: a review file a person edited, a language model asked
with the paper's few-shot prompt, and rules. Every refined wording says which of them decided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from opinioncast.curate.review import ReviewRow
from opinioncast.curate.wording_rules import clean_wording, squeeze, words
from opinioncast.errors import ModelError
from opinioncast.survey.question import label

MARKER = "Refined question:"
_MAX_GROWTH = 1.5
"""A refinement is a minimal change: one half longer than the rules' wording is a rewrite."""

_MIN_KEPT = 0.5
"""Least share of the rules' words that a model's wording must keep."""


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """A question to refine: its variable, its wording as fielded, its substantive options."""

    variable: str
    raw: str
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refined:
    """A wording fit for a prompt.

    Attributes:
        text: the wording.
        decided_by: "rules", "model" or whatever the review file says (usually "reviewed").
        changed: False where ``text`` is the raw wording, white space aside.
        notes: which rules applied, or why a model's answer was not used.
    """

    text: str
    decided_by: str
    changed: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refinement:
    """Refined wordings by variable, and what did not go as asked.

    Attributes:
        stale: variables whose reviewed wording was not used because the source wording changed.
        unused: variables of the review file that are not among the questions.
        fallbacks: variables whose model answer was not used, with the reason; rules decided.
    """

    refined: Mapping[str, Refined]
    stale: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    fallbacks: Mapping[str, str] = field(default_factory=dict)

    def review_rows(self, items: Sequence[RawQuestion]) -> list[ReviewRow]:
        """Rows for :func:`opinioncast.curate.review.write_review`, in the order of ``items``."""
        return [
            ReviewRow(i.variable, i.raw, r.text, r.decided_by, "; ".join(r.notes))
            for i in items
            for r in [self.refined[i.variable]]
        ]


Generate = Callable[[list[str]], list[str]]
"""Prompts in, continuations out, same order and length."""


def refine(
    items: Sequence[RawQuestion],
    review: Sequence[ReviewRow] = (),
    generate: Generate | None = None,
) -> Refinement:
    """Refine wordings: reviewed file before model before rules.

    A review row counts only while its ``original`` is the source's wording; otherwise the variable
    is named in ``stale`` and decided as if it were not in the file.
    """
    rows = {r.variable: r for r in review}
    decided: dict[str, Refined] = {}
    stale = []
    for item in items:
        row = rows.get(item.variable)
        if row is None:
            continue
        if squeeze(row.original) != squeeze(item.raw):
            stale.append(item.variable)
            continue
        notes = (row.note,) if row.note else ()
        decided[item.variable] = _refined(item.raw, row.refined, row.decided_by, notes)
    rest = [i for i in items if i.variable not in decided]
    fallbacks: Mapping[str, str] = {}
    if generate is None:
        decided |= {i.variable: refine_rules(i.raw, i.options) for i in rest}
    else:
        answered = refine_with_model(rest, generate)
        decided |= answered.refined
        fallbacks = answered.fallbacks
    known = {i.variable for i in items}
    return Refinement(
        refined={i.variable: decided[i.variable] for i in items},
        stale=tuple(stale),
        unused=tuple(v for v in rows if v not in known),
        fallbacks=fallbacks,
    )


def _refined(raw: str, text: str, decided_by: str, notes: tuple[str, ...]) -> Refined:
    return Refined(text, decided_by, squeeze(raw) != squeeze(text), notes)


def refine_rules(raw: str, options: Sequence[str] = ()) -> Refined:
    """Clean a wording by rules (:func:`opinioncast.curate.wording_rules.clean_wording`).

    A wording of which nothing would be left stays as it is, with a note.
    """
    text, notes = clean_wording(raw, options)
    if len(words(text)) < 2 <= len(words(raw)):
        note = "kept as it is: rules would leave no wording"
        return Refined(squeeze(raw), "rules", False, (note,))
    return _refined(raw, text, "rules", notes)


# --- a language model -----------------------------------------------------------------------------


@cache
def _few_shot() -> str:
    file = resources.files("opinioncast.curate") / "refine_prompt.txt"
    return file.read_text(encoding="utf-8").strip()


def refine_prompt(item: RawQuestion) -> str:
    """The few-shot prompt of Figure 6 for one question."""
    options = "\n".join(f"{label(i)}. {o}" for i, o in enumerate(item.options))
    return f"{_few_shot()}\n\nQuestion: {squeeze(item.raw)}\n{options}\n{MARKER}"


def refine_with_model(items: Sequence[RawQuestion], generate: Generate) -> Refinement:
    """Refine with a language model; rules decide where its answer cannot be used.

    Raises:
        ModelError: ``generate`` returns another number of answers than it got prompts.
    """
    answers = generate([refine_prompt(i) for i in items]) if items else []
    if len(answers) != len(items):
        raise ModelError(
            "The model did not answer every prompt",
            expected=f"{len(items)} answers, one per question",
            found=len(answers),
        )
    refined: dict[str, Refined] = {}
    fallbacks: dict[str, str] = {}
    for item, answer in zip(items, answers, strict=True):
        rules = refine_rules(item.raw, item.options)
        text, problem = _parse(answer, item, rules.text)
        if problem:
            fallbacks[item.variable] = problem
            notes = (*rules.notes, f"model's answer not used: {problem}")
            refined[item.variable] = Refined(rules.text, "rules", rules.changed, notes)
        else:
            refined[item.variable] = _refined(item.raw, text, "model", ())
    return Refinement(refined, fallbacks=fallbacks)


def _parse(answer: str, item: RawQuestion, rules: str) -> tuple[str, str]:
    """The wording in a model's answer, and what is wrong with it ("" if nothing is)."""
    # The prompt ends with the marker; chat models repeat it, plain continuations do not.
    head, marker, tail = answer.partition(MARKER)
    body = tail if marker else head
    if not marker and body.lstrip().startswith(("Question:", "Instruction:")):
        return "", "no refined question found"
    block = re.split(r"\n\s*\n|\n?\s*(?:Question|Instruction):", body.strip(), maxsplit=1)[0]
    lines = [x.strip() for x in block.splitlines() if x.strip()]
    listed = [m.group(1) for x in lines if (m := re.match(r"[A-Z][.)] (.+)", x))]
    if listed and [words(o) for o in listed] != [words(o) for o in item.options]:
        return "", "options changed"
    text = squeeze(" ".join(x for x in lines if not re.match(r"[A-Z][.)] .", x))).strip(' ,"')
    if not text:
        return "", "empty answer"
    if len(text) > _MAX_GROWTH * max(len(rules), 40):
        return "", f"too long ({len(text)} characters for {len(rules)})"
    kept = set(words(rules)) & set(words(text))
    if len(kept) < _MIN_KEPT * len(set(words(rules))) and not _is_subset(text, rules):
        return "", "another question (too few of its words kept)"
    return text, ""


def _is_subset(text: str, rules: str) -> bool:
    """A lead-in may be long: a question that ends as the source does has only lost its opening."""
    return len(words(text)) >= 5 and words(rules)[-5:] == words(text)[-5:]
