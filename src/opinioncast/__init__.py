"""Predict how subpopulations answer a survey question, with an honest error bar.

>>> from opinioncast import Question, predict
>>> rent = Question("rent", "Do you favor or oppose a limit on rents?", ("Favor", "Oppose"), (1, 2))
>>> predict([rent], groups="paper22", method="uniform").frame.height
22

What a prediction says is model output, never survey data. Each name is loaded when first used.
"""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import version as _version
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opinioncast.curate.recipe import CurationRecipe, load_curation
    from opinioncast.errors import OpinioncastError
    from opinioncast.evaluate.scores import CellScores
    from opinioncast.finetune.recipe import FinetuneRecipe, load_finetune
    from opinioncast.methods.prediction import Prediction, Problem
    from opinioncast.predictor import Predictor, PredictSettings, predict
    from opinioncast.public import curate, evaluate, finetune
    from opinioncast.questionnaires import Questionnaire, read_questionnaire
    from opinioncast.survey import (
        Cells,
        GroupScheme,
        OpinionTable,
        Population,
        PredictionTable,
        Question,
        Subpopulation,
        load_groups,
    )

__version__ = _version("opinioncast")

_HOME = {
    "Cells": "survey",
    "CellScores": "evaluate.scores",
    "CurationRecipe": "curate.recipe",
    "FinetuneRecipe": "finetune.recipe",
    "GroupScheme": "survey",
    "OpinionTable": "survey",
    "OpinioncastError": "errors",
    "Population": "survey",
    "PredictSettings": "predictor",
    "Prediction": "methods.prediction",
    "PredictionTable": "survey",
    "Predictor": "predictor",
    "Problem": "methods.prediction",
    "Question": "survey",
    "Questionnaire": "questionnaires",
    "Subpopulation": "survey",
    "load_curation": "curate.recipe",
    "load_finetune": "finetune.recipe",
    "load_groups": "survey",
    "predict": "predictor",
    "read_questionnaire": "questionnaires",
}
"""Public name -> the module it is in."""

_ROOMS = ("curate", "evaluate", "finetune")
"""Functions of :mod:`opinioncast.public` that have the name of a package."""

__all__ = [
    "CellScores",
    "Cells",
    "CurationRecipe",
    "FinetuneRecipe",
    "GroupScheme",
    "OpinionTable",
    "OpinioncastError",
    "Population",
    "PredictSettings",
    "Prediction",
    "PredictionTable",
    "Predictor",
    "Problem",
    "Question",
    "Questionnaire",
    "Subpopulation",
    "__version__",
    "curate",
    "evaluate",
    "finetune",
    "load_curation",
    "load_finetune",
    "load_groups",
    "predict",
    "read_questionnaire",
]


class _Room(ModuleType):
    """A package that is also the function of its name: ``opinioncast.curate(...)``."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        public = importlib.import_module("opinioncast.public")
        return getattr(public, self.__name__.rpartition(".")[2])(*args, **options)


class _Root(ModuleType):
    """This package: whoever imports a room sets it here, and it becomes callable."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _ROOMS and type(value) is ModuleType:
            value.__class__ = _Room
        super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"opinioncast.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'opinioncast' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"opinioncast.{_HOME[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__


sys.modules[__name__].__class__ = _Root
