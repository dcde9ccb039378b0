"""An adapter put into its base's own weights, so that one model can be passed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from opinioncast.backends.adapter_files import check_adapter
from opinioncast.backends.model_identity import check_base
from opinioncast.backends.torch_model import check_folder
from opinioncast.errors import ModelError


def merge_adapter(where: str, adapter: Path, dtype: str | None = None) -> tuple[Any, Any, str]:
    """The model with the adapter's products added to its weights, its tokenizer, and how it is
    known that the two belong together.

    The sums are made in single precision, then rounded once.

    Args:
        where: folder or hub name of the base.
        dtype: of the merged weights; None: as the base's files have them.

    Raises:
        ModelError: the base cannot be loaded, the adapter was made for another, is damaged, or is
            of a kind that cannot be merged.
    """
    check_folder(where)
    check_adapter(adapter)
    belongs = check_base(adapter, where)
    from peft import PeftModel

    try:
        tokenizer = AutoTokenizer.from_pretrained(where)
        causal = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32)
        held = AutoConfig.from_pretrained(where).dtype or torch.float32
    except Exception as error:  # the libraries raise their own kinds, and bare ones
        raise ModelError(
            "The model cannot be loaded",
            where=where,
            expected="a folder with a Hugging Face causal model, or a name on the hub",
            found=error,
        ) from error
    try:
        merged = PeftModel.from_pretrained(causal, str(adapter)).merge_and_unload(safe_merge=True)
    except Exception as error:  # PEFT raises many kinds, for kinds without a merge too
        raise ModelError(
            "The adapter cannot be merged into its base",
            where=str(adapter),
            expected="LoRA or another kind that PEFT can merge, of this base",
            found=error,
            hint="pass the adapter on as it is, with --model and --adapter",
        ) from error
    return merged.to(getattr(torch, dtype) if dtype else held), tokenizer, belongs
