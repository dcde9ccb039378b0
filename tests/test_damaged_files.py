"""Files that models and evidence are kept in, damaged in every way: refused by name, never a fault.

Each is flipped, cut, filled with another's bytes, nested, given other types and other shapes; what
is read all the same must be what was written.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from opinioncast.backends.adapter_files import check_adapter
from opinioncast.errors import OpinioncastError
from opinioncast.evidence.calibration import read_calibration
from opinioncast.evidence.frame import read_frame
from opinioncast.evidence.observations import Cell, Published
from opinioncast.evidence.past import read_memory
from opinioncast.evidence.prior import read_prior
from opinioncast.evidence.store import read_evidence_folder, write_evidence
from opinioncast.models import SHIPPED_ADAPTER
from opinioncast.survey import Subpopulation

EVIDENCE = SHIPPED_ADAPTER.parent / "evidence"
VALUES: list[Any] = [
    *(None, True, -1, 0, 1e999, float("nan"), "x", "", [], {}, [[]], {"a": {"b": []}}, "\ud800"),
    *([1] * 50, "9" * 400),
]


def damaged(raw: bytes, seed: int) -> bytes:
    """A file's bytes, damaged: cut, flipped, repeated, replaced."""
    draw = random.Random(seed)
    made = bytearray(raw)
    match seed % 5:
        case 0:
            del made[draw.randrange(len(made)) :]
        case 1:
            for _ in range(draw.choice([1, 3, 200])):
                made[draw.randrange(len(made))] ^= 1 << draw.randrange(8)
        case 2:
            start = draw.randrange(len(made))
            made[start : start + draw.randrange(1, 400)] = bytes(draw.randrange(300))
        case 3:
            made[: draw.randrange(len(made))] = b""
        case _:
            made = bytearray(draw.choice([b"", b"[" * 100_000, b"\xff\xfe", b"{}", b"[]", b"null"]))
    return bytes(made)


def changed(content: Any, seed: int) -> Any:
    """JSON with one value anywhere replaced, or one key gone."""
    draw = random.Random(seed)
    copy = json.loads(json.dumps(content))
    place, parent = copy, None
    key: Any = None  # a place's name or number
    while isinstance(place, dict | list) and place:
        key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
        parent, place = place, place[key]
        if draw.random() < 0.3:
            break
    if draw.random() < 0.3 and isinstance(parent, dict):
        del parent[key]
    elif parent is not None:
        parent[key] = draw.choice(VALUES)
    return copy


def refused_or(read: Callable[[], Any], same: Callable[[Any], bool], name: str) -> None:
    """Reading is refused with the file's name, or gives what is whole."""
    try:
        found = read()
    except OpinioncastError as error:
        assert name in str(error)  # noqa: PT017
    else:
        assert same(found)


@pytest.mark.parametrize("seed", range(40))
def test_a_prior(tmp_path: Path, seed: int) -> None:
    whole = read_prior()
    path = tmp_path / "prior.npz"
    path.write_bytes(damaged((EVIDENCE / "prior.npz").read_bytes(), seed))
    refused_or(lambda: read_prior(path), lambda p: bool(np.isfinite(p.covariance).all()), path.name)
    card = dict(whole.card) | {
        "columns": [list(c) for c in whole.groups.columns],
        "level": whole.level,
        "spread": whole.spread,
    }
    draw = random.Random(seed)
    size = len(whole.groups) - draw.choice([0, 0, 1])
    covariance = whole.covariance[:size, :size].copy()
    if draw.random() < 0.3:
        covariance[0, -1] = draw.choice([np.nan, np.inf, 1e9])
    np.savez(
        path,
        card=np.array(json.dumps(changed(card, seed))),
        center=whole.center[:size],
        covariance=covariance,
    )
    refused_or(
        lambda: read_prior(path),
        lambda p: p.covariance.shape == (len(p.groups),) * 2 and p.level > 0,
        path.name,
    )


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(
    ("name", "read"), [("calibration", read_calibration), ("memory", read_memory)]
)
def test_measured_factors(tmp_path: Path, name: str, read: Any, seed: int) -> None:
    raw = (EVIDENCE / f"{name}.json").read_bytes()
    path = tmp_path / f"{name}.json"
    part = "pooled" if name == "calibration" else "level"
    for content in (damaged(raw, seed), json.dumps(changed(json.loads(raw), seed)).encode()):
        path.write_bytes(content)
        refused_or(
            lambda: read(path),
            lambda found: all(0 < v < np.inf for v in getattr(found, part).values()),
            path.name,
        )


