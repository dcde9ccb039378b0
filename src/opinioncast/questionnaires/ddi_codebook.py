"""DDI-Codebook files (.xml) of archives: wordings, categories, groups of variables, frequencies.

Frequencies are what people answered: they become ``observed`` of everyone asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from opinioncast.questionnaires.assembly import assembled
from opinioncast.questionnaires.declaration import Head, Instrument, InstrumentFormat
from opinioncast.questionnaires.found import Choice, Found, Item, Kind
from opinioncast.questionnaires.limits import root_name, xml_root
from opinioncast.questionnaires.wording import plain
from opinioncast.questionnaires.xml_elements import (
    attribute,
    child,
    children,
    descendants,
    line_of,
    text_of,
)
from opinioncast.texts import whole_number

_YES = re.compile(
    r"(?:1|yes|ja|oui|sí|si|sim|mentioned|selected|checked|quoted|chosen|genannt|ausgewählt|"
    r"angekreuzt|mencionado|cité)",
    re.I,
)
_NO = re.compile(
    r"(?:0|2|no|nein|non|não|not\s.*|un(?:checked|selected)|nicht\s.*|keine? nennung|non cité|"
    r"no mencionado)",
    re.I,
)
_SHARED_STEM = 2  # neighbours with one text before them are a battery


@dataclass(frozen=True)
class _Variable:
    """A variable as a question by itself, and the stem before it."""

    key: str
    found: Found
    stem: str


def read(path: Path, content: bytes) -> Instrument:
    """The questions of a codebook.

    Raises:
        InputError: no DDI-Codebook, or no closed question in it.
    """
    root, mended = xml_root(path, content, "a DDI-Codebook file")
    study = child(root, "stdyDscr")
    variables = [_variable(v) for v in descendants(root, "var")]
    groups = _groups(root)
    language = attribute(root, "lang")
    found = _with_batteries(variables, groups)
    return assembled(path, "DDI-Codebook", found, _head(study, language), mended)


def _head(study: Any, language: str) -> Head:
    if study is None:
        return Head(language=language)
    title = text_of(child(study, "citation", "titlStmt", "titl"))
    summary = child(study, "stdyInfo", "sumDscr")
    universe = text_of(child(summary, "universe")) if summary is not None else ""
    nation = text_of(child(summary, "nation")) if summary is not None else ""
    if not universe and nation:
        universe = f"people in {nation}"
    return Head(title=plain(title), language=language, population=plain(universe) or None)


def _groups(root: Any) -> dict[str, tuple[str, str]]:
    """Variable -> kind and stem of the group it is in."""
    made: dict[str, tuple[str, str]] = {}
    for group in descendants(root, "varGrp"):
        kind = attribute(group, "type")
        stem = next(
            (t for n in ("txt", "labl", "defntn") if (t := plain(text_of(child(group, n))))), ""
        )
        if kind in ("grid", "multipleResp"):
            made |= dict.fromkeys(attribute(group, "var").split(), (kind, stem))
    return made


def _variable(element: Any) -> _Variable:
    name = attribute(element, "name") or attribute(element, "ID")
    question = child(element, "qstn")
    label = plain(text_of(child(element, "labl")))
    literal = pre = note = domain = ""
    if question is not None:
        inner = ("qstnLit", "preQTxt", "postQTxt", "ivuInstr", "forward", "backward")
        literal = plain(text_of(child(question, "qstnLit"))) or plain(
            text_of(question, without=inner)
        )
        pre = plain(text_of(child(question, "preQTxt")))
        note = plain(text_of(child(question, "ivuInstr")))
        domain = attribute(question, "responseDomainType")
    choices, observed = _categories(element)
    found = Found(
        where=f"{line_of(element)}, variable {attribute(element, 'ID') or name}",
        id=name,
        text=literal or label,
        kind=_kind(element, domain, choices),
        choices=choices,
        routing=plain(text_of(child(element, "universe"))),
        note=note,
        observed=observed,
        remarks=tuple(
            filter(
                None,
                (
                    "" if literal or not label else "no wording in the file: its label is taken",
                    _unused(element, choices, observed),
                ),
            )
        ),
    )
    return _Variable(attribute(element, "ID"), found, pre)


def _kind(element: Any, domain: str, choices: tuple[Choice, ...]) -> Kind:
    format_of = child(element, "varFormat")
    text = format_of is not None and attribute(format_of, "type") == "character"
    if domain == "numeric" or (not choices and attribute(element, "intrvl") == "contin"):
        return Kind.NUMBER
    if choices and domain != "text":
        return Kind.SINGLE
    if domain == "datetime":
        return Kind.DATE
    return Kind.OPEN if text or domain == "text" else Kind.NUMBER


def _categories(element: Any) -> tuple[tuple[Choice, ...], Mapping[str, Any]]:
    """The valid categories, and what shares of those who gave one chose each."""
    missing = _missing(element)
    choices: list[Choice] = []
    counts: dict[str, list[float | None]] = {"freq": [], "weighted": [], "percent": []}
    for category in children(element, "catgry"):
        code = text_of(child(category, "catValu"))
        text = plain(text_of(child(category, "labl"))) or plain(text_of(child(category, "txt")))
        if attribute(category, "missing").casefold() in ("y", "yes", "true") or code in missing:
            continue
        choices.append(Choice(text, code))
        stats = {k: _statistic(category, k) for k in counts}
        for kind, values in counts.items():
            values.append(stats[kind])
    return tuple(choices), _observed(counts)


def _statistic(category: Any, wanted: str) -> float | None:
    for stat in children(category, "catStat"):
        weighted = attribute(stat, "wgtd") == "wgtd"
        kind = attribute(stat, "type")
        if wanted == ("weighted" if kind == "freq" and weighted else kind):
            try:
                return float(text_of(stat).replace(",", ""))
            except ValueError:
                return None
    return None


def _observed(counts: Mapping[str, list[float | None]]) -> Mapping[str, Any]:
    """Shares of all who gave a valid answer; weighted where the file has that."""

    def whole(values: list[float | None]) -> list[float] | None:
        kept = [v for v in values if v is not None and v >= 0]
        return kept if kept and len(kept) == len(values) and 0 < sum(kept) < math.inf else None

    plain_counts = whole(counts["freq"])
    shown = whole(counts["weighted"]) or plain_counts or whole(counts["percent"])
    if shown is None or len(shown) < 2:
        return {}
    made: dict[str, Any] = {"shares": [round(v / sum(shown), 6) for v in shown]}
    if plain_counts is not None:
        made["n"] = round(sum(plain_counts))
    return {"TOTAL": made}


def _unused(element: Any, choices: Sequence[Choice], observed: Mapping[str, Any]) -> str:
    """Says that there are frequencies which are no shares; "" where they are used or not there."""
    if observed or len(choices) < 2 or next(descendants(element, "catStat"), None) is None:
        return ""
    return "its frequencies aren't used: they are not one number from 0 for each category"


def _missing(element: Any) -> set[str]:
    """Codes that the file declares missing, whole numbers of ranges too."""
    codes: set[str] = set()
    for declared in children(element, "invalrng"):
        codes |= {attribute(i, "VALUE") for i in children(declared, "item")}
        for each in children(declared, "range"):
            low, high = (whole_number(attribute(each, end)) for end in ("min", "max"))
            if low is not None and high is not None and high - low < 1000:
                codes |= {str(n) for n in range(low, high + 1)}
    return codes


def _with_batteries(
    variables: list[_Variable], groups: Mapping[str, tuple[str, str]]
) -> Iterator[Found]:
    """Variables in order; neighbours of one group, or with one stem, as a battery."""

    def together(variable: _Variable) -> tuple[str, ...]:
        group = groups.get(variable.key)
        if group is not None:
            return ("group", *group)
        return ("stem", variable.stem) if variable.stem else ("alone", variable.key)

    for key, members in groupby(variables, together):
        run = list(members)
        several = key[:2] == ("group", "multipleResp")
        stem = key[-1] if key[0] == "group" and key[-1] else run[0].stem
        if key[0] == "alone" or (key[0] == "stem" and len(run) < _SHARED_STEM):
            for one in run:
                words = " ".join(filter(None, (one.stem, one.found.text)))
                yield replace(one.found, text=words)
            continue
        yield from _batteries(stem, run, several)


def _batteries(stem: str, run: list[_Variable], several: bool) -> Iterator[Found]:
    """A battery for each set of options that neighbours share; what is not closed by itself."""
    made = [(v, _yes_no(v.found) if several else v.found) for v in run]
    for (kind, choices), members in groupby(made, lambda m: (m[1].kind, m[1].choices)):
        listed = list(members)
        first = listed[0][1]
        if kind is not Kind.SINGLE or any(f.text == stem for _, f in listed):
            yield from (replace(f, text=f.text or stem) for _, f in listed)
            continue
        ids = dict.fromkeys((first.id, listed[-1][1].id))
        yield replace(
            first,
            id=" to ".join(ids),
            text=stem,
            choices=choices,
            observed={},
            of_select_all=several,
            items=tuple(
                Item(f.text, id=f.id, where=f.where, observed=f.observed) for _, f in listed
            ),
        )


def _yes_no(found: Found) -> Found:
    """A variable of a select-all question with "Yes" and "No", where its categories say which."""
    if len(found.choices) != 2:
        return found
    yes = [bool(_YES.fullmatch(c.text or c.code)) for c in found.choices]
    no = [bool(_NO.fullmatch(c.text or c.code)) for c in found.choices]
    if yes[0] and no[1]:
        words = ("Yes", "No")
    elif no[0] and yes[1]:
        words = ("No", "Yes")
    else:
        return found
    pairs = zip(words, found.choices, strict=True)
    return replace(found, choices=tuple(Choice(w, c.code) for w, c in pairs))


FORMAT = InstrumentFormat(
    name="ddi",
    help="A DDI-Codebook of an archive (.xml); its frequencies are observed shares.",
    endings=(".xml",),
    read=read,
    recognises=lambda content: root_name(content) == "codebook",
    order=70,
)
