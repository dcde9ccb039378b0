"""Packed prompts against each by itself, over families, precisions and lengths; what is no causal
model is refused."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import model_families as table  # noqa: E402
from opinioncast.backends import LabelRequest, TextRequest  # noqa: E402
from opinioncast.backends.float32_reading import InFloat32  # noqa: E402
from opinioncast.backends.packed_forward import rope_reach  # noqa: E402
from opinioncast.backends.packing_probe import looks_ahead  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.torch_model import LoadedModel, load_model  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402
from tiny_models import save_model, tokenizer  # noqa: E402

FAMILIES = [
    name for name in table.MODELS if not name.endswith(("(an encoder)", "(encoder and decoder)"))
]
PACKED = set(FAMILIES[: FAMILIES.index("BLOOM (ALiBi)")])
"""Whose only memory is attention with positions that can be given."""


@cache
def backend(family: str, dtype: Any = torch.float32, **changed: Any) -> TorchBackend:
    """A random model of the family, without files."""
    config, given_settings = table.MODELS[family]
    built = tokenizer()
    torch.manual_seed(5)
    made = getattr(transformers, config)(vocab_size=len(built), **(given_settings | changed))
    model = transformers.AutoModelForCausalLM.from_config(made, dtype=dtype).eval()
    return TorchBackend(LoadedModel(model, built, family, "", ""), pack_tokens=10_000)


def alone(model: Any, ids: tuple[int, ...]) -> np.ndarray[Any, Any]:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
    found: np.ndarray[Any, Any] = logits[0, -1].double().softmax(-1).numpy()
    return found


PIECES = ("Question: is it so?\n", "A. Yes\n", "Asked of: South", " and more besides", "x", "\n")
PROMPTS = st.lists(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map("".join), min_size=2, max_size=7
)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FAMILIES), PROMPTS, st.booleans())
def test_prompts_beside_one_another_are_read_as_each_by_itself(
    family: str, texts: list[str], one_tree: bool
) -> None:
    """Of a family that packs and of one that does not, long prompts beside short ones."""
    reader = backend(family)
    asked = [
        LabelRequest(text, ("A", "B", "C"), "tree" if one_tree else str(i))
        for i, text in enumerate(texts)
    ]
    for i, scores in reader.score(asked):
        plan = reader.label_plan(asked[i])
        assert plan.single_token
        whole = alone(reader.loaded.causal, reader.token_ids(texts[i]))
        wanted = plan.log_probs([np.log(whole[list(plan.wanted[0])])])
        assert scores.log_probs == pytest.approx(wanted, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_who_packs_is_found_out_in_any_precision(family: str) -> None:
    """With the weights a family begins training with, which have next to no opinions."""
    faint = {"initializer_range": 0.02} if "initializer_range" in table.MODELS[family][1] else {}
    for dtype in (torch.float32, torch.bfloat16):
        reader = backend(family, dtype, **faint)
        assert reader.shared_prefix == (family in PACKED), (family, dtype)
    assert all(p.dtype == torch.bfloat16 for p in reader.loaded.causal.parameters())


def test_long_rope_beside_a_long_prompt() -> None:
    reader = backend("Phi-3, long rope")
    reach = rope_reach(reader.loaded.causal.config)
    assert reach == 60
    assert reader.shared_prefix
    texts = ["Is it so?" + " and more" * n for n in (1, 2, 3, 40, 60)]
    lengths = [len(reader.token_ids(t)) for t in texts]
    assert min(lengths) < reach < max(lengths)
    asked = [LabelRequest(t, ("A", "B", "C"), "tree") for t in texts]
    for i, scores in reader.score(asked):
        whole = alone(reader.loaded.causal, reader.token_ids(texts[i]))
        plan = reader.label_plan(asked[i])
        wanted = plan.log_probs([np.log(whole[list(plan.wanted[0])])])
        assert scores.log_probs == pytest.approx(wanted, abs=1e-4)
    apart = [one for t in texts for _, one in reader.generate([TextRequest(t, 5)])]
    said = dict(reader.generate([TextRequest(t, 5) for t in texts]))
    assert [said[i] for i in range(len(texts))] == apart


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["Llama 2, 3", "Mamba", "RWKV", "LFM 2 (attention and convolutions)"]
)
def test_texts_do_not_depend_on_the_prompts_beside_them(family: str) -> None:
    """Generation pads to one length; a state that reads padding goes without."""
    reader = backend(family)
    asked = [TextRequest("Is it so?" + " and more" * n, 6) for n in (0, 1, 5, 9)]
    wanted = [text for one in asked for _, text in reader.generate([one])]
    said = dict(reader.generate(asked))
    assert [said[i] for i in range(len(asked))] == wanted
    if family == "Llama 2, 3":
        assert reader._may_pad(10)


@pytest.mark.parametrize(
    "family", ["BERT (an encoder)", "RoBERTa (an encoder)", "BART (encoder and decoder)"]
)
def test_what_is_no_causal_model_is_refused(family: str, tmp_path: Path) -> None:
    folder = save_model(*table.MODELS[family], tmp_path / "model", seed=0)
    with pytest.raises(ModelError, match="no causal model") as caught:
        load_model(folder, device="cpu", dtype="float32")
    assert caught.value.hint


def test_an_encoder_that_is_told_to_be_a_decoder_is_one(tmp_path: Path) -> None:
    config, given_settings = table.MODELS["BERT (an encoder)"]
    folder = save_model(config, given_settings | {"is_decoder": True}, tmp_path / "model", seed=0)
    loaded = load_model(folder, device="cpu", dtype="float32")
    assert not looks_ahead(loaded.causal, range(10, 30))


def test_sixteen_bits_are_read_as_their_float32_copy() -> None:
    reader = backend("Llama 2, 3", torch.bfloat16)
    model = reader.loaded.causal
    ids = torch.tensor([reader.token_ids("Is it so? Answer:")])
    with torch.no_grad():
        with InFloat32():
            found = model(input_ids=ids).logits
        rounded = model(input_ids=ids).logits
        wanted = backend("Llama 2, 3").loaded.causal.__class__(model.config).float()
        wanted.load_state_dict({k: v.float() for k, v in model.state_dict().items()})
        wanted = wanted.eval()(input_ids=ids).logits
    assert torch.allclose(found, wanted, atol=1e-4)
    assert not torch.allclose(rounded.float(), wanted, atol=1e-3)
    assert all(p.dtype == torch.bfloat16 for p in model.parameters())
