"""A trained model on sentence embeddings: the kernel regression that ships, or a user's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.embedding.features import TextEncoder
from opinioncast.methods.embedding.files import read_kind
from opinioncast.methods.embedding.kernel_regression import KIND, KernelRegression
from opinioncast.models import SHIPPED_NETWORK
from opinioncast.options import check_types, option

if TYPE_CHECKING:
    from opinioncast.methods.embedding.network import EmbeddingNetwork

    EmbeddingModel = EmbeddingNetwork | KernelRegression


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Of the method network.

    Attributes:
        network: folder that ``opinioncast train-network`` wrote; None: the one that ships.
        sentence_model: the one it was trained on; None: the embedded one.
    """

    network: Path | None = option(None, "Folder of a trained network; the shipped one otherwise.")
    sentence_model: str | None = option(
        None, "Sentence model: a folder or hub name (default: the embedded one)."
    )

    def __post_init__(self) -> None:
        check_types(self)


def load_embedding_model(folder: Path, encoder: TextEncoder) -> EmbeddingModel:
    """The network or kernel regression that a folder of ``train-network`` holds.

    Raises:
        ModelError: it holds neither, is damaged, or was trained on another sentence model.
    """
    if read_kind(folder) == KIND:
        return KernelRegression.load(folder, encoder)
    from opinioncast.methods.embedding.network import EmbeddingNetwork  # PyTorch: where needed

    return EmbeddingNetwork.load(folder, encoder)


def network(settings: Any, resources: Resources) -> EmbeddingModel:
    """The method by settings that have those of :class:`NetworkSettings`."""
    encoder = resources.sentence_model(settings.sentence_model)
    return load_embedding_model(settings.network or SHIPPED_NETWORK, encoder)


METHOD = MethodKind(
    name="network",
    help="A small trained model on sentence embeddings: no language model, seconds.",
    settings=NetworkSettings,
    build=network,
    shapes=("method", "sentence_model", "trained_on", "temperature"),
    order=60,
)
