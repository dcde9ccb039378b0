"""How a model is named, wherever one is: ``embedded``, a folder, a hub name, or either behind the
name of a backend (``torch:FOLDER``, ``vllm:MODEL``, ``api:MODEL@URL``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from opinioncast.backends.declaration import backend_kinds
from opinioncast.documents import read_document
from opinioncast.errors import InputError, ModelError

ADAPTER_CONFIG = "adapter_config.json"
_AT = re.compile(r"(.*?)@(https?:.*)", re.DOTALL)  # some services have an @ in a model's name


@dataclass(frozen=True, slots=True)
class ModelReference:
    """One model.

    Attributes:
        model: folder or name, as the backend knows it.
        kind: the backend that was named; None: the run's.
        base_url: of the service; None: the run's.
    """

    model: str
    kind: str | None = None
    base_url: str | None = None

    @classmethod
    def read(cls, name: str, where: str = "--model") -> ModelReference:
        """``name`` as it is given to ``--model``, ``--modules`` and ``--chooser``.

        Raises:
            InputError: the name of a backend with no model behind it.
        """
        kind, colon, rest = name.partition(":")
        if not colon or kind not in {k.name for k in backend_kinds()}:
            return cls(name)
        placed = _AT.fullmatch(rest) if kind == "api" else None
        model, base_url = (placed[1], placed[2]) if placed else (rest, None)
        if not model:
            raise InputError(
                "A model is named by its backend alone",
                where=where,
                expected=f"{kind}:MODEL{'@URL' if kind == 'api' else ''}",
                found=f"{kind}:",
            )
        return cls(model, kind, base_url)

    def __str__(self) -> str:
        at = "" if self.base_url is None else f"@{self.base_url}"
        return f"{self.model}{at}" if self.kind is None else f"{self.kind}:{self.model}{at}"

    @property
    def is_adapter(self) -> bool:
        """Whether the model is a folder that holds an adapter and no model of its own."""
        return self.kind != "api" and (Path(self.model) / ADAPTER_CONFIG).is_file()

    def runs_on(self, own: str) -> str:
        """The backend of the model, where ``own`` is that of the model that answers."""
        return self.kind or ("torch" if self.is_adapter else own)


def base_name(adapter: str | Path) -> str:
    """What an adapter's configuration calls its base model: a folder, a hub name, or embedded.

    Raises:
        ModelError: it names none, or cannot be read.
    """
    path = Path(adapter) / ADAPTER_CONFIG
    try:
        name = read_document(path, "An adapter's configuration")["base_model_name_or_path"]
    except (InputError, KeyError, TypeError) as error:
        raise ModelError(
            "An adapter does not name its base model",
            where=str(path),
            expected="base_model_name_or_path: a folder, a hub name, or embedded",
            found=error,
        ) from error
    return str(name)
