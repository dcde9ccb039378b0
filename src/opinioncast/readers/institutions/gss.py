"""General Social Survey (NORC): missing codes and sampling design of its yearly files.

Stata files carry missing letters; SPSS copies carry the same as user-missing codes -100 to -60.
Letters as documented in the GSS codebook, "Missing data codes".
"""

from __future__ import annotations

from opinioncast.readers.conventions import Conventions
from opinioncast.survey.wave import Design, Missing, tagged

_LETTERS = {
    "d": Missing.DONT_KNOW,
    "i": Missing.NOT_ASKED,
    "j": Missing.NOT_ASKED,
    "m": Missing.UNKNOWN,  # don't know, no answer and inapplicable in one code
    "n": Missing.NO_ANSWER,
    "p": Missing.UNKNOWN,
    "q": Missing.UNKNOWN,
    "r": Missing.REFUSED,
    "s": Missing.NO_ANSWER,  # skipped on web
    "u": Missing.UNKNOWN,
    "x": Missing.UNKNOWN,  # not available in this release
    "y": Missing.NOT_IN_WAVE,  # not available this year
    "z": Missing.UNKNOWN,
}
_SPSS_CODES = {-100: "i", -99: "n", -98: "d", -97: "s", -70: "x", -60: "y"}


def _recognise(names: frozenset[str]) -> str | None:
    weights = {"wtssall", "wtssps", "wtssnrps", "wtssnr"}
    if names & weights or {"vstrat", "vpsu"} <= names:
        return "it has the weights or strata of the General Social Survey"
    return None


CONVENTIONS = Conventions(
    name="GSS",
    recognise=_recognise,
    reasons={tagged(letter): reason for letter, reason in _LETTERS.items()}
    | {float(code): _LETTERS[letter] for code, letter in _SPSS_CODES.items()},
)


def design(year: int) -> Design:
    """Cross-section weight, strata and PSU of a single-year file.

    ``wtssall`` up to 2018; ``wtssps`` (post-stratified) since 2021, when it replaced it.
    """
    return Design(weight="wtssall" if year <= 2018 else "wtssps", strata="vstrat", psu="vpsu")
