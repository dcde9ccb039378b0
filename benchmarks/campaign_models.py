"""Models' own files and kept vectors for `campaign.py`: damaged, they are refused or made again.

A trained model is put out as the program itself writes it, one of its files is damaged or edited,
and it is opened: it must be refused by name, or be the model that it was.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from campaign_inputs import Try, damaged, swapped


class Encoder:
    """In place of the sentence model: as many numbers a text as the shipped kernel wants."""

    name = fingerprint = ""

    def encode(self, texts: Sequence[str], **_: Any) -> Any:
        return np.ones((len(texts), 384), np.float32)


def _harmed(chance: random.Random, victim: Path) -> None:
    """JSON edited by somebody or damaged, anything else damaged."""
    if victim.suffix == ".json" and chance.random() < 0.6:
        content = swapped(chance, json.loads(victim.read_text("utf-8")))
        victim.write_text(json.dumps(content), "utf-8")
    else:
        victim.write_bytes(damaged(chance, victim.read_bytes()))


def kernel(chance: random.Random, folder: Path) -> Try:
    """The shipped kernel regression: refused, or as it was."""
    from opinioncast.methods.network import load_embedding_model
    from opinioncast.models import SHIPPED_NETWORK

    encoder: Any = Encoder()
    told = json.loads((SHIPPED_NETWORK / "network.json").read_text("utf-8"))
    encoder.fingerprint = told["sentence_model"]["fingerprint"]
    whole: Any = load_embedding_model(SHIPPED_NETWORK, encoder)
    whole.save(folder / "n")
    _harmed(chance, folder / "n" / chance.choice(("network.json", "network.safetensors")))

    def load() -> None:
        found: Any = load_embedding_model(folder / "n", encoder)
        assert found.settings == whole.settings, found.settings
        assert np.array_equal(found.weights, whole.weights), "other weights"

    return Try("kernels", folder, load)


def network(chance: random.Random, folder: Path) -> Try:
    """A small network over sentence embeddings, trained for nothing: refused, or as it was."""
    import torch

    from opinioncast.methods.embedding.network import EmbeddingNetwork, NetworkShape, OptionNetwork

    torch.manual_seed(chance.randrange(2**31))
    encoder: Any = Encoder()
    shape = NetworkShape(width=8, layers=1, heads=2, rank=2)
    members = [OptionNetwork(shape, 1) for _ in range(2)]
    whole = EmbeddingNetwork(members, encoder, ["aged 18 to 29"], 1.25, {"made": "up"})
    whole.save(folder / "n")
    _harmed(chance, folder / "n" / chance.choice(("network.json", "network.safetensors")))

    def load() -> None:
        found = EmbeddingNetwork.load(folder / "n", encoder)
        assert (found.temperature, list(found.seen)) == (1.25, ["aged 18 to 29"]), found
        for old, new in zip(members, found.members, strict=True):
            for key, value in old.state_dict().items():
                # float16 on disk
                assert torch.allclose(new.state_dict()[key], value, atol=1e-3), key

    return Try("networks", folder, load)


def adapter(chance: random.Random, folder: Path) -> Try:
    """A PEFT adapter that a run of `finetune` wrote: refused, or as it was."""
    import torch
    from safetensors.torch import load_file, save_file

    from opinioncast.backends.adapter_files import check_adapter
    from opinioncast.files import atomic_path
    from opinioncast.jobs.manifest import write_manifest
    from opinioncast.output_folder import output_folder

    place = folder / "a"
    weights = {
        f"base_model.model.layers.{i}.lora_{ab}.weight": torch.full(shape, chance.random())
        for i in range(2)
        for ab, shape in (("A", (2, 8)), ("B", (8, 2)))
    }
    config = {"base_model_name_or_path": "embedded", "peft_type": "LORA", "r": 2, "lora_alpha": 4}
    config |= {"task_type": "CAUSAL_LM", "target_modules": ["q_proj"]}
    with output_folder(place, "finetune"):
        with atomic_path(place / "adapter_config.json") as temporary:
            temporary.write_text(json.dumps(config), "utf-8")
        with atomic_path(place / "adapter_model.safetensors") as temporary:
            save_file(weights, temporary)
        write_manifest(place, {}, [])
    names = ("adapter_config.json", "adapter_model.safetensors", "manifest.json")
    _harmed(chance, place / chance.choice(names))

    def load() -> None:
        assert check_adapter(place) == config
        found = load_file(place / "adapter_model.safetensors")
        assert all(torch.equal(found[name], value) for name, value in weights.items())

    return Try("adapters", folder, load)


def vectors(chance: random.Random, folder: Path) -> Try:
    """Sentence vectors on disk with bytes changed: as they were put, or made again."""

    def use() -> None:
        from opinioncast.kept_store import KeptStore, Table

        made = {bytes([i]) * 32: np.full(384, i / 7, np.float32).tobytes() for i in range(20)}
        path = folder / "vectors.sqlite"

        def store() -> KeptStore:
            return KeptStore(path, [Table("vectors")], what="Vectors", bounded=True, hint="-")

        kept = store()
        kept.put("vectors", made.items())
        kept.close()
        for file in folder.glob("vectors.sqlite*"):
            file.write_bytes(damaged(chance, file.read_bytes()))
        kept = store()
        found = kept.get("vectors", list(made))
        assert all(made[key] == value for key, value in found.items()), "another vector"
        kept.put("vectors", made.items())
        assert kept.get("vectors", list(made)) == made
        kept.close()

    return Try("caches", folder, use)


def journal(chance: random.Random, folder: Path) -> Try:
    """The journal of paid answers with bytes changed: as they came, or asked again."""

    def use() -> None:
        from opinioncast.backends.api_journal import Journal

        path = folder / "answers.sqlite"
        made = {Journal.key("u", i): {"text": f"\x00 {i}", "p": i / 3} for i in range(9)}
        kept = Journal(path)
        for key, answer in made.items():
            kept.begin(key)
            kept.keep(key, answer)
        kept.close()
        for file in folder.glob("answers.sqlite*"):
            file.write_bytes(damaged(chance, file.read_bytes()))
        kept = Journal(path)
        for key, answer in made.items():
            assert kept.get(key) in (answer, None), "another answer"
            kept.begin(key)
            kept.keep(key, answer)
            assert kept.get(key) == answer
        kept.close()

    return Try("journals", folder, use)


MODEL_KINDS: tuple[Callable[[random.Random, Path], Try], ...] = (
    *(kernel, network, adapter, vectors, journal),
)
