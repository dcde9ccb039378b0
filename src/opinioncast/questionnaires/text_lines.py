"""What a line of a questionnaire in text is: a question, an instruction, who is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from opinioncast.questionnaires.found import Kind


@dataclass(frozen=True, slots=True)
class Line:
    """A line or paragraph.

    Attributes:
        where: place in the file ("line 12").
        text: without its list number.
        heading: it is a heading by its style or markup.
        label: what stands before it in bold or as Word's list number ("Q1", "1.", "a)").
        bulleted: a bullet, circle or box stands before it.
        named: the label is the question's name, whatever it looks like ("Education").
    """

    where: str
    text: str
    heading: bool = False
    label: str = ""
    bulleted: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of texts, lines within a cell kept.

    Attributes:
        merged: (row, column) of cells that belong to the one before or above them.
    """

    where: str
    rows: tuple[tuple[str, ...], ...]
    merged: frozenset[tuple[int, int]] = frozenset()


_ID = (
    r"(?:[Qq](?:uestion|\.)?\s*)?(?:[^\W\d_](?:[^\W\d]){0,14}[._-]?)?\d{1,4}[A-Za-z]{0,2}"
    r"(?:[._-]\w+)*"
)
_QUESTION = re.compile(
    rf"[\[(]?(?P<id>{_ID})[\])]?\s*(?P<if>[(\[](?:if|ask)\b[^)\]]*[)\]])?\s*"
    r"(?:[.):\]]+[-–—]?\s*|\s+[-–—]\s+|\s{2,}|\t\s*|\s+(?-i:(?=[^\W\d_a-zß-ÿ]|[¿¡\"“])))(?P<text>.*)",
    re.S | re.I,
)
_ALONE = re.compile(r"[Qq](?:uestion)?[\s._-]{0,2}\d{1,3}[A-Za-z]?[.:)]?")
_SAID = re.compile(
    r"(?:(?P<asked>q|question|frage|pregunta|domanda|vraag)|a|answers?|responses?|options?|choices"
    r"|antworten|réponses?|respuestas?|risposte?|antwoorden)\s*[:：]\s+(?P<text>\S.*)",
    re.I | re.S,
)
_CONDITION = re.compile(r"\s*[(\[](?:if|ask)\b[^)\]]*[)\]]", re.I)
_LETTERED = re.compile(r"[^\W\d_]")
_NAMED = re.compile(r"(?P<id>[A-Z][A-Z0-9_]{2,20})(?:\t+|\s{2,}|\s+[-–—]\s+)(?P<text>\S.*)", re.S)
_NUMBER = re.compile(r"(?P<id>\d{1,3})\s*[.)、．）]\s*(?P<text>\S.*)", re.S)

_ROUTING = re.compile(
    r"^[\W_]*(?:ask(?:ed)?\b.*\b(?:if|all|only|those|half|respondents?)|(?:programmer[^:]*:\s*)?"
    r"(?:show|display|ask)\s+if|if\b(?!.*\?)|base\s*[:=(]|filter\b\s*[:=]|"
    r"only\s+(?:if|ask)|universe\s*[:=]|(?:\w+\s+)?(?:form|split|half)\s+[ab12]\b)",
    re.I,
)
_DIRECTION = re.compile(
    r"^[\W_]*(?:page\s*break|new\s+(?:page|screen)|terminat|thank\s+(?:and|&)|screen\s*out|quota|"
    r"random|rotate|flip|shuffle|read\b(?!.*\?)|do\s+not\s+read|don'?t\s+read|programmer|program\b|"
    r"pn\b|interviewer|enumerator|int\s*:|note\s*(?:to|:)|probe|prompt\b|show\s*card|"
    r"spontaneous|single\b|multi|select\s+(?:one|all|only)\b.{0,40}$|"
    r"(?:check|mark|tick|choose|circle)\s+(?:one|all)\b.{0,40}$|record\b|code\s+|open[\s-]?end|"
    r"numeric|drop\s*-?down|slider|skip\s+to|go\s*to|end\s+(?:of\s+)?(?:survey|interview|block|section)|"
    r"scale\s*:|(?:response|answer)\s+(?:options|categories|scale|list)\b|options?\s*:|grid\b|insert\s+(?:image|logo)|required\b|force|ask\s+each|repeat\b)",
    re.I,
)
_HINTS = (
    (Kind.RANKING, re.compile(r"\brank(?:ing|ed)?\b|max\s*-?diff", re.I)),
    (Kind.POINTS, re.compile(r"constant\s+sum|sum\s+to\s+100|allocat", re.I)),
    (
        Kind.SEVERAL,
        re.compile(
            r"multi(?:ple)?[\s-]*(?:code|punch|response|answer|select|choice|mention)"
            r"|mehrfach(?:nennung|antwort|auswahl)|plusieurs\s+réponses|choix\s+multiple"
            r"|(?:respuesta|opción|selección)\s+múltiple|varias\s+respuestas|meerdere\s+antwoorden"
            r"|(?:select|check|mark|tick|code|choose|accept)\s+(?:all|multiple|as\s+many)"
            r"|all\s+that\s+apply|up\s+to\s+(?:two|three|four|five|\d)"
            r"|多选|多選|複数(?:回答|選択)|اختر كل",
            re.I,
        ),
    ),
    (Kind.OPEN, re.compile(r"open[\s-]*(?:end|text|response)|verbatim|text\s*(?:box|entry)", re.I)),
    (
        Kind.NUMBER,
        re.compile(r"\bnumeric\b|record\s+(?:number|age|year)|enter\s+(?:a\s+)?number", re.I),
    ),
    (Kind.SLIDER, re.compile(r"\bslider\b", re.I)),
    (Kind.DATE, re.compile(r"\b(?:date|dd/mm|mm/dd)\b", re.I)),
)
_STOP = re.compile(r"\b(?:terminate|screen\s*out|skip\s+to|go\s*to)\b", re.I)


