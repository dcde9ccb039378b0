"""Either kind of trained model on sentence embeddings, read from its folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from opinioncast.methods.embedding_features import TextEncoder
from opinioncast.methods.embedding_files import read_kind
from opinioncast.methods.kernel_regression import KIND, KernelRegression

if TYPE_CHECKING:
    from opinioncast.methods.embedding_network import EmbeddingNetwork

    EmbeddingModel = EmbeddingNetwork | KernelRegression


def load_embedding_model(folder: Path, encoder: TextEncoder) -> EmbeddingModel:
    """The network or kernel regression that a folder of ``train-network`` holds.

    Raises:
        ModelError: it holds neither, is damaged, or was trained on another sentence model.
    """
    if read_kind(folder) == KIND:
        return KernelRegression.load(folder, encoder)
    from opinioncast.methods.embedding_network import EmbeddingNetwork  # PyTorch: only where needed

    return EmbeddingNetwork.load(folder, encoder)
