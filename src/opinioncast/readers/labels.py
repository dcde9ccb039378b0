"""What a value label says: an option's text, or the reason an answer is missing.

Labels come as institutions write them ("-9. Refused", "1. Very likely", "Inapplicable (.i)",
"SKIPPED ON WEB", "Don´t know", "Weiß nicht"). Two readings of a label are kept apart: a code the
file *declares* missing may be read loosely; a code it does not declare can be missing only when
its whole label says so, and even then some labels ("Refused", "Restricted", "Skipped") are answers
to some questions: :mod:`opinioncast.readers.missing_answers` looks at the whole variable and file.
"Should be allowed to refuse services" and "Not asked to show an ID" stay answers.
"""

from __future__ import annotations

import contextlib
import html
import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, lru_cache
from importlib import resources

from opinioncast.documents import parse_yaml
from opinioncast.survey.wave import Missing

CUT_AT = 80
"""Stata cuts variable labels here, and converters cut value labels with them."""


class Sort(StrEnum):
    """How surely a whole label says that an answer is missing."""

    CERTAIN = "certain"
    """No respondent can have meant it: "Not stated", "Prefer not to say", "Inapplicable"."""
    DOUBTFUL = "doubtful"
    """An answer to some questions: "Refused", "Restricted", "Not available", "Skipped"."""
    DONT_KNOW = "don't know"
    """Volunteered or offered: "Don't know", "Weiß nicht"."""
    OFFERED = "offered"
    """A "don't know" that questionnaires usually offer: "Not sure", "No opinion"."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A label as a reason.

    Attributes:
        volunteered: the label itself says that it was not read out ("[DNR]", "(VOL.)", "DK").
    """

    reason: Missing
    sort: Sort
    volunteered: bool = False


_PREFIX = re.compile(
    r"\s*(?:\[(?P<boxed>-?\d+)\]\s*|\(?(?P<code>-?\d+)\)?\s*"
    r"(?:[.):]\s+|[.):](?=\D)|\s[-–=]\s+(?=\D)))(?P<text>.*)"
)
_BARE_PREFIX = re.compile(r"(?P<code>-?\d+) (?P<text>\D.*)")
_MARKUP = re.compile(r"</?(?:b|i|u|em|strong|span|font|p|div|br)(?:\s[^<>]*)?/?>", re.IGNORECASE)
_TAG = re.compile(r"\s*\(\.[a-z]\)\s*$")
_MARK_FIRST = re.compile(
    r"[\[({]?\s*(?:vol\b\.?|volunteered|dnr|do not read(?: out| aloud)?|don't read(?: out)?"
    r"|not read(?: out)?|unprompted|spontaneous|spont\b\.?|nicht vorlesen|no leer|ne pas lire"
    r"|nao ler|non leggere)\s*[\])}]?\s*[:.–-]?\s+(?=\S)"
)
_VOLUNTEERED = re.compile(
    r"\s*[\[({]?\s*\b(?:vol\b\.?|volunteered|dnr|do not read(?: out| aloud)?|don't read(?: out)?"
    r"|not read(?: out)?|unprompted|spontaneous(?:ly)?|spont\b\.?|spontane|spontan|espontanea?"
    r"|spontaneo|nicht vorlesen|no leer|ne pas lire|nao ler|non leggere|niet voorlezen"
    r"|nie czytac)\b[^\])}]*[\])}]?\s*$"
)

_DK = r"(?:i )?(?:don'?t (?:k?now|no)|do not know|does not know|doesn'?t know|dk)"
_RF = r"(?:refused|refusal|refuse|ref|rf)"
_NA = r"(?:no answer|no response|not stated|na|nr)"
_NOT_IN_WAVE = (
    r"(?:not asked, )?unit non-?response.*|no post-?election (?:interview|data).*"
    r"|deleted due to (?:partial|incomplete).*|not in (?:this )?(?:wave|panel).*"
    r"|not available (?:in )?this year"
)

