"""Adapters against PEFT's own model of them: equal, or refused; and on the base they name only."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

from safetensors import safe_open  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

import adapter_kinds as table  # noqa: E402
from opinioncast.backends import LabelRequest  # noqa: E402
from opinioncast.backends.model_identity import (  # noqa: E402
    check_base,
    record_base,
    weight_identity,
)
from opinioncast.backends.peft_adapters import is_plain_lora, put_adapter  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.torch_model import load_model, with_adapter  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402
from tiny_models import LLAMA, save_model  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


REFUSED = {
    *("PiSSA, fast", "LoftQ", "CorDA", "activated LoRA", "Arrow", "Lily", "Poly", "SHADOW"),
    *("X-LoRA", "Cartridge", "CPT", "prompt tuning", "multitask prompt tuning", "P-tuning"),
    "prefix tuning",
}


@pytest.mark.slow
def test_every_kind_that_peft_knows_is_tried() -> None:
    """Equal to PEFT's own model in labels and in texts, or refused."""
    made = {config for config, _ in table.ADAPTERS.values()}
    later = {given.get("later", {}).get("peft_type") for _, given in table.ADAPTERS.values()}
    known = {getattr(peft, config)(**_least(config)).peft_type.value for config in made}
    assert known | later >= {kind.value for kind in peft.PeftType}
    rows = table.adapter_rows(True)
    assert {row.name for row in rows if row.outcome == "refused"} == REFUSED
    for row in rows:
        if row.outcome != "refused":
            assert row.outcome == "equal", row
            assert row.within < 1e-5, row
            assert row.note == "PEFT's own model", row


def _least(config: str) -> dict[str, Any]:
    """What a configuration cannot be made without."""
    least: dict[str, dict[str, Any]] = {
        "AdaLoraConfig": {"total_step": 10},
        "CPTConfig": {"cpt_token_ids": [1], "cpt_mask": [1], "task_type": "CAUSAL_LM"},
    }
    return least.get(config, {})


@cache
def base_model() -> Any:
    torch.manual_seed(3)
    config = transformers.LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=24,
        num_hidden_layers=1,
        initializer_range=0.35,
        tie_word_embeddings=True,
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "gate_proj", "down_proj")
LORA = st.fixed_dictionaries(
    {
        "r": st.integers(1, 6),
        "lora_alpha": st.integers(1, 16),
        "target_modules": st.lists(
            st.sampled_from([*MODULES, "embed_tokens"]), min_size=1, max_size=4, unique=True
        ),
        "use_rslora": st.booleans(),
        "init_lora_weights": st.sampled_from(
            [True, False, "gaussian", "pissa", "olora", "orthogonal", "pissa_niter_2"]
        ),
    },
    optional={
        "use_dora": st.booleans(),
        "lora_bias": st.booleans(),
        "bias": st.sampled_from(["none", "all", "lora_only"]),
        "rank_pattern": st.sampled_from([{"q_proj": 2}, {"down_proj": 3}]),
        "alpha_pattern": st.sampled_from([{"v_proj": 5}]),
        "modules_to_save": st.sampled_from([["norm"], ["lm_head"]]),
        "trainable_token_indices": st.lists(st.integers(0, 63), min_size=1, unique=True),
        "layer_replication": st.just([(0, 1), (0, 1)]),
        "alora_invocation_tokens": st.lists(st.integers(0, 9), min_size=1, max_size=2),
        "layers_to_transform": st.just([0]),
    },
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(LORA, st.integers(0, 1_000))
def test_random_configurations_equal_peft_or_are_refused(chosen: dict[str, Any], seed: int) -> None:
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            config = peft.LoraConfig(task_type="CAUSAL_LM", **chosen)
            made = peft.get_peft_model(copy.deepcopy(base_model()), config)
            for parameter in made.parameters():
                if parameter.requires_grad:
                    parameter.data += 0.3 * torch.randn(parameter.shape)
            made.save_pretrained(work)
            theirs = peft.PeftModel.from_pretrained(copy.deepcopy(base_model()), work).eval()
            runs = _runs(theirs)
        except Exception:  # PEFT itself does not take this combination
            return
        ours, refusal = None, None
        try:
            ours = put_adapter(copy.deepcopy(base_model()), Path(work))
        except ModelError as error:
            refusal = error
        if ours is None or refusal is not None:
            assert refusal is not None
            assert refusal.where == work
            assert (
                chosen.get("alora_invocation_tokens")
                or chosen["init_lora_weights"] == "pissa_niter_2"
                or "one side only" in str(refusal.found)
                or not runs
            ), f"refused without need: {refusal}"
            return
        with torch.no_grad():
            for _ in range(3):
                ids = torch.randint(0, 64, (1, int(torch.randint(2, 12, ()))))
                wanted = theirs(input_ids=ids).logits
                assert torch.allclose(ours(input_ids=ids).logits, wanted, atol=1e-4, rtol=1e-4)


def _runs(model: Any) -> bool:
    """Whether PEFT runs what it loaded."""
    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([[1, 2]]))
    except Exception:  # of many kinds
        return False
    return True


