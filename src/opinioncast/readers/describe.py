"""From a column's codes, the file's labels, the codebook and the conventions to a Variable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opinioncast.errors import DataError
from opinioncast.readers.codebook import Entry, crossed
from opinioncast.readers.conventions import Conventions
from opinioncast.readers.file_labels import FileLabels
from opinioncast.readers.labels import (
    Sort,
    clean_label,
    is_cut,
    missing_reason,
    reading,
    says_dont_know,
)
from opinioncast.readers.missing_answers import Decision, MissingRule, judge
from opinioncast.readers.raw import Range
from opinioncast.survey.question import MAX_OPTIONS
from opinioncast.survey.wave import TAGGED_BASE, Missing, Variable

_LOWEST_TAG = TAGGED_BASE - 26
_SHOWN = 8


@dataclass
class Flags:
    """What was noticed while reading: kind -> one line per variable; what labels decided."""

    found: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    decisions: list[Decision] = field(default_factory=list)

    def add(self, kind: str, variable: str, detail: str = "") -> None:
        self.found[kind].append(f"{variable} ({detail})" if detail else variable)

    def notes(self) -> list[str]:
        return [
            f"{kind}: {len(lines)} variable(s): {', '.join(lines[:_SHOWN])}"
            + (" ..." if len(lines) > _SHOWN else "")
            for kind, lines in self.found.items()
        ]


def describe(
    name: str,
    counts: Mapping[float, int],
    *,
    n_empty: int,
    label: str,
    value_labels: Mapping[float, str],
    declared: Sequence[Range],
    entry: Entry | None,
    wording: tuple[str, str],
    conventions: Conventions,
    flags: Flags,
    file: Callable[[], FileLabels],
    rule: MissingRule,
    strays: Mapping[float, str] | None = None,
) -> Variable:
    """What the codes of one numeric column mean.

    Args:
        counts: respondents per code that occurs, empty cells (``n_empty``) left out.
        value_labels, declared: of the file, uncleaned.
        wording: its source and the question as asked, from a wording file; empty if none.
        flags: receives what a person should know about the variable.
        file, rule: what the file's labels say together, and a person's word on missing answers.
        strays: codes given to texts that neither codebook nor labels list, with the texts.

    A code is, in this order: what the codebook says; missing, if the file declares it or the
    conventions do; missing or an answer by its label, as
    :mod:`opinioncast.readers.missing_answers` decides (each time noted in ``flags``); an option,
    if it has a label. What then remains are numbers without a label. Between labelled ends they
    are the points of a scale, and options by their number; more of them than labels, and the
    variable is a quantity (age with "89 or older"), which has no options; else they are no answer
    anybody can name: missing, unknown, and flagged; more of them than the rule's share of the
    answers, and the variable is undecided.
    """
    if is_cut(label) or any(map(is_cut, value_labels.values())):
        flags.add("label cut at 80 characters", name)
    texts = {c: clean_label(t, c) for c, t in value_labels.items() if t.strip()}
    question, source = (entry.question, entry.wording_source) if entry else ("", "")
    if not question and wording[1]:
        question, source = wording[1], f"verbatim: {wording[0]}"
    missing = _declared_missing(texts, counts, declared, conventions)
    undecided = ""
    if entry is not None and entry.codes is not None:
        for code, text in texts.items():  # the codebook lists the answers: the rest are none
            said = reading(text) if code not in missing else None
            if said is not None:
                missing[code] = said.reason
    else:
        judgement = judge(
            name,
            texts,
            counts,
            dict(missing) | _said_by(entry, missing),
            about=f"{label} {question}",
            file=file,
            rule=rule,
        )
        missing |= judgement.missing
        undecided = judgement.undecided
        flags.decisions += judgement.decisions
        if undecided:
            flags.add("missing answers not decided, no question until they are", name)
    options = {c: t for c, t in sorted(texts.items()) if c not in missing}
    if entry is None or entry.codes is None:
        options = _number_options(name, counts, options, missing, conventions, flags)
    ordinal = None
    if entry is not None:
        options, ordinal = _apply(entry, options, missing, counts, texts, conventions, flags)
        undecided = undecided or _crossed(entry, texts)
    if options:
        bare = [c for c in counts if c not in options and c not in missing]
        missing |= {c: conventions.reasons.get(c, Missing.UNKNOWN) for c in bare}
        bare = [c for c in bare if c not in conventions.reasons]
        if bare:
            detail = ", ".join(f"{c:g} x {counts[c]}" for c in bare[:5])
            flags.add("answers that no label or codebook explains, taken as missing", name, detail)
        told = {c: f"{c:g}" for c in bare} | dict(strays or {})
        undecided = undecided or _unexplained(name, counts, options, told, rule)
    if entry is not None and entry.n_unweighted is not None and options:
        n = sum(counts.get(c, 0) for c in options)
        if n != entry.n_unweighted:
            flags.add(
                "answers counted differ from the codebook", name, f"{n} for {entry.n_unweighted}"
            )
    system = conventions.system_missing
    if entry is not None and isinstance(entry.system_missing, Missing):
        system = entry.system_missing
    elif entry is not None and entry.system_missing not in (None, n_empty):
        flags.add(
            "empty cells counted differ from the codebook",
            name,
            f"{n_empty} for {entry.system_missing}",
        )
    return Variable(
        name=name,
        label=label or (entry.label if entry else ""),
        wording=question,
        codes=tuple(options),
        options=tuple(options.values()),
        ordinal=ordinal,
        missing=missing,
        system_missing=system,
        weight=entry.weight if entry else None,
        wording_source=source,
        undecided=undecided,
    )


def _crossed(entry: Entry, texts: Mapping[float, str]) -> str:
    """Why a codebook whose texts the file gives to other codes decides nothing; empty if not so."""
    if entry.relabel or not entry.codes or not entry.options:
        return ""
    found = crossed(entry.options, [texts.get(float(c), "") for c in entry.codes])
    if found is None:
        return ""
    return (
        f'the codebook says "{found[0]}" for a code that the file labels "{found[1]}", and the '
        "file has that text for another code; correct the codebook, or, if it is the file that is "
        f"wrong, say so ({entry.variable}: `relabel: true`)"
    )


def _unexplained(
    name: str,
    counts: Mapping[float, int],
    options: Mapping[float, str],
    strays: Mapping[float, str],
    rule: MissingRule,
) -> str:
    """Why a person has to decide on answers that nobody explains; empty where they are few."""
    lost = sum(counts.get(c, 0) for c in strays)
    kept = sum(counts.get(c, 0) for c in options)
    if not lost or lost / (lost + kept) <= rule.limit:
        return ""
    often = sorted(strays, key=lambda c: -counts.get(c, 0))[:3]
    shown = ", ".join(f'"{strays[c]:.30}" x {counts.get(c, 0)}' for c in often)
    return (
        f"{shown}{' ...' * (len(strays) > 3)}: {lost / (lost + kept):.1%} of the answers are none "
        f"that the file or the codebook explains, more than {rule.limit:.0%}; say in the codebook "
        f"what they are ({name}: `codes` and `options`, or `missing_codes`), or that so many may "
        f"be left out (`missing: {{limit: {min(1.0, lost / (lost + kept) + 0.01):.2f}}}` in the "
        "wave of the recipe)"
    )


def _said_by(entry: Entry | None, missing: Mapping[float, Missing]) -> dict[float, Missing | None]:
    """Codes a codebook without a list of answers decides: missing ones, and answers (None)."""
    if entry is None:
        return {}
    return {float(c): missing.get(float(c), Missing.UNKNOWN) for c in entry.missing_codes} | {
        float(c): None for c in entry.answers
    }


def _declared_missing(
    texts: Mapping[float, str],
    observed: Mapping[float, int],
    declared: Sequence[Range],
    conventions: Conventions,
) -> dict[float, Missing]:
    """Missing codes by the file and the conventions, labelled or observed."""
    missing: dict[float, Missing] = {}
    silent = not (declared or conventions.reasons or conventions.dont_know)
    codes = {*texts, *observed}
    if silent and not conventions.negative_missing and min(codes, default=0.0) > TAGGED_BASE:
        return missing  # nothing declares anything
    for code in sorted(codes):
        text = texts.get(code, "")
        is_declared = (
            _LOWEST_TAG <= code < TAGGED_BASE
            or any(low <= code <= high for low, high in declared)
            or (
                conventions.negative_missing
                and code < 0
                and (bool(text) or code in conventions.reasons)
            )
        )
        reason = missing_reason(text, declared=True) if text and is_declared else None
        if reason is None and code in conventions.dont_know and says_dont_know(text):
            reason = Missing.DONT_KNOW
        custom = conventions.reasons.get(code)
        if custom is not None and missing_reason(text, declared=False) is custom:
            reason = custom
        if reason is None and is_declared:
            reason = conventions.reasons.get(code, Missing.UNKNOWN)
        if reason is not None:
            missing[code] = reason
    return missing


def _number_options(
    name: str,
    observed: Mapping[float, int],
    options: dict[float, str],
    missing: Mapping[float, Missing],
    conventions: Conventions,
    flags: Flags,
) -> dict[float, str]:
    """Options with the unlabelled points of a scale among them, or none for a quantity."""
    bare = [c for c in observed if c not in options and c not in missing]
    if not options or not bare:
        return options
    low, high = min(options), max(options)
    bare = [c for c in bare if c < high or c not in conventions.reasons]
    between = [c for c in bare if low < c < high and c == int(c)]
    beyond = [c for c in bare if c not in between]
    if len(beyond) > len(options) or len(options) + len(between) > MAX_OPTIONS:
        flags.add("a quantity, with labels on some values only", name)
        return {}
    if between:
        flags.add("scale points without a label, kept as numbers", name)
        options = dict(sorted({**options, **{c: f"{c:g}" for c in between}}.items()))
    return options


def _apply(
    entry: Entry,
    options: dict[float, str],
    missing: dict[float, Missing],
    observed: Mapping[float, int],
    texts: Mapping[float, str],
    conventions: Conventions,
    flags: Flags,
) -> tuple[dict[float, str], tuple[float, ...] | None]:
    """Let the codebook override options and (in place) missing codes; return options and scale."""
    name = entry.variable
    for code in map(float, entry.answers):
        if missing.pop(code, None) is not None and code in texts:
            options[code] = texts[code]
    for raw, text in entry.missing_codes.items():
        code = float(raw)
        reason = missing_reason(text, declared=True) if text else missing.get(code)
        if reason is None and code in texts:
            reason = missing_reason(texts[code], declared=True)
        if reason is None and code in conventions.reasons:
            reason = conventions.reasons[code]
        if reason is None and code in options:
            flags.add("called missing by the codebook, labelled like an answer", name, f"{code:g}")
        missing[code] = reason or Missing.UNKNOWN
    if entry.codes is None:
        return {c: options[c] for c in sorted(options) if c not in entry.missing_codes}, None
    codes = [float(c) for c in entry.codes]
    for code in codes:
        if code not in entry.missing_codes:
            missing.pop(code, None)
    if entry.options is None:
        unnamed = [c for c in codes if c not in texts]
        if unnamed:
            raise DataError(
                "A codebook gives codes without options and the file has no labels for them",
                where=f"variable {name}",
                expected="options in the codebook, one per code",
                found=unnamed,
            )
        chosen = {c: texts[c] for c in codes}
    else:
        chosen = dict(zip(codes, entry.options, strict=True))
    gone = [
        f'{c:g} "{t}" x {observed.get(c, 0)}'
        for c, t in chosen.items()
        if observed.get(c) and (said := reading(t)) is not None and said.sort is not Sort.OFFERED
        if said.sort is not Sort.DONT_KNOW or said.volunteered
    ]
    if gone:
        flags.add(
            "answers by the codebook that read like missing ones, kept as it says (else list them "
            "under `missing_codes`)",
            name,
            ", ".join(gone[:4]),
        )
    never = [c for c in codes if c not in observed]
    if never:
        flags.add("codebook options that nobody chose", name, ", ".join(f"{c:g}" for c in never))
    return chosen, entry.ordinal