# In this order: the first that fits wins. "dk/rf" before either of its halves; "not asked, unit
# nonresponse" before "not asked"; "legitimate skip" before "skip".
_WHOLE_LABEL = [
    (
        Missing.NO_ANSWER,
        Sort.CERTAIN,
        rf"(?:{_DK}\s*(?:/|,|or)\s*(?:{_RF}|{_NA})|(?:{_RF}|{_NA})\s*(?:/|,|or)\s*{_DK})(?:\s*\(.*)?"
        rf"|{_RF}\s*(?:/|,|or)\s*{_NA}|{_NA}\s*(?:/|,|or)\s*{_RF}|dk/?(?:na|nr)/?rf",
    ),
    (
        Missing.REFUSED,
        Sort.CERTAIN,
        r"(?:respondent |r )?(?:refuse[sd]?|decline[sd]?) to (?:answer|say|state|respond)"
        r"(?:\W.*)?"
        r"|(?:i(?:'d| would)? )?(?:would )?(?:prefer|rather|choose|wish|want|like)s? not "
        r"(?:to )?(?:say|answer|state|disclose|respond|tell)(?: .*)?"
        r"|(?:does|do|did) ?n[o']?t (?:want|wish) to (?:answer|say|respond)|no comment",
    ),
    (
        Missing.REFUSED,
        Sort.CERTAIN,
        r"(?:prefir[oe]|prefere) nao (?:dizer|responder|informar|declarar|revelar)"
        r"|prefier[oe] no (?:decir(?:lo)?|responder|contestar|revelar(?:lo)?|indicar(?:lo)?)"
        r"|(?:je )?prefere ne pas (?:le )?(?:dire|repondre|me prononcer|se prononcer|preciser)"
        r"|(?:je )?ne (?:souhaite|veu[xt]|desire) pas (?:le |y )?(?:dire|repondre|preciser"
        r"|[ms]e prononcer)"
        r"|preferis(?:co|ce) non (?:dir(?:e|lo)|risponder(?:e|vi)|indicar(?:e|lo)|specificare)"
        r"|non (?:vuole|voglio|intend[oe]) (?:risponder(?:e|vi)|dir(?:e|lo))"
        r"|(?:ich )?(?:mochte|will|mag)(?: ich)?(?: (?:es|das|dies|dazu|hierzu|darauf))?"
        r"(?: lieber)? (?:nicht (?:sagen|antworten|angeben|beantworten)"
        r"|keine (?:angaben?|aussage) machen)"
        r"|wole nie (?:mowic|odpowiadac|podawac)|odmawiam(?: odpowiedzi)?"
        r"|nie chce (?:odpowiadac|odpowiedziec|mowic|podac)"
        r"|wil(?: ik)?(?: (?:het|dat))?(?: liever)? niet (?:zeggen|beantwoorden)"
        r"|zegt?(?: ik)?(?: (?:het|dat))? liever niet"
        r"|(?:foredrar|foretrekker|foretraekker) (?:att |a |at )?(?:inte|ikke) svar[ae]",
    ),
    (Missing.REFUSED, Sort.DOUBTFUL, rf"(?:refused|refusal)(?:\s*[(/].*)?|{_RF}"),
    (
        Missing.NOT_IN_WAVE,
        Sort.CERTAIN,
        _NOT_IN_WAVE + r"|no (?:follow-?up|recontact)(?: interview)?|not included in .*",
    ),
    (
        Missing.NOT_ASKED,
        Sort.CERTAIN,
        r"inap(?:plicable)?(?:\W.*)?|iap|nap(?:\W.*)?"
        r"|(?:question )?not asked(?:[:;,(].*| of .*| in (?:this |the )?(?:form|ballot|split|survey"
        r"|country|wave|sample|version).*)?"
        r"|legit\w* skip|valid skip|logical skip|skip pattern|n/?a: .*"
        r"|(?:interview )?break-?off(?:\W.*)?|not in (?:form|version|split|ballot).*",
    ),
    (Missing.NOT_ASKED, Sort.CERTAIN, r"not applicable\s*[:;,(].*"),
    (Missing.NOT_ASKED, Sort.DOUBTFUL, r"not applicable|n/a|n\.a"),
    (
        Missing.NO_ANSWER,
        Sort.CERTAIN,
        r"no answer(?: given)?(?:\s*\(.*)?|(?:question )?not answered|not ascertained|not stated"
        r"|not reported|skip(?:ped)? on (?:the )?web|web blank|left blank|item non-?response"
        r"|asked,? but not answered|no valid answer|did not answer|unanswered",
    ),
    (
        Missing.NO_ANSWER,
        Sort.DOUBTFUL,
        r"no response|no reply|blank|skipped|non-?response|na",
    ),
    (
        Missing.UNKNOWN,
        Sort.CERTAIN,
        r"missing (?:data|values?|answers?)|missing\s*[;:,/(-].*|other missing"
        r"|(?:user|system) missing|sysmis|(?:technical |tecnical )error|data deleted"
        r"|uncodeable|not codeable"
        r"|(?:invalid|unusable) (?:answer|response|data)|not available[;:,(].*|restricted access.*",
    ),
    (
        Missing.UNKNOWN,
        Sort.DOUBTFUL,
        r"missing|error|unknown|redacted|suppressed|restricted(?:\W.*)?|not available(?:\W.*)?",
    ),
]
# "I do not know anyone with it" says what somebody knows
_KNOWN = r"(?!\s+(?:(?:any|some)(?:one|body)?\b|him\b|her\b|them\b|many\b|people\b|a\b))"
_DONT_KNOW_WHOLE = rf"{_DK}{_KNOWN}(?:\W.*)?|can'?t (?:say|choose)|cannot (?:say|choose)"
_OFFERED_WHOLE = r"not sure|unsure|no opinion|don'?t recognize.*"
_SOMEWHERE = [
    (Missing.NO_ANSWER, rf"\b{_DK}\s*(?:/|or)\s*{_RF}\b|\b{_RF}\s*(?:/|or)\s*{_DK}\b"),
    (Missing.REFUSED, r"\b(?:refused|refusal|ref|rf)\b|prefer not to (?:say|answer)"),
    (Missing.NOT_IN_WAVE, rf"(?:{_NOT_IN_WAVE})|not in wave"),
    (
        Missing.NOT_ASKED,
        r"\binap|\biap\b|not asked|(?:legit\w*|valid|logical) skip|skip pattern|not applicable"
        r"|^n/?a:|break-?off|does not apply",
    ),
    (
        Missing.DONT_KNOW,
        rf"\b{_DK}\b|not sure|unsure|(?:can'?t|cannot) (?:say|choose)|no opinion|recogni[sz]e"
        r"|heard of|thought much",
    ),
    (
        Missing.NO_ANSWER,
        r"no answer|no response|not answered|not stated|\bskip|blank|not ascertained",
    ),
]
_WHOLE = [(reason, sort, re.compile(pattern)) for reason, sort, pattern in _WHOLE_LABEL]
_DECLARED = [(reason, re.compile(pattern)) for reason, pattern in _SOMEWHERE]
_DONT_KNOW = re.compile(_DONT_KNOW_WHOLE)
_OFFERED = re.compile(_OFFERED_WHOLE)
_PARTS = re.compile(r"\s*[/,;|]\s*|\s+-\s+|\s+(?:or|oder|ou|o)\s+")
_BARE_DK = re.compile(r"d\.?k\.?")