def question_of(line: Line) -> tuple[str, str, str] | None:
    """Id, routing and wording of a line that starts a question and says so; None otherwise.

    "1. How are you?" says so not: it may be an option; :func:`numbered_of` reads it.
    """
    text = line.text.strip()
    if line.named:
        condition = _CONDITION.match(text)
        rest = text[condition.end() :].lstrip(" -–—:.") if condition else text
        return line.label, condition[0].strip("()[] ") if condition else "", rest
    if line.label:
        found = _QUESTION.fullmatch(f"{line.label.rstrip('.:) ')}. {text}")
        if found and _LETTERED.match(found["id"]) and len(found["id"]) > 1:
            return found["id"], (found["if"] or "").strip("()[] "), found["text"].strip()
    if _ALONE.fullmatch(text):
        return _plain_id(text.rstrip(".:) ")), "", ""
    found = _QUESTION.fullmatch(text)
    if found and _LETTERED.match(found["id"]):
        return _plain_id(found["id"]), (found["if"] or "").strip("()[] "), found["text"].strip()
    named = _NAMED.fullmatch(text)
    if named and any(c.islower() for c in named["text"]):
        return named["id"], "", named["text"].strip()
    return None


def _plain_id(text: str) -> str:
    return re.sub(r"(?i)^question\s*", "Q", re.sub(r"\s+", "", text.replace("Q.", "Q")))


def said_of(text: str) -> tuple[bool, str] | None:
    """Whether a line such as "Q: Too high?", "A: Yes / No" is asked, and what is said in it."""
    found = _SAID.fullmatch(text.strip())
    return (found["asked"] is not None, found["text"]) if found else None


def numbered_of(line: Line) -> tuple[str, str] | None:
    """Number and text of a line such as "1. How are you?", of either Word's number or typed."""
    if re.fullmatch(r"\(?\d{1,3}[.)]?", line.label):
        return line.label.strip("().") or line.label, line.text.strip()
    found = _NUMBER.fullmatch(line.text.strip())
    return (found["id"], found["text"].strip()) if found else None


_SHOUTED_END = re.compile(r"(?:[\s.]+(?:[A-Z][A-Z0-9/&,;:'’-]+(?:\s+|[.;:]\s*|$)){1,12})$")


def shouted_end(text: str) -> tuple[str, str]:
    """A wording, and the instructions in capitals behind it ("SINGLE CODE. ROTATE.")."""
    end = re.search(r"[?.!:؟？]\s", text)
    found = _SHOUTED_END.search(text)
    if end is None or found is None or found.start() < end.start():
        return text, ""
    said = found[0].strip(" .")
    first = re.split(r"[.;:]\s*", said)[0]
    if not (_DIRECTION.match(first) or kind_of(first)):
        return text, ""
    return text[: found.start() + 1].rstrip(), said


def instructed_start(text: str) -> tuple[list[str], list[str], str]:
    """Who is asked, instructions, and the wording: "ASK IF Q1=1. SINGLE CODE. How ...?".

    Only sentences in capitals are taken off, or the whole where it says who is asked.
    """
    routing: list[str] = []
    notes: list[str] = []
    while bracketed := re.match(r"\s*[\[(](?P<said>[^\])]+)[\])]\s*(?=\S)", text):
        if not is_routing(bracketed["said"]):
            break
        routing.append(bracketed["said"].strip())
        text = text[bracketed.end() :]
    while text:
        end = re.search(r"[.;]\s+|[.;]?$", text)
        first = text[: end.start()] if end else text
        whole = first == text.rstrip(" .;")
        if first.endswith(("?", "؟")):
            break
        if is_routing(first) and (whole or _shouted(first)):
            routing.append(first.strip("[](){} "))
        elif _shouted(first) and (is_direction(first) or kind_of(first)):
            notes.append(first.strip("[](){} "))
        else:
            break
        text = text[end.end() :] if end else ""
    return routing, notes, text


def is_routing(text: str) -> bool:
    """Whether a line says who is asked."""
    return bool(_ROUTING.match(text)) and (_bracketed(text) or _shouted(text) or len(text) < 90)


def is_direction(text: str) -> bool:
    """Whether a line is for interviewers or programmers."""
    if _bracketed(text) and not re.match(r"^\W*\d", text):
        return True
    return bool(_DIRECTION.match(text)) and not text.rstrip().endswith("?")


def kind_of(text: str) -> Kind | None:
    """How a question is answered, as instructions say it."""
    return next((kind for kind, pattern in _HINTS if pattern.search(text)), None)


def says_where_to_go(text: str) -> bool:
    """Whether a text ends the interview or leads to another question."""
    return bool(_STOP.search(text))


def _bracketed(text: str) -> bool:
    return bool(re.fullmatch(r"\s*(?:\[[^\[\]]*\]|\([^()]*\)|<[^<>]*>|\{[^{}]*\})[\s.]*", text))


def _shouted(text: str) -> bool:
    letters = [c for c in text if c.isalpha()]
    return sum(c.isupper() for c in letters) > 0.6 * max(len(letters), 1)
