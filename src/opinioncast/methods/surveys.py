"""The default: what past surveys tell, by the network and by the nearest questions, half and half.

No language model is asked. The two err in different places; their shares were chosen, as the
blend's were, on validation questions and on a survey that neither part had seen
(docs/finetuning.md): there the mean of both is as near as the blend with its language model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opinioncast.methods.blend import Blend
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.nearest import NearestSettings, nearest
from opinioncast.methods.network import network
from opinioncast.methods.prediction import Method
from opinioncast.options import option


@dataclass(frozen=True, slots=True)
class SurveysSettings(NearestSettings):
    """Of the method surveys: of its two parts.

    Attributes:
        network: as in :class:`opinioncast.methods.network.NetworkSettings`.
        train, neighbours, temperature: as in :class:`opinioncast.methods.nearest.NearestSettings`.
        sentence_model: of both.

    Raises:
        InputError: a value that cannot be.
    """

    network: Path | None = option(None, "Folder of a trained network; the shipped one otherwise.")


def half_and_half(network: Method, nearest: Method) -> Blend:
    """The nearest questions know the groups of their table only; the network answers for the
    rest."""
    return Blend([(network, 0.5), (nearest, 0.5)], may_abstain=[nearest.name])


def build(settings: SurveysSettings, resources: Resources) -> Blend:
    return half_and_half(network(settings, resources), nearest(settings, resources))


METHOD = MethodKind(
    name="surveys",
    help="The default: network and nearest questions of past surveys, mixed; no language model.",
    settings=SurveysSettings,
    build=build,
    shapes=("method", "pool", "weights"),
    order=5,
)