_APOSTROPHES = re.compile(r"â€™|â€˜|Â´|[’‘´`ʼʹ′＇\u0091\u0092\ufffd]")
_LETTERS = str.maketrans({"ß": "ss", "ı": "i", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d"})


@lru_cache(maxsize=10_000)
def folded(text: str) -> str:
    """A label for comparison: no case, accents or outer punctuation, one apostrophe.

    Text that was UTF-8 and read as Windows-1252 ("WeiÃŸ", "â€™") is put right first.
    """
    if any(mark in text for mark in "ÃÂâÐÑ"):
        with contextlib.suppress(UnicodeError):
            text = text.encode("cp1252").decode("utf-8")
    text = _APOSTROPHES.sub("'", text)
    text = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    text = "".join(c for c in text if not unicodedata.combining(c))
    return " ".join(text.split()).strip(" .*:;-–<>\"'")


@cache
def _phrases() -> dict[str, Reading]:
    """The word list by folded phrase."""
    file = resources.files("opinioncast.readers") / "missing_words.yaml"
    text = file.read_text(encoding="utf-8")
    raw = parse_yaml(text, where="missing_words.yaml", what="A lexicon")
    found = {
        folded(phrase): Reading(Missing(reason), sort)
        for sort in (Sort.CERTAIN, Sort.DOUBTFUL)
        for reason, phrases in raw[sort.value].items()
        for phrase in phrases
    }
    found |= {folded(p): Reading(Missing.DONT_KNOW, Sort.DONT_KNOW) for p in raw["don't know"]}
    found |= {folded(p): Reading(Missing.DONT_KNOW, Sort.OFFERED) for p in raw["offered"]}
    found |= {folded(p): Reading(Missing.NO_ANSWER, Sort.CERTAIN) for p in raw["both"]}
    return found


@lru_cache(maxsize=10_000)  # a file repeats its labels hundreds of times
def clean_label(text: str, code: float) -> str:
    """A value label without the code some institutions write in front of it.

    "1. Very likely" -> "Very likely" for code 1, "[-1] keine Angabe" -> "keine Angabe"; "2-3 times"
    for code 2 stays as it is. Without a sign between ("9 Refused") only a missing answer loses its
    code: "1 child" is an answer. Marks of web pages ("Don&#39;t know", "<b>Yes</b>") are read.
    """
    if "&" in text or "<" in text:
        text = _MARKUP.sub(" ", html.unescape(text))
    text = " ".join(text.split())
    match = _PREFIX.fullmatch(text)
    if match and match["text"] and abs(float(match["boxed"] or match["code"])) == abs(code):
        return match["text"].strip()
    bare = _BARE_PREFIX.fullmatch(text)
    if bare and float(bare["code"]) == code and reading(bare["text"]) is not None:
        return bare["text"]
    return text


@lru_cache(maxsize=10_000)
def reading(text: str) -> Reading | None:
    """What a (cleaned) label says as a whole; None: an answer's text.

    "No answer, refused", "NSP / Refus" and the like are read part by part.
    """
    whole = folded(_TAG.sub("", text))
    plain = _MARK_FIRST.sub("", whole, count=1) if _MARK_FIRST.match(whole) else whole
    unmarked = _VOLUNTEERED.sub("", plain).strip(" .*:;-–[](){}\"'")
    volunteered = (
        plain != whole
        or unmarked != plain.strip(" .*:;-–[](){}\"'")
        or _BARE_DK.fullmatch(unmarked) is not None
        or re.fullmatch(r"[\[({].*[\])}]", plain) is not None
    )
    found = _whole(unmarked) if volunteered else _whole(plain) or _whole(plain.strip("[](){} "))
    if found is None:
        parts = _parts(unmarked)
        if len(parts) > 1:
            found = _together([_whole(p) for p in parts])
    if found is None:
        return None
    return Reading(found.reason, found.sort, volunteered)


def _whole(plain: str) -> Reading | None:
    for reason, sort, pattern in _WHOLE:
        if pattern.fullmatch(plain):
            return Reading(reason, sort)
    if _DONT_KNOW.fullmatch(plain):
        return Reading(Missing.DONT_KNOW, Sort.DONT_KNOW)
    if _OFFERED.fullmatch(plain):
        return Reading(Missing.DONT_KNOW, Sort.OFFERED)
    return _phrases().get(plain)


def _parts(plain: str) -> list[str]:
    return [p for part in _PARTS.split(plain) if (p := part.strip(" ."))]


def listed_reading(text: str) -> Reading | None:
    """What a label says by the word list of languages other than English alone."""
    plain = folded(text)
    parts = _parts(plain)
    return _phrases().get(plain) or (
        _together([_phrases().get(p) for p in parts]) if len(parts) > 1 else None
    )


def _together(parts: list[Reading | None]) -> Reading | None:
    """Several reasons in one label; None if one part is none."""
    known = [p for p in parts if p is not None]
    if len(known) < len(parts):
        return None
    reasons = {p.reason for p in known}
    if len(reasons) == 1:
        return known[0]
    asked = {Missing.REFUSED, Missing.DONT_KNOW, Missing.NO_ANSWER}
    return Reading(Missing.NO_ANSWER if reasons <= asked else Missing.UNKNOWN, Sort.CERTAIN)


@lru_cache(maxsize=10_000)
def missing_reason(text: str, *, declared: bool) -> Missing | None:
    """Why an answer with this (cleaned) label is missing; None: the label does not say that it is.

    Args:
        declared: the file, its codebook or the institution's convention says that the code is
            missing, so that any mention counts; else the whole label must be a missing reason, and
            "don't know" is taken for an offered option.
    """
    said = reading(text)
    whole = said is not None and said.sort in (Sort.CERTAIN, Sort.DOUBTFUL)
    if said is not None and whole and not (declared and said.reason is Missing.UNKNOWN):
        return said.reason
    if not declared:
        return None
    plain = folded(_TAG.sub("", text))
    for reason, pattern in _DECLARED:
        if pattern.search(plain):
            return reason
    return said.reason if said is not None else None


def says_dont_know(text: str) -> bool:
    """True for a label that as a whole says "don't know", "not sure", "can't choose", ..."""
    said = reading(text)
    return said is not None and said.sort in (Sort.DONT_KNOW, Sort.OFFERED)


def is_cut(label: str) -> bool:
    """True for a label of exactly 80 characters or bytes, which was probably longer."""
    return CUT_AT in (len(label), len(label.encode()))
