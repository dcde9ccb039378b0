"""What a line of a questionnaire in text is: a question, an option, an instruction, a heading."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

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

_BULLET = re.compile(
    r"^\s*(?:[•·▪▫◦‣○◯●◉⃝❍□☐▢❑❏☑☒◻⚪]|\[[\sxX_]{0,3}\]|\([\sxX_]{0,3}\)|[*–—-](?=\s)|_{1,3}(?=\s))"
    r"\s*(?P<text>\S.*)$",
    re.S,
)
_BOX = re.compile(r"[□☐▢○◯●◉❍❑❏☑☒◻⚪]|\[[\sxX_]{0,3}\]|\([\sxX_]{0,3}\)")
_LETTER = "[A-Za-zͰ-ϿЀ-ӿא-תء-يऄ-ह]"
"""Of a list: Chinese and Japanese words may be one sign long."""
_CODED = re.compile(
    rf"^\s*(?:[\[(]\s*(?P<a>-?\d{{1,4}}|{_LETTER})\s*[\])]"
    rf"|(?P<b>-?\d{{1,4}}|{_LETTER})\s*[.)\]、．）]"
    r"|(?P<c>-?\d{1,4})\s*[:=]|(?P<d>-?\d{1,4})\s+[-–—=]\s(?!\s*\d)|(?P<e>-?\d{1,4})(?:\t|\s{2,}))"
    r"\s*(?P<text>\S.*)$",
    re.S,
)
_SPACED = re.compile(r"^\s*(?P<code>-?\d{1,3})\s+(?P<text>[^\W\d].*)$", re.S)
_TRAILING = re.compile(
    r"^\s*(?P<text>(?:\([^()\d]*\)\s*)?(?:[^\W_]|(?<=\))).*?)"
    r"\s*(?:\.{3,}|…+|_{2,}|\t+|\s{3,}|(?<=\))\s+(?=\d+\s*$)|\s*(?=\(\d|\[\d))\s*"
    r"[\[(]?(?P<code>-?\d{1,4})[\])]?\s*$",
    re.S,
)
_INLINE = re.compile(
    r"(?:^|(?<=[\s,;/|]))(?:[\[(](?P<a>-?\d{1,4})[\])]|(?P<b>\d{1,4})[.)=])\s*"
    r"(?P<text>[^\s\d(\[].*?)(?=[\s,;/|]+(?:[\[(]-?\d{1,4}[\])]|\d{1,4}[.)=]\s*\D)|$)",
    re.S,
)

_TABBED = re.compile(
    r"\s*[\[(]?(?P<a>\d{1,4})[\]).:=]*\s+(?P<b>\S.*)|(?P<c>\S.*?)\s*[\[(]?(?P<d>\d{1,4})[\])]?\s*"
)
_BEHIND = re.compile(r"\s*[\[(](-?\d{1,4})[\])][\s,;/|]*")

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


def options_of(line: Line, expected: int | None) -> list[tuple[str, str]] | None:
    """(code, text) of each option on a line, None where it holds none.

    Args:
        expected: code that would come next, which tells "1 Yes" from "2 or more".
    """
    text = line.text.strip()
    inline = [((m["a"] or m["b"]), m["text"].strip(" ,;/|\t")) for m in _INLINE.finditer(text)]
    if len(inline) > 1 and _INLINE.match(text) and _rising([c for c, _ in inline]):
        return inline
    if (apart := _apart(text)) or (apart := _codes_behind(text)):
        return apart
    if boxed := boxed_of(text):
        return [("", words) for words in boxed]
    if re.fullmatch(r"\d{1,2}(?:\s+\d{1,2}){2,}", text):
        points = [int(n) for n in text.split()]
        if all(b == a + 1 for a, b in pairwise(points)):
            return [(str(n), str(n)) for n in points]
    if (
        line.label
        and not line.named
        and re.fullmatch(r"[\[(]?(?:\d{1,4}|[A-Za-z])[\].):]*", line.label)
    ):
        return [(line.label.strip("[]().:"), text)]
    coded = _CODED.match(text)
    if coded and not re.fullmatch(r"[^\W\d_]\.?\s*[^\W\d_]\.", text):  # "k. A." is no answer "k"
        code = next(coded[k] for k in "abcde" if coded[k])
        return [(code, coded["text"].strip())]
    spaced = _SPACED.match(text)
    if spaced and expected is not None and _follows(int(spaced["code"]), expected):
        return [(spaced["code"], spaced["text"].strip())]
    bullet = _BULLET.match(text)
    body = bullet["text"] if bullet else text
    trailing = _TRAILING.match(body)
    if trailing and not body.rstrip().endswith("?") and "?" not in trailing["text"]:
        return [(trailing["code"], trailing["text"].strip())]
    if bullet or line.bulleted:
        return [("", body.strip())]
    return None


_GOING = re.compile(
    r"\s*(?:[-–—→>»]+\s*|\.{2,}\s*)?[\[(]?\b(?:TERMINATE|SKIP\s+TO|GO\s*TO|CONTINUE|THANK\s+AND)\b.*$",
    re.S,
)
_ARROW = re.compile(r"\s*(?:→|➔|=>|->|>>)\s*(?:[A-Z]{1,4}[._-]?\d+\w*|END)\W*$")
_SHOUTED_END = re.compile(r"(?:[\s.]+(?:[A-Z][A-Z0-9/&,;:'’-]+(?:\s+|[.;:]\s*|$)){1,12})$")


def going_of(text: str) -> tuple[str, str]:
    """An option, and where it leads to ("GO TO Q5")."""
    found = _GOING.search(text) or _ARROW.search(text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    return text[: found.start()].rstrip(), found[0].strip(" -–—→>»[]().")


def noted_end(text: str) -> tuple[str, str]:
    """An option, and the instruction in brackets behind it ("None 97 [EXCLUSIVE]")."""
    found = re.search(r"\s*\[(?P<said>[^\]\d][^\]]*)\]\s*$", text)
    if found is None or not text[: found.start()].strip():
        return text, ""
    return text[: found.start()], found["said"].strip()


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


def coded_behind(lines: list[str]) -> list[tuple[str, str]]:
    """Code and text of lines that all end in a number, counted from 0 or 1; else as they are."""
    found = [re.fullmatch(r"(?P<text>.*[^\d\s,.–—-])\s+(?P<code>\d{1,3})", t) for t in lines]
    made = [(m["code"], m["text"]) for m in found if m]
    codes = [int(c) for c, _ in made]
    counted = all(_follows(b, a + 1) or b in (7, 8, 9) for a, b in pairwise(codes))
    if len(made) == len(lines) and codes[0] in (0, 1) and counted and _rising([c for c, _ in made]):
        return made
    return [("", t) for t in lines]


def _apart(text: str) -> list[tuple[str, str]] | None:
    """Options between tabs, each with its code: "Yes 1", "No 2"."""
    parts = [p.strip() for p in re.split(r"\t+", text) if p.strip()]
    found = [_TABBED.fullmatch(p) for p in parts] if len(parts) > 1 else []
    if not found or not all(found):
        return None
    made = [(m["a"] or m["d"], (m["b"] or m["c"]).strip()) for m in found if m]
    return made if _rising([c for c, _ in made]) else None


def _codes_behind(text: str) -> list[tuple[str, str]] | None:
    """Options on one line with their codes behind them: "Yes (1) No (2)"."""
    words = _BEHIND.split(text)  # words, code, words, code, ..., what is behind the last code
    texts, codes = words[:-1:2], words[1::2]
    if len(codes) < 2 or words[-1] or any(not t or re.search(r"[\d()\[\]]", t) for t in texts):
        return None
    made = [(c, t.strip()) for c, t in zip(codes, texts, strict=True)]
    return made if _rising([c for c, _ in made]) else None


def boxed_of(text: str) -> list[str]:
    """Options on one line with a box before or behind each: "☐ Yes ☐ No"; none where it is not."""
    parts = [p.strip(" \t,;/|") for p in _BOX.split(text.strip())]
    if len(parts) < 3 or (parts[0] and parts[-1]):
        return []
    options = parts[:-1] if parts[0] else parts[1:]
    return options if all(re.search(r"\w", o) and "?" not in o for o in options) else []


def is_plain_option(text: str) -> bool:
    """Whether a line without a mark is as short as an option and no sentence."""
    words = text.strip()
    return (
        0 < len(words) <= 70
        and len(words.split()) <= 9
        and not words.endswith((".", "!", "?", ":", ";", "؟", "？", "。", ","))
    )


def split_inline(text: str) -> tuple[str, list[tuple[str, str]]]:
    """A wording and the options that stand on its line: "Too high? 1. Yes 2. No"."""
    asked = re.search(r"[?:؟？]\s+(?=\S)", text)
    if asked is not None and (boxed := boxed_of(text[asked.end() :])):
        return text[: asked.start() + 1], [("", words) for words in boxed]
    tabbed = re.search(r"[?:؟？]\s*\t", text)
    if tabbed is not None:
        parts = [p.strip() for p in re.split(r"\t+", text[tabbed.end() :]) if p.strip()]
        coded = _apart(text[tabbed.end() :])
        if coded or (len(parts) > 1 and all(map(is_plain_option, parts))):
            return text[: tabbed.start() + 1], coded or [("", p) for p in parts]
    lettered = re.search(r"[?:؟？]\s*(?=[Aa][.)、．]\s*\S)", text)
    if lettered is not None:
        parts = re.split(r"(?:^|\s+)([A-Za-z])[.)、．]\s*", text[lettered.end() :])[1:]
        codes, words = parts[::2], [w.strip(" ,;/|") for w in parts[1::2]]
        if len(codes) > 1 and all(words) and all(ord(b) == ord(a) + 1 for a, b in pairwise(codes)):
            return text[: lettered.start() + 1], list(zip(codes, words, strict=True))
    found = re.search(r"[?:؟？]\s+(?=[\[(]?\d{1,3}[\])]?[.)=\]\s])", text)
    if found is None:
        return text, []
    rest = text[found.end() :]
    inline = [((m["a"] or m["b"]), m["text"].strip(" ,;/|\t")) for m in _INLINE.finditer(rest)]
    if len(inline) < 2 or not _INLINE.match(rest) or not _rising([c for c, _ in inline]):
        return text, []
    return text[: found.start() + 1], inline


def _follows(code: int, expected: int) -> bool:
    return code == expected or code in (77, 88, *range(90, 100), 777, 888, *range(990, 1000))


def _rising(codes: list[str]) -> bool:
    numbers = [int(c) for c in codes]
    return all(b > a for a, b in pairwise(numbers))


def slashed_of(text: str) -> list[str] | None:
    """Short options on one line, split by slashes, bars or semicolons: "Yes / No / Not sure"."""
    for split, least in ((r"\s+/\s+", 2), (r"\s*\|\s*", 2), (r"\s*;\s*", 2), (r"\s+[–—•·]\s+", 3)):
        parts = [p.strip() for p in re.split(split, text.strip()) if p.strip()]
        if least <= len(parts) <= 12 and all(len(p.split()) <= 6 and "?" not in p for p in parts):
            return parts
    return None


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
