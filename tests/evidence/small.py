"""A small world for the tests of evidence: two attributes, four kinds of people."""

from __future__ import annotations

import numpy as np

from opinioncast.evidence.calibration import Calibration
from opinioncast.evidence.frame import Frame
from opinioncast.evidence.option_contrasts import KINDS
from opinioncast.evidence.past import Memory
from opinioncast.evidence.people import Groups
from opinioncast.evidence.posterior import Model
from opinioncast.evidence.prior import Prior
from opinioncast.evidence.reading import Settings
from opinioncast.survey import PredictionTable, Question, Subpopulation

GROUPS = Groups(
    (("SEX", "Male"), ("SEX", "Female"), ("POLPARTY", "Democrat"), ("POLPARTY", "Republican"))
)
MEMBERS = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]], dtype=bool)
WEIGHTS = np.array([0.2, 0.3, 0.3, 0.2])
EVERYONE = Subpopulation()
MEN, WOMEN, DEMOCRATS, REPUBLICANS = (Subpopulation((c,)) for c in GROUPS.columns)
CELLS = (EVERYONE, MEN, WOMEN, DEMOCRATS, REPUBLICANS)

FRAME = Frame(GROUPS, MEMBERS, WEIGHTS, {"population": "four kinds of people"})
_HALF = np.array([[1, -0.6], [-0.6, 1]])
_COVARIANCE = np.block([[0.1 * _HALF, np.zeros((2, 2))], [np.zeros((2, 2)), 0.4 * _HALF]])
PRIOR = Prior(
    GROUPS,
    FRAME.proportions(GROUPS),
    _COVARIANCE,
    0.5 * _COVARIANCE + 0.02 * np.eye(4),
    level=dict(zip(KINDS, (1.5, 0.8, 0.5, 2.0, 1.5), strict=True)),
    spread=0.5,
)
MODEL = Model(PRIOR, FRAME)
SETTINGS = Settings(
    MODEL,
    Calibration({}),
    Memory({"scale": 40.0, "no scale": 20.0}, {"scale": 60.0, "no scale": 60.0}),
)
RENT = Question("rent", "Limit rents?", ("Favor", "Oppose"), (1, 2), "POLL", "2024")
TRUST = Question("trust", "Trust?", ("A lot", "Some", "None"), (1, 2, 3), "POLL", "2024")


def predictions() -> PredictionTable:
    rows = []
    for question in (RENT, TRUST):
        options = len(question.options)
        for i, cell in enumerate(CELLS):
            shares = np.arange(options, 0, -1) + 0.3 * i
            rows.append(
                {
                    "family": question.family,
                    "wave": question.wave,
                    "question_id": question.question_id,
                    "question": question.text,
                    "options": list(question.options),
                    "ordinal": list(question.ordinal),
                    "attribute": cell.attribute,
                    "group": cell.group,
                    "distribution": (shares / shares.sum()).tolist(),
                    "model": "made up",
                    "method": "test",
                }
            )
    return PredictionTable.from_rows(rows, {"model": "made up"})
