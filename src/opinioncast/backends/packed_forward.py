"""The forward pass over a pack: masks, last hidden states, logits of chosen tokens.

Prediction and training share it, so that an adapter is trained on the numbers it is read by.
"""

from __future__ import annotations

from typing import Any

import torch

from opinioncast.backends.trees import Pack


def attention_masks(causal: Any, pack: Pack) -> torch.Tensor | dict[str, torch.Tensor]:
    """One mask, or one for each kind of layer the model mixes.

    Boolean where PyTorch's own attention reads it; other kinds of attention add their mask to the
    scores, so it comes in the model's dtype.

    Raises:
        ValueError: the model has layers that are neither full nor sliding attention.
    """
    config = causal.config.get_text_config()
    boolean = getattr(config, "_attn_implementation", None) == "sdpa"
    window = getattr(config, "sliding_window", None)
    kinds = sorted(set(getattr(config, "layer_types", None) or ()))
    strange = set(kinds) - {"full_attention", "sliding_attention"}
    if strange:
        raise ValueError(f"layers of a kind that cannot be packed: {sorted(strange)}")

    def mask(reach: int | None) -> torch.Tensor:
        allowed = pack.mask(reach)
        if boolean:
            return allowed
        scores = torch.zeros(allowed.shape, dtype=causal.dtype, device=allowed.device)
        return scores.masked_fill(~allowed, torch.finfo(causal.dtype).min)

    if not kinds:
        return mask(window)
    return {kind: mask(window if kind == "sliding_attention" else None) for kind in kinds}


def last_hidden(causal: Any, pack: Pack) -> torch.Tensor:
    """Last hidden state of each prompt's last token: shape (prompts, hidden)."""
    decoder = getattr(causal, causal.base_model_prefix)
    output = decoder(
        input_ids=pack.input_ids,
        position_ids=pack.position_ids,
        attention_mask=attention_masks(causal, pack),
        use_cache=False,
    )
    return output.last_hidden_state[0, pack.last]


def rope_reach(config: Any) -> int | None:
    """Tokens of the longest prompt that leaves a model's rotary frequencies as they are.

    A longer one changes them for all that is computed with it (long rope, dynamic scaling), so it
    can share neither a pack nor a padded batch. None: they never change.
    """
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [v for v in found.values() if isinstance(v, dict)] or [found]
    reach = []
    for settings in kinds:
        kind = str(settings.get("rope_type") or settings.get("type") or "")
        if kind == "longrope" or "dynamic" in kind:
            original = settings.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            reach.append(original or config.max_position_embeddings)
    return min(reach, default=None)


def longest_packed(config: Any) -> int | None:
    """Most tokens of a prompt that a model can read and a pack can hold, if it says so."""
    limits = (getattr(config, "max_position_embeddings", None), rope_reach(config))
    return min((limit for limit in limits if limit is not None), default=None)


def has_plain_head(causal: Any) -> bool:
    """Whether the output matrix can be read row by row: not quantised, not under an adapter."""
    return type(causal.get_output_embeddings()) is torch.nn.Linear


def token_logits(causal: Any, hidden: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Logits of ``tokens`` only, in float32 from their rows of a plain output matrix.

    Args:
        hidden: shape (rows, hidden).
        tokens: shape (tokens,).

    Returns:
        Shape (rows, tokens).
    """
    head = causal.get_output_embeddings()
    logits = hidden.float() @ head.weight[tokens].float().T
    if head.bias is not None:
        logits = logits + head.bias[tokens].float()
    return after_head(causal, logits)


def after_head(causal: Any, logits: torch.Tensor) -> torch.Tensor:
    """What some families do to logits after the output matrix."""
    config = causal.config.get_text_config()
    scale = getattr(config, "logit_scale", None)  # Cohere
    if scale is not None:
        logits = logits * scale
    divisor = getattr(config, "logits_scaling", None)  # Granite
    if divisor is not None:
        logits = logits / divisor
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2
    return logits if cap is None else torch.tanh(logits / cap) * cap
