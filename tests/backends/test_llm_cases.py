"""Cases that went wrong for people: models and questionnaires kept beside the repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

pytest.importorskip("torch")
peft = pytest.importorskip("peft")

from opinioncast.backends import LabelRequest  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.backends.torch_model import load_model  # noqa: E402
from opinioncast.errors import ModelError  # noqa: E402


@pytest.fixture(scope="module")
def cases() -> Path:
    folder = Path(__file__).parents[3] / "shared" / "cases" / "llm"
    if not folder.is_dir():
        pytest.skip(f"the cases are not here (looked in {folder})")
    return folder


def test_options_that_begin_alike_to_a_tokenizer_without_line_breaks(cases: Path) -> None:
    (question,) = yaml.safe_load((cases / "words" / "q.yaml").read_text("utf-8"))["questions"]
    backend = TorchBackend.load(cases / "models" / "gpt2-bert-tok", dtype="float32", device="cpu")
    asked = LabelRequest("Answer:", tuple(question["options"]), words=True)
    with pytest.raises(ModelError) as caught:
        dict(backend.score([asked]))
    assert caught.value.hint


def test_a_merged_model_with_its_adapter(cases: Path, tmp_path: Path) -> None:
    folder = cases / "models" / "merged-with-both"
    with pytest.raises(ModelError, match="a whole model and an adapter") as caught:
        load_model(folder, dtype="float32", device="cpu")
    assert "--adapter" in str(caught.value.hint)
    merged = tmp_path / "merged"  # the way out that is named
    shutil.copytree(folder, merged, ignore=shutil.ignore_patterns("adapter_*"))
    loaded = load_model(merged, dtype="float32", device="cpu")
    assert loaded.adapter is None
    assert not any("lora" in name for name, _ in loaded.causal.named_parameters())
