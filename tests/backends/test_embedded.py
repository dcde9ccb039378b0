"""The embedded model: made once, whole or not at all, and the same numbers as a plain forward."""

from __future__ import annotations

import errno
import hashlib
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from opinioncast.backends import LabelRequest, embedded  # noqa: E402
from opinioncast.backends.embedded import embedded_model  # noqa: E402
from opinioncast.backends.labels import plan_labels  # noqa: E402
from opinioncast.backends.torch_backend import TorchBackend  # noqa: E402
from opinioncast.errors import ModelError, StorageError  # noqa: E402
from opinioncast.prompts import Layout  # noqa: E402

PARTS = [b"first part ", b"second part"]


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small parts instead of the four real ones; their folder."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for i, content in enumerate(PARTS):
        (folder / f"part{i}").write_bytes(content)
    monkeypatch.setattr(embedded, "_chunks", lambda: sorted(folder.iterdir()))
    monkeypatch.setattr(embedded, "SHA256", hashlib.sha256(b"".join(PARTS)).hexdigest())
    monkeypatch.setattr(embedded, "_dequantise", lambda work: made(work))
    return folder


def made(work: Path) -> None:
    assert (work / embedded._GGUF).read_bytes() == b"".join(PARTS)
    (work / "model.safetensors").write_bytes(b"weights")
    (work / "config.json").write_text("{}")


def left(cache: Path) -> list[str]:
    return sorted(f.name for f in (cache / "models").iterdir())


