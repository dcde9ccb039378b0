"""From the name of a method and its settings to the method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from opinioncast.errors import InputError
from opinioncast.methods.prediction import Method
from opinioncast.survey import OpinionTable

if TYPE_CHECKING:
    from opinioncast.methods.blend import Pool

SHIPPED_NETWORK = Path(str(resources.files("opinioncast") / "models" / "kernel"))
"""Kernel regression on the embedded sentence model, trained on the recipe ``training``."""

DEFAULT_METHOD = "network"
"""The best of what ships: see the comparison in docs/methods.md."""

LANGUAGE_MODEL_METHODS = ("zero-shot", "blend")
"""Methods that put prompts to a language model (with its adapter, if it has one)."""

METHOD_OPTIONS = {
    "train": ("nearest", "total"),
    "network": ("network", "blend"),
    "blend": ("blend",),
}
"""Which methods use a setting of :class:`MethodSettings` that the command has an option for."""

METHODS = ("zero-shot", "uniform", "total", "nearest", "network", "blend")


@dataclass(frozen=True, slots=True)
class MethodSettings:
    """What methods other than zero-shot need.

    Attributes:
        train: opinion table with other questions' answers (nearest) or with TOTAL rows of the
            questions asked (total).
        network: folder that ``opinioncast train-network`` wrote (network, blend); None: the one
            that comes with the package.
        sentence_model: folder or hub name; None: the embedded one.
        neighbours, temperature: of the nearest questions.
        blend: share of the network in the blend; the rest is the language model's.
        pool: of the blend.
    """

    train: Path | None = None
    network: Path | None = None
    sentence_model: str | None = None
    neighbours: int = 20
    temperature: float = 0.1
    blend: float = 0.5
    pool: Pool = "linear"


def build_method(name: str, settings: MethodSettings, zero_shot: Callable[[], Method]) -> Method:
    """The method called ``name``.

    Args:
        zero_shot: opens the language model; called only where it is needed.

    Raises:
        InputError: an unknown name, or a file the method needs was not given.
        ModelError, DataError: a model or table cannot be read.
    """
    if name == "zero-shot":
        return zero_shot()
    if name == "uniform":
        from opinioncast.methods.baselines import Uniform

        return Uniform()
    if name == "total":
        from opinioncast.methods.baselines import TotalPopulation

        return TotalPopulation(OpinionTable.read(_needed(settings.train, name, "train")))
    if name == "nearest":
        from opinioncast.backends.sentences import SentenceModel
        from opinioncast.methods.baselines import NearestQuestions

        return NearestQuestions(
            OpinionTable.read(_needed(settings.train, name, "train")),
            SentenceModel.load(settings.sentence_model),
            settings.neighbours,
            settings.temperature,
        )
    if name in ("network", "blend"):
        from opinioncast.backends.sentences import SentenceModel
        from opinioncast.methods.blend import Blend
        from opinioncast.methods.embedding_model import load_embedding_model

        network = load_embedding_model(
            settings.network or SHIPPED_NETWORK,
            SentenceModel.load(settings.sentence_model),
        )
        if name == "network":
            return network
        parts = [(network, settings.blend), (zero_shot(), 1 - settings.blend)]
        return Blend(parts, settings.pool)
    raise InputError("Unknown method", expected=", ".join(METHODS), found=name)


def _needed(path: Path | None, method: str, option: str) -> Path:
    if path is None:
        raise InputError(
            f"The method {method} needs a file",
            expected=f"--{option}: an opinion table (parquet)",
            found="nothing",
        )
    return path
