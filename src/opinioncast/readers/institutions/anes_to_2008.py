"""American National Election Studies up to 2008: 0, 8 and 9 are missing where they are no answer.

The codebooks of those studies write "8. DK", "9. NA; RF" and "0. NA; Inap" (with a further 8 or 9
for two and three digits, "NA" in columns of text); a codebook that lists such a code among an
item's options goes first. The study of 2008 has the later ones' negative codes for most items.
"""

from __future__ import annotations

from dataclasses import replace

from opinioncast.readers.institutions import anes
from opinioncast.survey.wave import Missing

CONVENTIONS = replace(
    anes.CONVENTIONS,
    name="ANES_to_2008",
    recognise=None,  # the names of variables do not tell the year
    reasons={
        **anes.CONVENTIONS.reasons,
        -2.0: Missing.NOT_IN_WAVE,  # 2008: no interview after the election
        0.0: Missing.NOT_ASKED,
        **dict.fromkeys((8.0, 88.0, 98.0, 888.0, 998.0), Missing.DONT_KNOW),
        **dict.fromkeys((9.0, 89.0, 99.0, 889.0, 999.0), Missing.REFUSED),
    },
)