@pytest.mark.slow
def test_what_peft_loads_and_cannot_run_is_refused(tmp_path: Path) -> None:
    """Token rows of its own beside a head that is saved whole: PEFT fails at the first prompt."""
    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=1,
        target_modules=["q_proj"],
        trainable_token_indices=[0],
        layers_to_transform=[0],
        layer_replication=[(0, 1), (0, 1)],
        modules_to_save=["lm_head"],
    )
    peft.get_peft_model(copy.deepcopy(base_model()), config).save_pretrained(tmp_path)
    assert not _runs(peft.PeftModel.from_pretrained(copy.deepcopy(base_model()), tmp_path))
    with pytest.raises(ModelError, match="does not fit the model") as error:
        put_adapter(copy.deepcopy(base_model()), tmp_path)
    assert error.value.where == str(tmp_path)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = save_model(
        "LlamaConfig", LLAMA, tmp_path_factory.mktemp("base") / "model", seed=1
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["PiSSA", "OLoRA", "OSF", "LoRA", "LoRA on the embedding"])
def test_an_adapter_changes_nothing_under_the_models_beside_it(
    kind: str, base: Path, tmp_path: Path
) -> None:
    """Modules of pluralism share one base in memory."""
    table.save_adapter(base, tmp_path / "first", "LoRA", seed=2)
    table.save_adapter(base, tmp_path / "second", kind, seed=3)
    loaded = load_model(base, dtype="float32", device="cpu")
    ids = torch.tensor([[5, 9, 40, 41, 7]])

    def says(model: Any) -> Any:
        with torch.no_grad():
            return model.causal(input_ids=ids).logits

    first = with_adapter(loaded, tmp_path / "first")
    before = says(loaded), says(first)
    second = with_adapter(loaded, tmp_path / "second")
    assert torch.equal(says(loaded), before[0])
    assert torch.equal(says(first), before[1])
    alone = load_model(base, adapter=tmp_path / "second", dtype="float32", device="cpu")
    assert torch.allclose(says(second), says(alone), atol=1e-5)
    assert not torch.allclose(says(second), before[0], atol=1e-2)
    shares = {id(t) for t in loaded.causal.parameters()} & {
        id(t) for t in second.causal.parameters()
    }
    assert bool(shares) == is_plain_lora(tmp_path / "second") == (kind == "LoRA")


def test_a_merged_folder_that_holds_its_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    """Transformers would put it on once more, and nothing would name it."""
    both = Path(shutil.copytree(base, tmp_path / "both"))
    table.save_adapter(base, both, "LoRA", seed=2)
    with pytest.raises(ModelError, match="a whole model and an adapter") as caught:
        load_model(both)
    assert "--adapter" in str(caught.value.hint)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.move(both / name, tmp_path / name)
    assert load_model(both, dtype="float32").adapter is None


