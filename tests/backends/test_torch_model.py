"""Loading: folders that are not whole, adapters that do not fit, hashes that notice changes."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from safetensors.torch import load_file, save_file  # noqa: E402

from opinioncast.backends import LabelRequest, torch_model  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.torch_model import choose_dtype, load_model  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402
from opinioncast.prompts import Layout  # noqa: E402

Make = Callable[..., Path]


@pytest.fixture
def folder(make_folder: Make, tmp_path: Path) -> Path:
    """A copy of a tiny Llama that a test may damage."""
    return Path(shutil.copytree(make_folder("llama"), tmp_path / "model"))


def refused(match: str, *arguments: Any, **settings: Any) -> ModelError:
    with pytest.raises(ModelError, match=match) as caught:
        load_model(*arguments, dtype="float32", device="cpu", **settings)
    assert caught.value.where
    assert caught.value.expected
    assert len(str(caught.value).splitlines()) <= 5
    return caught.value


def test_a_folder_without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    error = refused("no weights", folder)
    assert error.where == str(folder)
    assert error.hint


def test_pickled_weights_alone_are_not_loaded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    error = refused("no weights", folder)
    assert "pickled" in str(error.hint)


def test_a_folder_without_a_configuration(folder: Path) -> None:
    (folder / "config.json").unlink()
    refused("no configuration", folder)


def test_an_adapter_in_place_of_a_model(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")
    error = refused("adapter, not a whole model", folder)
    assert error.where == str(folder)
    assert "--adapter" in str(error.hint)
    assert "--chooser" in str(error.hint)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refused("no configuration", tmp_path).found == "an empty folder"


def test_a_configuration_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    refused("cannot be loaded", folder)


def test_weights_cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])
    refused("cannot be loaded", folder)


def test_a_tokenizer_that_is_missing_or_broken(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Odd"}}')
    refused("cannot be loaded", folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    refused("cannot be loaded", folder)


def test_a_layer_without_weights_is_not_filled_with_random_numbers(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    kept = {k: v for k, v in weights.items() if ".layers.2." not in k}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert "layers.2" in str(refused("lack some of its weights", folder).found)


def test_a_name_that_is_neither_folder_nor_model() -> None:
    assert refused("cannot be loaded", "./no-such-folder").hint


def test_an_unknown_dtype(folder: Path) -> None:
    with pytest.raises(ModelError, match="Unknown dtype"):
        load_model(folder, dtype="int4")
    assert choose_dtype(torch.device("cpu"), "float16") == torch.float16


@pytest.mark.parametrize(
    ("capability", "amx", "avx512_bf16", "dtype"),
    [
        ("AVX512", True, False, torch.bfloat16),
        ("AVX512", False, True, torch.bfloat16),
        ("AVX512", False, False, torch.float32),
        ("AVX2", True, True, torch.float32),  # a large processor, held to less
        ("AVX2", False, False, torch.float32),
        ("DEFAULT", False, False, torch.float32),
    ],
)
def test_the_dtype_is_the_one_that_the_processor_multiplies(
    monkeypatch: pytest.MonkeyPatch, capability: str, amx: bool, avx512_bf16: bool, dtype: Any
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    assert choose_dtype(torch.device("cpu")) == dtype


@pytest.mark.avx2
def test_a_process_held_to_avx2_takes_float32() -> None:
    if os.environ.get("ATEN_CPU_CAPABILITY") != "avx2":
        pytest.skip("PyTorch is not held to AVX2 here (.ci/run does so once)")
    assert torch.backends.cpu.get_cpu_capability() == "AVX2"
    assert choose_dtype(torch.device("cpu")) == torch.float32


@pytest.mark.avx2
@pytest.mark.parametrize("in_hardware", [True, False])
def test_either_dtype_gives_the_same_shares_to_its_precision(
    make_folder: Make,
    survey_requests: Callable[..., list[LabelRequest]],
    monkeypatch: pytest.MonkeyPatch,
    in_hardware: bool,
) -> None:
    """What a processor chooses for itself, end to end, beside float32 asked for."""
    folder = make_folder("llama", initializer_range=0.1)  # less sharp: no rounding turns its mind
    monkeypatch.setattr(torch_model, "_multiplies_bfloat16", lambda: in_hardware)
    loaded = load_model(folder, device="cpu")
    chosen = torch.bfloat16 if in_hardware else torch.float32
    assert {p.dtype for p in loaded.causal.parameters()} == {chosen}
    requests = survey_requests(Layout.QUESTION_FIRST)
    found = dict(TorchBackend(loaded).score(requests))
    plain = load_model(folder, device="cpu", dtype="float32")
    wanted = dict(TorchBackend(plain).score(requests))
    assert len(found) == len(wanted) == len(requests)
    off = max(float(np.abs(found[i].shares - wanted[i].shares).max()) for i in wanted)
    spread = max(float(np.ptp(w.shares)) for w in wanted.values())
    assert off < 0.1 * spread if in_hardware else off == 0, (off, spread)


def adapter_for(base: Path, target: Path, seed: int = 1, **settings: Any) -> tuple[Path, Any]:
    """A LoRA adapter with weights that are not zero, saved; and the PEFT model it belongs to."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    wanted = {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "v_proj", "down_proj"]}
    adapted = peft.get_peft_model(model, peft.LoraConfig(**(wanted | settings)))
    torch.manual_seed(seed)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(target)
    return target, adapted.eval()


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"target_modules": ["q_proj", "lm_head"]}])
def test_scores_with_an_adapter_are_the_peft_models(
    settings: dict[str, Any],
    folder: Path,
    tmp_path: Path,
    survey_requests: Callable[..., list[LabelRequest]],
    reference: Callable[..., list[np.ndarray[Any, Any]]],
    load_plain: Callable[[Path], tuple[Any, Any]],
) -> None:
    adapter, adapted = adapter_for(folder, tmp_path / "adapter", **settings)
    plain = TorchBackend.load(folder, dtype="float32", device="cpu")
    backend = TorchBackend.load(folder, adapter=adapter, dtype="float32", device="cpu", name="m")
    assert backend.shared_prefix
    assert backend.name == f"m + {tmp_path.name}/adapter"
    assert backend.fingerprint["weights"] != plain.fingerprint["weights"]
    model, tokenizer = load_plain(folder)
    for layout in Layout:
        requests = survey_requests(layout)
        wanted = reference(adapted, tokenizer, requests)
        without = reference(model, tokenizer, requests)
        scores = dict(backend.score(requests))
        for i in range(len(requests)):
            assert np.exp(scores[i].log_probs) == pytest.approx(wanted[i], abs=1e-4)
        apart = max(np.abs(a - b).max() for a, b in zip(wanted, without, strict=True))
        assert apart > 0.01  # the adapter does something