def test_it_is_made_once_and_its_terms_are_shown_once(
    stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = embedded_model(cache=tmp_path)
    assert "Gemma Terms of Use" in capsys.readouterr().err
    assert sorted(f.name for f in folder.iterdir()) == [
        "config.json",
        "model.safetensors",
        "opinioncast.json",
    ]
    assert "Gemma Terms of Use" in json.loads((folder / "opinioncast.json").read_text())["terms"]
    monkeypatch.setattr(embedded, "_chunks", lambda: pytest.fail("made a second time"))
    assert embedded_model(cache=tmp_path) == folder
    assert capsys.readouterr().err == ""
    assert left(tmp_path) == [folder.name]


def test_quiet_says_nothing(stub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embedded_model(cache=tmp_path, quiet=True)
    assert capsys.readouterr().err == ""


def test_a_part_that_was_changed(stub: Path, tmp_path: Path) -> None:
    (stub / "part1").write_bytes(b"second pArt")
    with pytest.raises(ModelError, match="fails its checksum") as caught:
        embedded_model(cache=tmp_path)
    assert caught.value.where == "part0, part1"
    assert caught.value.expected == f"sha256 {embedded.SHA256}"
    assert caught.value.hint
    assert left(tmp_path) == []


def test_a_part_that_is_missing(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_chunks", lambda: [stub / "part0", stub / "part9"])
    with pytest.raises(ModelError, match="part of the embedded model is missing"):
        embedded_model(cache=tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device")])
def test_a_full_disk(
    error: OSError, stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(work: Path) -> None:
        (work / "model.safetensors").write_bytes(b"wei")
        raise error

    monkeypatch.setattr(embedded, "_dequantise", full)
    with pytest.raises(StorageError, match="cannot be kept in the cache") as caught:
        embedded_model(cache=tmp_path)
    assert "No space left" in str(caught.value.found)
    assert "OPINIONCAST_CACHE" in str(caught.value.hint)
    assert left(tmp_path) == []


def test_an_interruption_leaves_nothing(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(work: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(embedded, "_dequantise", stop)
    with pytest.raises(KeyboardInterrupt):
        embedded_model(cache=tmp_path)
    assert left(tmp_path) == []


def test_a_cache_that_cannot_be_written(stub: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="cannot be kept in the cache"):
        embedded_model(cache=tmp_path)


@pytest.mark.parametrize("damage", ["no receipt", "broken receipt", "file cut", "file gone"])
def test_half_a_folder_does_not_count(damage: str, stub: Path, tmp_path: Path) -> None:
    folder = embedded_model(cache=tmp_path)
    if damage == "no receipt":
        (folder / "opinioncast.json").unlink()
    elif damage == "broken receipt":
        (folder / "opinioncast.json").write_text("{")
    elif damage == "file cut":
        (folder / "model.safetensors").write_bytes(b"wei")
    else:
        (folder / "model.safetensors").unlink()
    assert embedded_model(cache=tmp_path) == folder
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert left(tmp_path) == [folder.name]


def test_two_at_once_both_get_a_whole_folder(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(4)

    def slow(work: Path) -> None:
        made(work)
        together.wait(timeout=20)

    monkeypatch.setattr(embedded, "_dequantise", slow)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(embedded_model(cache=tmp_path, quiet=True)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert embedded._is_whole(found[0])
    assert left(tmp_path) == [found[0].name]


@pytest.fixture
def single(embedded_float32: TorchBackend) -> TorchBackend:
    return embedded_float32


def plain_probabilities(backend: TorchBackend, request: LabelRequest) -> np.ndarray[Any, Any]:
    """One prompt, whole vocabulary; labels are single tokens (tested below)."""
    tokenizer, model = backend.loaded.tokenizer, backend.loaded.causal
    ids = tokenizer(request.text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        probabilities = model(ids, logits_to_keep=1).logits[0, -1].double().softmax(-1)
    vocabulary = tokenizer.get_vocab()
    return np.array(
        [
            (probabilities[vocabulary[x]] + probabilities[vocabulary["▁" + x]]).item()
            for x in request.labels
        ]
    )


@pytest.fixture(scope="module")
def asked(
    embedded_float32: TorchBackend, survey_requests: Callable[..., list[LabelRequest]]
) -> dict[Layout, tuple[list[LabelRequest], list[np.ndarray[Any, Any]]]]:
    """Real prompts of both layouts with the label probabilities of a plain forward."""
    found = {}
    for layout in Layout:
        requests = survey_requests(layout)[1:6]  # three groups of one question, two of the other
        found[layout] = requests, [plain_probabilities(embedded_float32, r) for r in requests]
    return found


def apart(
    backend: TorchBackend, requests: list[LabelRequest], wanted: list[np.ndarray[Any, Any]]
) -> float:
    scores = dict(backend.score(requests))
    return max(float(np.abs(np.exp(scores[i].log_probs) - w).max()) for i, w in enumerate(wanted))


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(Layout))
def test_trees_equal_the_plain_forward_in_float32(
    layout: Layout, single: TorchBackend, asked: dict[Layout, Any]
) -> None:
    assert single.shared_prefix
    assert apart(single, *asked[layout]) < 1e-4


@pytest.mark.slow
def test_trees_equal_the_plain_forward_past_the_sliding_window(single: TorchBackend) -> None:
    long = "It rained all day in the town by the river, and nobody went out. " * 36
    requests = [
        LabelRequest(f"{long}\nQuestion: {end}\nA. Yes\nB. No\nAnswer:", ("A", "B"), "long")
        for end in ("Did it rain?", "Was it a dry day in the town?")
    ]
    assert len(single.token_ids(requests[0].text)) > 512 + 20
    wanted = [plain_probabilities(single, r) for r in requests]
    assert apart(single, requests, wanted) < 1e-4
    assert single._reach is None  # they were packed


@pytest.mark.slow
@pytest.mark.parametrize("layout", list(Layout))
def test_the_default_precision_stays_close_to_float32(
    layout: Layout, embedded_backend: TorchBackend, asked: dict[Layout, Any]
) -> None:
    """Where that is bfloat16 its rounding moves a label's probability by up to 0.03 or so."""
    assert embedded_backend.shared_prefix
    assert apart(embedded_backend, *asked[layout]) < 0.05


@pytest.mark.slow
def test_every_label_is_one_token_with_and_without_its_space(single: TorchBackend) -> None:
    plan = plan_labels(single.loaded.tokenizer, "Answer:", tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    assert plan.single_token
    tokens = [single.loaded.tokenizer.convert_ids_to_tokens(i) for i in plan.wanted[0]]
    assert tokens == [said for x in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" for said in (x, "▁" + x)]


@pytest.mark.slow
def test_the_folder_is_what_the_quantised_file_says(
    embedded_folder: Path, single: TorchBackend, tmp_path: Path
) -> None:
    """Against gguf's own dequantisation and vocabulary."""
    gguf = pytest.importorskip("gguf")
    from safetensors import safe_open

    path = tmp_path / "model.gguf"
    embedded._join(embedded._chunks(), path)
    reader = gguf.GGUFReader(path)
    stored = {t.name: t for t in reader.tensors}
    names = {
        "blk.0.attn_q.weight": "model.layers.0.self_attn.q_proj.weight",
        "blk.5.attn_k.weight": "model.layers.5.self_attn.k_proj.weight",
        "blk.9.ffn_gate.weight": "model.layers.9.mlp.gate_proj.weight",
        "blk.17.ffn_down.weight": "model.layers.17.mlp.down_proj.weight",
        "blk.17.attn_output.weight": "model.layers.17.self_attn.o_proj.weight",
        "output_norm.weight": "model.norm.weight",
        "blk.3.attn_q_norm.weight": "model.layers.3.self_attn.q_norm.weight",
        "token_embd.weight": "model.embed_tokens.weight",
    }
    with safe_open(embedded_folder / "model.safetensors", "pt") as file:
        for theirs, ours in names.items():
            tensor = stored[theirs]
            rows = slice(0, 2_000)
            wanted = gguf.quants.dequantize(tensor.data[rows], tensor.tensor_type)
            if "norm" in theirs:  # llama.cpp stores Gemma's norms with the 1 added
                wanted = wanted - 1
            found = file.get_tensor(ours)[rows]
            assert torch.equal(found, torch.from_numpy(wanted).to(torch.bfloat16)), theirs
    field = reader.fields["tokenizer.ggml.tokens"]
    for token, at in single.loaded.tokenizer.get_vocab().items():
        if at in (0, 1, 2, 100, 236_787) or token in ("A", "▁A", "Z", "▁Refused"):
            assert bytes(field.parts[field.data[at]]).decode() == token


@pytest.mark.slow
def test_it_knows_its_english(single: TorchBackend) -> None:
    ids = single.token_ids("The capital of France is")
    assert single.loaded.tokenizer.convert_ids_to_tokens(ids[0]) == "<bos>"
    with torch.no_grad():
        logits = single._causal(torch.tensor([ids])).logits[0, -1]
    assert single.loaded.tokenizer.decode([int(logits.argmax())]).strip() in ("Paris", "the", "a")
    top = single.loaded.tokenizer.convert_ids_to_tokens(logits.topk(5).indices.tolist())
    assert "▁Paris" in top


@pytest.mark.slow
def test_the_real_parts_make_a_whole_folder_that_loads(
    tmp_path: Path, embedded_folder: Path
) -> None:
    folder = embedded_model(cache=tmp_path, quiet=True)
    assert left(tmp_path) == [folder.name]
    assert embedded._is_whole(folder)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        ours, theirs = ((f / name).read_bytes() for f in (folder, embedded_folder))
        assert hashlib.sha256(ours).digest() == hashlib.sha256(theirs).digest()
