"""Putting a PEFT adapter on a causal model, so that it answers as PEFT's own model does.

Afterwards the model is used without PEFT around it. What PEFT does outside of the layers (virtual
tokens, routing, activation by a token of the prompt) would be lost with that, so an adapter is
taken where both ways give the same logits and is refused elsewhere, whatever its kind is called.
"""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from opinioncast.backends.adapter_files import ADAPTER_WEIGHTS, check_adapter
from opinioncast.backends.float32_reading import InFloat32
from opinioncast.backends.low_rank import lighten
from opinioncast.errors import ModelError

_TASK = "CAUSAL_LM"
_PLAIN_STARTS = (True, False, "gaussian", "eva", "orthogonal", "true", "false")
"""Ways to begin LoRA training that leave the base's weights alone."""

_OTHERS = {"velora_config", "monteclora_config", "use_bdlora", "arrow_config", "kasa_config"}
_OTHERS |= {"layer_replication", "trainable_token_indices", "target_parameters", "use_qalora"}
_OTHERS |= {"lora_ga_config", "corda_config", "loftq_config", "alora_invocation_tokens"}
"""Options of LoRA that make it something else than an addition whose numbers are in its file."""

_SAME = 1e-4
"""Largest difference of logits, relative, between two ways of one computation, in float32."""


def put_adapter(causal: Any, adapter: Path) -> Any:
    """Put the adapter's layers into ``causal``, in place, and return it with them active.

    Some kinds change the base's own weights too: nobody else may use ``causal`` afterwards.

    Raises:
        ModelError: no adapter, one that does not fit, or one that works in no layer of the model.
    """
    settings = check_adapter(adapter)
    reason = _why_not(settings)
    if reason:
        raise _refused(adapter, settings, reason)
    spare = None if is_plain_lora(adapter) else copy.deepcopy(causal)
    try:
        model = _load(causal, adapter, seed=0)
        _check_whole(model, adapter)
        alone, others = _answers(model)  # what PEFT loads it may still not run
    except Exception as error:  # PEFT raises many kinds, bare ones among them
        raise ModelError(
            "The adapter does not fit the model",
            where=str(adapter),
            expected="an adapter trained on this base model, with layers of its own (LoRA)",
            found=error,
        ) from error
    if not _same(alone, *others) or (spare is not None and not _writes_alike(model)):
        raise _refused(
            adapter,
            settings,
            "works outside of the model's layers: by the prompt, by what is computed beside it, or "
            "by chance",
        )
    if spare is not None and not _same(alone, _answers(_load(spare, adapter, seed=1))[0]):
        raise _refused(
            adapter,
            settings,
            "is not whole: loaded twice it gives two answers, for it begins from random numbers "
            "that its file does not hold",
        )
    lighten(model)
    return model.get_base_model()


def is_plain_lora(adapter: Path) -> bool:
    """Whether the adapter only adds to what layers say, and all of it is in its file."""
    settings = check_adapter(adapter)
    odd = [k for k in _OTHERS if settings.get(k)]
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        own = all("lora_" in name for name in file.keys())  # noqa: SIM118
    return (
        settings.get("peft_type") == "LORA"
        and settings.get("init_lora_weights", True) in _PLAIN_STARTS
        and settings.get("bias", "none") == "none"
        and not odd
        and own
    )


def _why_not(settings: dict[str, Any]) -> str | None:
    """Why an adapter of these settings cannot be used, where they say it already."""
    if settings.get("num_virtual_tokens") or settings.get("cpt_token_ids"):
        return "learns virtual prompt tokens, which sit in no layer of the model"
    if settings.get("alora_invocation_tokens"):
        return (
            "is activated by tokens of the prompt (aLoRA) that no prompt of ours holds; without "
            "them PEFT answers as the base model does"
        )
    if settings.get("arrow_config") or settings.get("peft_type") == "XLORA":
        return "routes every token among other adapters, which are not in its folder"
    if settings.get("peft_type") == "POLY":
        return "wants the number of a task with every prompt"
    if settings.get("peft_type") == "SHADOW":
        return "runs a second model beside the layers: labels are PEFT's without it, texts are not"
    if settings.get("task_type") not in (None, _TASK):
        return f"was trained for {settings['task_type']}, which is not writing text ({_TASK})"
    return None


def _load(causal: Any, adapter: Path, *, seed: int) -> Any:
    from peft import PeftConfig, PeftModel

    devices = [causal.device] if causal.device.type == "cuda" else []
    config = PeftConfig.from_pretrained(str(adapter))
    # the base is here: PEFT would look its name up on the hub to compare vocabularies
    config.base_model_name_or_path = None
    config.task_type = _TASK  # else PEFT leaves out what it does for causal models
    with torch.random.fork_rng(devices), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is checked here
        torch.manual_seed(seed)
        model = PeftModel.from_pretrained(causal, str(adapter), config=config)
    return model.eval()


def _check_whole(model: Any, adapter: Path) -> None:
    """Raises ValueError where some layers would go without their part of the adapter: PEFT only
    warns."""
    from peft import get_peft_model_state_dict

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here = get_peft_model_state_dict(model)
    with safe_open(adapter / ADAPTER_WEIGHTS, "pt") as file:
        odd = set(file.keys()) ^ set(here)
    if odd:
        raise ValueError(f"tensors on one side only: {', '.join(sorted(odd)[:3])}")


def _answers(model: Any) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Logits of two texts by PEFT's own call, each by itself; and in other ways that must give the
    same: again (some draw), both together (some mix), and by the model inside, without PEFT."""
    size = model.get_input_embeddings().weight.shape[0]
    texts = torch.tensor([[(k * i + 3) % size for i in range(7)] for k in (7, 11)]).to(model.device)

    def by_itself(call: Any) -> torch.Tensor:
        return torch.cat([call(input_ids=t[None]).logits for t in texts])

    with torch.inference_mode(), InFloat32(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        alone = by_itself(model)
        again, together = by_itself(model), model(input_ids=texts).logits
        return alone, [again, together, by_itself(model.get_base_model())]


def _writes_alike(model: Any) -> bool:
    """Whether a few words come out alike by PEFT's own writing and by the model inside's, which
    carry what was read from word to word."""
    prompt = torch.tensor([[3, 10, 17, 24, 31]]).to(model.device)
    said = []
    with torch.inference_mode(), InFloat32(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for writer in (model, model.get_base_model()):
            made = writer.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=4,
                min_new_tokens=4,
                do_sample=False,
                pad_token_id=0,
                output_logits=True,
                return_dict_in_generate=True,
            )
            said.append(torch.cat(made.logits))
    return _same(*said)


def _same(first: torch.Tensor, *others: torch.Tensor) -> bool:
    scale = first.abs().max().clamp(min=1e-12)
    return all(bool((first - other).abs().max() <= _SAME * scale) for other in others)


def _refused(adapter: Path, settings: dict[str, Any], reason: str) -> ModelError:
    kind = settings.get("peft_type", "unknown")
    return ModelError(
        "The adapter does not fit the model",
        where=str(adapter),
        expected="an adapter that lies in the model's layers (LoRA and its kin)",
        found=f"{kind}: it {reason}",
        hint="merge it into its base with PEFT (merge_and_unload) and give that as --model, or "
        "save it as plain LoRA, where its kind allows that",
    )
