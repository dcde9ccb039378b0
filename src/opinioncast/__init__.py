"""Predict how subpopulations answer a survey question, with an honest error bar.

    from opinioncast import Question, predict
    questions = [Question("guns", "Should gun laws be stricter?", ("Yes", "No"), (1, 2))]
    frame = predict(questions, groups="paper22").frame

What a prediction says is model output, never survey data.
"""

from importlib.metadata import version as _version

from opinioncast.jobs.predict import PredictSettings, predict
from opinioncast.readers.questionnaire import read_questionnaire
from opinioncast.survey import (
    OpinionTable,
    PredictionTable,
    Question,
    Subpopulation,
    load_groups,
)

__version__ = _version("opinioncast")

__all__ = [
    "OpinionTable",
    "PredictSettings",
    "PredictionTable",
    "Question",
    "Subpopulation",
    "__version__",
    "load_groups",
    "predict",
    "read_questionnaire",
]
