"""American National Election Studies: negative codes are missing, declared or not.

Meanings as in the user's guides of the 2012 and 2020 Time Series; a label that says something else
(-2, -5 and -7 change from study to study) goes first. Pilot studies use positive codes (66, 77, 99)
that only a codebook's ``missing_codes`` can tell from answers, unless their label says it.
"""

from __future__ import annotations

import re

from opinioncast.readers.conventions import DONT_KNOW_CODES, Conventions
from opinioncast.survey.wave import Missing

_NUMBERED = re.compile(r"v\d{6}\w?")


def _recognise(names: frozenset[str]) -> str | None:
    numbered = sum(_NUMBERED.fullmatch(n) is not None for n in names)
    if numbered > len(names) / 2:
        return "its variables are numbered as in the American National Election Studies"
    return None


CONVENTIONS = Conventions(
    name="ANES",
    recognise=_recognise,
    reasons={
        -9.0: Missing.REFUSED,
        -8.0: Missing.DONT_KNOW,
        -7.0: Missing.NOT_IN_WAVE,  # no post-election data, interview deleted as incomplete
        -6.0: Missing.NOT_IN_WAVE,  # no post-election interview
        -5.0: Missing.NOT_ASKED,  # interview broken off before the question
        -4.0: Missing.UNKNOWN,  # technical error
        -3.0: Missing.UNKNOWN,  # restricted
        -2.0: Missing.UNKNOWN,
        -1.0: Missing.NOT_ASKED,  # inapplicable
    },
    negative_missing=True,
    dont_know=DONT_KNOW_CODES,
)