@pytest.mark.slow
def test_the_fingerprint_notices_the_adapters_weights_and_scale(
    folder: Path, tmp_path: Path
) -> None:
    first, _ = adapter_for(folder, tmp_path / "first")
    second, _ = adapter_for(folder, tmp_path / "second", seed=2)
    louder, _ = adapter_for(folder, tmp_path / "louder", lora_alpha=32)
    hashes = [load_model(folder, adapter=a).weights_hash for a in (first, second, louder, first)]
    assert len(set(hashes)) == 3
    assert hashes[0] == hashes[3]


def test_the_fingerprint_notices_the_models_configuration_and_precision(
    folder: Path, tmp_path: Path
) -> None:
    before = load_model(folder, dtype="float32")
    assert load_model(folder, dtype="bfloat16").weights_hash != before.weights_hash
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert load_model(moved, dtype="float32").weights_hash == before.weights_hash
    config = json.loads((folder / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 500_000.0
    (folder / "config.json").write_text(json.dumps(config))
    after = load_model(folder, dtype="float32")
    assert after.weights_hash != before.weights_hash
    assert after.tokenizer_hash == before.tokenizer_hash


def test_the_fingerprint_notices_one_changed_weight(folder: Path) -> None:
    before = load_model(folder, dtype="float32").weights_hash
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] += 0.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_model(folder, dtype="float32").weights_hash != before


def test_an_adapter_for_another_width(folder: Path, make_folder: Make, tmp_path: Path) -> None:
    wide = make_folder("llama", hidden_size=64)
    adapter, _ = adapter_for(wide, tmp_path / "adapter")
    assert refused("does not fit", folder, adapter=adapter).where == str(adapter)


@pytest.mark.parametrize("layers", [2, 4])
def test_an_adapter_for_another_depth(
    layers: int, folder: Path, make_folder: Make, tmp_path: Path
) -> None:
    other = make_folder("llama", num_hidden_layers=layers)
    adapter, _ = adapter_for(other, tmp_path / "adapter")
    error = refused("does not fit", folder, adapter=adapter)
    assert "one side only" in str(error.found)


def test_an_adapter_for_another_family(folder: Path, make_folder: Make, tmp_path: Path) -> None:
    adapter, _ = adapter_for(
        make_folder("gpt2"), tmp_path / "adapter", target_modules=["c_attn"], fan_in_fan_out=True
    )
    refused("does not fit", folder, adapter=adapter)


def test_virtual_prompt_tokens_are_not_silently_left_out(folder: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder)
    settings = peft.PromptTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM")
    peft.get_peft_model(model, settings).save_pretrained(tmp_path / "adapter")
    refused("does not fit", folder, adapter=tmp_path / "adapter")


def test_an_adapter_folder_without_an_adapter(folder: Path, tmp_path: Path) -> None:
    assert refused("no PEFT adapter", folder, adapter=tmp_path / "absent").found == "no folder"
    adapter, _ = adapter_for(folder, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    refused("no PEFT adapter", folder, adapter=adapter)


def test_an_adapters_base_is_not_looked_up(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PEFT asks the hub for a name that is no folder, and warns; the base is loaded already."""
    adapter, _ = adapter_for(folder, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    config["base_model_name_or_path"] = f"somebody/{folder.name}"
    (adapter / "adapter_config.json").write_text(json.dumps(config), "utf-8")

    def look_up(*asked: object, **more: object) -> None:
        raise AssertionError(f"looked up {asked}")

    monkeypatch.setattr("peft.utils.save_and_load.check_file_exists_on_hf_hub", look_up)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert (
            load_model(folder, adapter=adapter, device="cpu").adapter == f"{tmp_path.name}/adapter"
        )
