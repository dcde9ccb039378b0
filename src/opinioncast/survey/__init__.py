"""The vocabulary of the field: questions, groups, waves, tables. Imports nothing above it."""

from opinioncast.survey.cells import Cells
from opinioncast.survey.groups import (
    Attribute,
    GroupScheme,
    Subpopulation,
    load_groups,
    standard_attributes,
)
from opinioncast.survey.population import US_ADULTS, Population
from opinioncast.survey.question import OFF_SCALE, REFUSED, Question
from opinioncast.survey.tables import OpinionTable, PredictionTable, opinion_row
from opinioncast.survey.wave import Design, Missing, Variable, Wave, tagged

__all__ = [
    "OFF_SCALE",
    "REFUSED",
    "US_ADULTS",
    "Attribute",
    "Cells",
    "Design",
    "GroupScheme",
    "Missing",
    "OpinionTable",
    "Population",
    "PredictionTable",
    "Question",
    "Subpopulation",
    "Variable",
    "Wave",
    "load_groups",
    "opinion_row",
    "standard_attributes",
    "tagged",
]