@pytest.mark.parametrize("seed", range(30))
def test_a_frame(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "us_adults.parquet"
    raw = (EVIDENCE / path.name).read_bytes()
    card = EVIDENCE / f"{path.name}.json"
    for frame, told in (
        (damaged(raw, seed), card.read_bytes()),
        (raw, damaged(card.read_bytes(), seed)),
    ):
        path.write_bytes(frame)
        (tmp_path / card.name).write_bytes(told)
        refused_or(lambda: read_frame(path), lambda f: abs(f.weights.sum() - 1) < 1e-6, path.name)


@pytest.mark.parametrize("seed", range(60))
def test_a_piece_of_evidence(tmp_path: Path, seed: int) -> None:
    cell = Cell("q", Subpopulation(), (0.25, 0.75), 900.0)
    piece = Published("a topline", (cell, replace(cell, question_id="r")))
    (path,) = write_evidence(tmp_path, [piece])
    raw = path.read_bytes()
    for content in (damaged(raw, seed), json.dumps(changed(json.loads(raw), seed)).encode()):
        path.write_bytes(content)
        refused_or(
            lambda: read_evidence_folder(tmp_path), lambda found: found == [piece], path.name
        )


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small adapter with a manifest that a run wrote."""
    from opinioncast.files import checksum

    folder = tmp_path_factory.mktemp("adapter")
    draw = np.random.default_rng(0)
    save_file(
        {f"layer.{i}.lora_A": draw.normal(size=(2, 8)).astype(np.float32) for i in range(3)},
        folder / "adapter_model.safetensors",
    )
    shutil.copy(SHIPPED_ADAPTER / "adapter_config.json", folder)
    files = {f.name: checksum(f) for f in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps({"versions": {}, "files": files}))
    return folder


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("seed", range(40))
def test_an_adapter(tmp_path: Path, adapter: Path, seed: int, listed: bool) -> None:
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        folder = tmp_path / name
        shutil.copytree(adapter, folder)
        if not listed:
            (folder / "manifest.json").unlink()
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(damaged(raw, seed))
        refused_or(
            lambda folder=folder: check_adapter(folder),  # type: ignore[misc]
            lambda found: not listed and isinstance(found, dict),
            name,
        )


def test_an_adapter_with_numbers_that_are_none(tmp_path: Path, adapter: Path) -> None:
    folder = tmp_path / "a"
    shutil.copytree(adapter, folder)
    (folder / "manifest.json").unlink()
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors["layer.1.lora_A"] = np.full((2, 8), np.nan, np.float32)
    save_file(tensors, folder / "adapter_model.safetensors")
    with pytest.raises(OpinioncastError, match=r"layer\.1\.lora_A has numbers that are none"):
        check_adapter(folder)


def test_an_adapter_of_a_run_that_was_killed(tmp_path: Path, adapter: Path) -> None:
    folder = tmp_path / "a"
    shutil.copytree(adapter, folder)
    assert check_adapter(folder)["peft_type"] == "LORA"
    (folder / ".opinioncast-0123abcd.jsonl").write_text("")
    with pytest.raises(OpinioncastError, match="not whole"):
        check_adapter(folder)


def test_the_shipped_adapter_is_what_its_manifest_says() -> None:
    assert check_adapter(SHIPPED_ADAPTER)["task_type"] == "CAUSAL_LM"