def rename_base(adapter: Path, name: str | None, revision: str | None = None) -> None:
    path = adapter / "adapter_config.json"
    settings = json.loads(path.read_text("utf-8"))
    settings |= {"base_model_name_or_path": name, "revision": revision}
    path.write_text(json.dumps(settings), "utf-8")


@pytest.mark.slow
def test_an_adapter_made_for_another_base_of_the_same_shapes(base: Path, tmp_path: Path) -> None:
    other = save_model("LlamaConfig", LLAMA, tmp_path / "model", seed=2)
    adapter = tmp_path / "adapter"
    table.save_adapter(base, adapter, "LoRA", seed=2)
    assert "same model" in check_base(adapter, str(base))
    with pytest.raises(ModelError, match="another base") as caught:
        load_model(other, adapter=adapter)
    assert "base_model_name_or_path" in str(caught.value.hint)
    with pytest.raises(ModelError, match="another base"):
        with_adapter(load_model(other), adapter)
    copied = Path(shutil.copytree(base, tmp_path / "elsewhere"))
    assert "same weights" in check_base(adapter, str(copied))

    rename_base(adapter, "somebody/elsewhere")  # on no disk here: names are what there is
    assert "not compared" in check_base(adapter, str(copied))
    with pytest.raises(ModelError, match="another base"):
        check_base(adapter, str(other))
    rename_base(adapter, "somebody/elsewhere", "v2")
    with pytest.raises(ModelError, match="another base") as caught:
        check_base(adapter, str(copied))
    assert "revision v2" in str(caught.value.expected)
    rename_base(adapter, None)
    assert "names no base" in check_base(adapter, str(other))
    rename_base(adapter, "embedded")
    with pytest.raises(ModelError, match="another base"):
        check_base(adapter, str(other))


def test_training_records_its_bases_weights_and_they_decide(base: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    table.save_adapter(base, adapter, "LoRA", seed=2)
    record_base(adapter, str(base))
    rename_base(adapter, "gone/away")
    copied = Path(shutil.copytree(base, tmp_path / "copied"))
    assert "same weights" in check_base(adapter, str(copied))
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    model.save_pretrained(copied)  # another precision is the same model
    assert "same weights" in check_base(adapter, str(copied))
    model.model.layers[1].mlp.up_proj.weight.data *= 1.1
    model.save_pretrained(copied)
    with pytest.raises(ModelError, match="another base"):
        check_base(adapter, str(copied))
    assert weight_identity("nobody/nothing") is None


def test_equal_adapters_are_equal_files(base: Path, tmp_path: Path) -> None:
    """The library writes a header's notes in any of six orders, another one each time."""
    made = tmp_path / "adapter"
    table.save_adapter(base, made, "LoRA", seed=2)
    file = made / "adapter_model.safetensors"
    tensors = load_file(file)
    contents = set()
    for _ in range(8):
        record_base(made, str(base))
        contents.add(file.read_bytes())
    assert len(contents) == 1
    assert load_file(file).keys() == tensors.keys()
    assert all(torch.equal(v, tensors[k]) for k, v in load_file(file).items())
    with safe_open(file, "pt") as opened:
        assert opened.metadata()["format"] == "pt"
    size = int.from_bytes(file.read_bytes()[:8], "little")
    assert size % 8 == 0


def test_a_manifest_says_how_the_base_was_known(base: Path, tmp_path: Path) -> None:
    table.save_adapter(base, tmp_path / "adapter", "LoRA", seed=2)
    backend = TorchBackend.load(base, adapter=tmp_path / "adapter", dtype="float32", device="cpu")
    assert "same model" in backend.details["adapter_base"]
    (scores,) = dict(backend.score([LabelRequest("Answer:", ("A", "B"))])).values()
    assert np.isfinite(scores.log_probs).all()
