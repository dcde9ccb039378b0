"""Community modules: trained, resumed, written whole, and heard by pluralism."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from safetensors.torch import load_file  # noqa: E402
from tests.backends.conftest import make_folder  # noqa: E402, F401  a fixture

from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.torch_model import load_model, with_adapter  # noqa: E402
from opinioncast.errors import InputError, ModelError  # noqa: E402
from opinioncast.finetune.community import CommunitySettings, perplexity  # noqa: E402
from opinioncast.finetune.recipe import LoraRecipe  # noqa: E402
from opinioncast.jobs.train_community import CommunityRun, train_community  # noqa: E402
from opinioncast.predictor import PredictSettings  # noqa: E402
from opinioncast.predictor.resources import Resources  # noqa: E402

SETTINGS = CommunitySettings(
    lora=LoraRecipe(rank=4, dropout=0.1),
    epochs=2,
    learning_rate=5e-3,
    batch_blocks=4,
    micro_blocks=2,
    block_tokens=32,
    held_out=0.1,
    saves=4,
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.txt"
    said = [f"Answer: A. Northeast is question number {i}, I choose B." for i in range(60)]
    path.write_text("\n\n".join(said), "utf-8")
    return path


@pytest.fixture
def base(make_folder: Callable[..., Path]) -> Path:  # noqa: F811
    return make_folder("llama", "opened and closed")


def run(
    corpus: Path, out: Path, base: Path, settings: CommunitySettings = SETTINGS, **more: Any
) -> CommunityRun:
    return train_community(
        corpus, out, settings, model=str(base), device="cpu", dtype="float32", **more
    )


@pytest.mark.slow
def test_a_module_is_written_whole_and_knows_its_text_better(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "module"
    steps: list[tuple[int, int]] = []
    made = run(corpus, out, base, progress=lambda done, of: steps.append((done, of)))
    assert made.after < 0.8 * made.before
    assert steps[-1] == (made.steps, made.steps)
    names = {f.name for f in out.iterdir()}
    assert names == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "README.md",
        "curve.csv",
        "manifest.json",
    }
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["perplexity_before"] == pytest.approx(made.before)
    assert manifest["documents"] == 60
    assert manifest["documents_held_out"] == 6
    assert set(manifest["files"]) == names - {"manifest.json"}
    card = (out / "README.md").read_text("utf-8")
    assert f"{made.before:.2f} before, {made.after:.2f} after" in card
    assert "Terms of the texts: not stated" in card
    assert str(tmp_path) not in card.replace(str(base), "")


def test_perplexity_is_that_of_a_plain_computation(base: Path) -> None:
    loaded = load_model(base, device="cpu", dtype="float32")
    blocks = [[5, 6, 7, 8, 9], [9, 8, 7], [3, 4, 5, 6, 7]]
    total = count = 0.0
    for block in blocks:
        with torch.no_grad():
            log_probs = loaded.causal(torch.tensor([block])).logits[0].log_softmax(-1)
        for i, token in enumerate(block[1:]):
            total -= float(log_probs[i, token])
            count += 1
    expected = float(torch.tensor(total / count).exp())
    assert perplexity(loaded.causal, blocks, 2) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_module(corpus: Path, base: Path, tmp_path: Path) -> None:
    whole = run(corpus, tmp_path / "whole", base)

    def kill(done: int, of: int) -> None:
        if done > of // 2:
            raise KeyboardInterrupt

    out = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        run(corpus, out, base, progress=kill)
    assert not (out / "manifest.json").exists()
    half = out / "checkpoints" / "checkpoint-99"  # as a run killed while writing leaves it
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    seen: list[int] = []
    resumed = run(corpus, out, base, progress=lambda done, of: seen.append(done))
    assert seen[0] > 1
    assert resumed.steps == whole.steps
    assert (resumed.before, resumed.after) == pytest.approx((whole.before, whole.after), rel=1e-5)
    one, two = (load_file(f / "adapter_model.safetensors") for f in (whole.folder, out))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        assert torch.allclose(tensor, two[name], atol=1e-5), name
    assert not (out / "checkpoints").exists()


@pytest.mark.slow
def test_a_finished_folder_is_kept_and_another_run_is_refused(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    out = tmp_path / "module"
    first = run(corpus, out, base)
    weights = (out / "adapter_model.safetensors").stat().st_mtime_ns

    def nothing(done: int, of: int) -> None:
        raise AssertionError("it is trained already")

    again = run(corpus, out, base, progress=nothing)
    assert (again.before, again.after, again.steps) == (first.before, first.after, first.steps)
    assert (out / "adapter_model.safetensors").stat().st_mtime_ns == weights
    with pytest.raises(InputError, match="another run"):
        run(corpus, out, base, CommunitySettings(block_tokens=64))
    with pytest.raises(InputError, match="another run") as caught:
        run(corpus, out, base, terms="CC0")  # the card would not say so
    assert "terms not stated" in str(caught.value.found)


@pytest.mark.slow
def test_a_checkpoint_of_another_corpus_is_refused(
    corpus: Path, base: Path, tmp_path: Path
) -> None:
    def kill(done: int, of: int) -> None:
        if done > of // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(corpus, tmp_path / "m", base, progress=kill)
    other = tmp_path / "other.txt"
    other.write_text(corpus.read_text("utf-8") + "\n\nOne more.", "utf-8")
    with pytest.raises(InputError, match="belongs to another run") as caught:
        run(other, tmp_path / "m", base)
    assert "corpus" in str(caught.value.found)


def test_settings_out_of_range() -> None:
    for wrong in ({"epochs": 0}, {"held_out": 1.0}, {"batch_blocks": 3}, {"block_tokens": 8}):
        with pytest.raises(InputError, match="cannot be trained"):
            CommunitySettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.slow
def test_modules_share_one_base_and_write_as_adapters_loaded_alone(
    corpus: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = []
    for seed in (0, 1):
        folders.append(tmp_path / f"module {seed}")
        run(
            corpus,
            folders[-1],
            base,
            CommunitySettings(
                lora=LoraRecipe(rank=4), learning_rate=2e-2, block_tokens=32, seed=seed
            ),
        )
    opened: list[str] = []
    alone = TorchBackend.load(base, device="cpu", dtype="float32", shared_prefix=False)

    def local(model: str, **_: object) -> TorchBackend:
        opened.append(model)
        return alone

    load = TorchBackend.load
    monkeypatch.setattr(TorchBackend, "load", local)
    settings = PredictSettings(method="pluralism", modules=tuple(map(str, folders)))
    resources = Resources(settings)
    modules = [resources.module(str(f)) for f in folders]
    assert opened == [str(base)], "once for both"
    shared = {p.data_ptr() for p in alone.loaded.causal.parameters()}
    for module, folder in zip(modules, folders, strict=True):
        assert isinstance(module, TorchBackend)
        own = [p for p in module.loaded.causal.parameters() if p.data_ptr() not in shared]
        assert sum(p.numel() for p in own) < 0.2 * sum(
            p.numel() for p in module.loaded.causal.parameters()
        )
        lone = load_model(base, adapter=folder, device="cpu", dtype="float32")
        ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
        with torch.inference_mode():
            expected = lone.causal(ids).logits
            assert torch.allclose(module.loaded.causal(ids).logits, expected, atol=1e-5)
            assert not torch.allclose(alone.loaded.causal(ids).logits, expected, atol=1e-3)
        assert module.loaded.weights_hash == lone.weights_hash
    assert modules[0].fingerprint != modules[1].fingerprint
    with pytest.raises(ModelError, match="has one"):
        with_adapter(modules[0].loaded, folders[1])  # type: ignore[attr-defined]
    monkeypatch.setattr(TorchBackend, "load", load)
    monkeypatch.undo()
    shutil.rmtree(folders[0])
    with pytest.raises(ModelError, match="cannot be loaded"):
        Resources(settings).module(str(folders[0]))
