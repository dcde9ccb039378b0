"""What a value label says: an option's text, or the reason an answer is missing.

Labels come as institutions write them ("-9. Refused", "1. Very likely", "Inapplicable (.i)",
"SKIPPED ON WEB"). Two readings of a label are kept apart: a code the file *declares* missing may be
read loosely; a code it does not declare is missing only when its whole label says so. "Should be
allowed to refuse services", "Not asked to show an ID" and an offered "Not sure" stay answers.
"""

from __future__ import annotations

import re
from functools import lru_cache

from opinioncast.survey.wave import Missing

CUT_AT = 80
"""Stata cuts variable labels here, and converters cut value labels with them."""

_PREFIX = re.compile(
    r"\s*\(?(?P<code>-?\d+)\)?\s*(?:[.):]\s+|[.):](?=\D)|\s[-–=]\s+(?=\D))(?P<text>.*)"
)
_TAG = re.compile(r"\s*\(\.[a-z]\)\s*$")

_DK = r"(?:i )?(?:don'?t (?:k?now|no)|do not know|dk)"
_RF = r"(?:refused|refusal|ref|rf)"
_NOT_IN_WAVE = (
    r"(?:not asked, )?unit non-?response.*|no post-?election (?:interview|data).*"
    r"|deleted due to (?:partial|incomplete).*|not in (?:this )?(?:wave|panel).*"
    r"|not available (?:in )?this year"
)

# In this order: the first that fits wins. "dk/rf" before either of its halves; "not asked, unit
# nonresponse" before "not asked"; "legitimate skip" before "skip".
_WHOLE_LABEL = [
    (Missing.NO_ANSWER, rf"(?:{_DK}\s*(?:/|or)\s*{_RF}|{_RF}\s*(?:/|or)\s*{_DK})(?:\s*\(.*)?"),
    (Missing.REFUSED, r"(?:refused|refusal)(?: to answer)?(?:\s*[(/].*)?"),
    (Missing.NOT_IN_WAVE, _NOT_IN_WAVE),
    (
        Missing.NOT_ASKED,
        r"inap(?:plicable)?(?:\W.*)?|iap|not applicable(?:[:;,(].*)?"
        r"|(?:question )?not asked(?:[:;,(].*| of .*| in this (?:form|ballot|split).*)?"
        r"|legit\w* skip|valid skip|logical skip|skip pattern|n/?a: .*"
        r"|(?:interview )?break-?off(?:\W.*)?|not in (?:form|version|split|ballot).*",
    ),
    (
        Missing.NO_ANSWER,
        r"no answer(?: given)?(?:\s*\(.*)?|no response|not answered|(?:left )?blank|not ascertained"
        r"|skip(?:ped)? on (?:the )?web|skipped|web blank|item non-?response",
    ),
    (
        Missing.UNKNOWN,
        r"missing(?: data| value)?|(?:technical |tecnical )?error|data deleted|redacted|suppressed"
        r"|restricted(?: access)?(?:\W.*)?|not available(?:\W.*)?",
    ),
]
_DONT_KNOW_WHOLE = (
    rf"{_DK}(?:\W.*)?|not sure|unsure|can'?t (?:say|choose)|cannot choose|no opinion"
    r"|don'?t recognize.*"
)
_SOMEWHERE = [
    (Missing.NO_ANSWER, rf"\b{_DK}\s*(?:/|or)\s*{_RF}\b|\b{_RF}\s*(?:/|or)\s*{_DK}\b"),
    (Missing.REFUSED, rf"\b{_RF}\b|prefer not to (?:say|answer)"),
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
    (Missing.NO_ANSWER, r"no answer|no response|not answered|\bskip|blank|not ascertained"),
]
_WHOLE = [(reason, re.compile(pattern)) for reason, pattern in _WHOLE_LABEL]
_DECLARED = [(reason, re.compile(pattern)) for reason, pattern in _SOMEWHERE]
_DONT_KNOW = re.compile(_DONT_KNOW_WHOLE)


@lru_cache(maxsize=10_000)  # a file repeats its labels hundreds of times
def clean_label(text: str, code: float) -> str:
    """A value label without the code some institutions write in front of it.

    "1. Very likely" -> "Very likely" for code 1; "2-3 times" for code 2 stays as it is.
    """
    text = " ".join(text.split())
    match = _PREFIX.fullmatch(text)
    if match and match["text"] and abs(float(match["code"])) == abs(code):
        return match["text"].strip()
    return text


@lru_cache(maxsize=10_000)
def missing_reason(text: str, *, declared: bool) -> Missing | None:
    """Why an answer with this (cleaned) label is missing; None: the label does not say that it is.

    Args:
        declared: the file, its codebook or the institution's convention says that the code is
            missing, so that any mention counts; else the whole label must be a missing reason, and
            "don't know" is taken for an offered option.
    """
    plain = _TAG.sub("", text).casefold().replace("’", "'").strip(" .*")
    for reason, pattern in _WHOLE:
        if pattern.fullmatch(plain):
            return reason
    if declared:
        for reason, pattern in _DECLARED:
            if pattern.search(plain):
                return reason
    return None


def says_dont_know(text: str) -> bool:
    """True for a label that as a whole says "don't know", "not sure", "can't choose", ..."""
    plain = _TAG.sub("", text).casefold().replace("’", "'").strip(" .*")
    return _DONT_KNOW.fullmatch(plain) is not None


def is_cut(label: str) -> bool:
    """True for a label of exactly 80 characters or bytes, which was probably longer."""
    return CUT_AT in (len(label), len(label.encode()))
