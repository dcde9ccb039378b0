"""A BERT with mean pooling, as most small sentence models are, read straight from its folder.

The library sentence-transformers loads any sentence model; importing it takes as long as everything
else that a short command does (``benchmarks/predictor.py``: ``sentences_s`` beside
``sentence_transformers_s``). The commonest kind needs nothing of it: word pieces by ``tokenizers``,
weights by ``safetensors``, six layers of PyTorch's own operations. Vectors equal the library's to
the last digits that single precision has (``tests/backends/test_bert_sentences.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from opinioncast.documents import read_document

_MODULES = ("Transformer", "Pooling", "Normalize")
_BATCH = 64  # texts at a time, as sentence-transformers is asked for


@dataclass(frozen=True)
class BertSentences:
    """The model.

    Attributes:
        weights: by the names that its file has.
        tokenizer: of the library tokenizers; cuts at ``limit`` and pads nothing.
        limit: tokens that it reads.
        depth, heads: of the encoder: its layers, and the heads of each.
        epsilon: of its layer norms.
    """

    weights: Mapping[str, Tensor]
    tokenizer: Any
    limit: int
    depth: int
    heads: int
    epsilon: float

    pooling: ClassVar[Sequence[str]] = ()  # the plain mean

    @classmethod
    def of_folder(cls, folder: Path, device: str | None = None) -> BertSentences | None:
        """The model of a folder as sentence-transformers writes it; None where it is of another
        kind, which that library must load.

        Raises:
            Whatever reading its files does: ``ModelError``, or errors of safetensors, tokenizers.
        """
        needed = ("modules.json", "config.json", "model.safetensors", "tokenizer.json")
        if not all((folder / name).is_file() for name in needed):
            return None
        modules = read_document(folder / "modules.json", "A sentence model's parts")
        if tuple(str(m["type"]).rpartition(".")[2] for m in modules) != _MODULES:
            return None
        pooling = _settings(folder / str(modules[1]["path"]) / "config.json")
        config = _settings(folder / "config.json")
        reading = _settings(folder / "sentence_bert_config.json")
        chosen = [k for k, on in pooling.items() if k.startswith("pooling_mode_") and on]
        if (
            chosen != ["pooling_mode_mean_tokens"]
            or config.get("model_type") != "bert"
            or config.get("hidden_act") != "gelu"
            or config.get("position_embedding_type", "absolute") != "absolute"
            or config.get("is_decoder")
            or reading.get("do_lower_case")
            or "max_seq_length" not in reading
        ):
            return None
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        limit = int(reading["max_seq_length"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(limit)
        found = load_file(folder / "model.safetensors", device=device or "cpu")
        weights = {n: t for n, t in found.items() if t.is_floating_point()}
        depth = int(config["num_hidden_layers"])
        if not _needed(depth) <= set(weights) or any(
            t.dtype is not torch.float32 for t in weights.values()
        ):  # named otherwise, or in half precision
            return None
        return cls(
            weights,
            tokenizer,
            limit,
            depth,
            int(config["num_attention_heads"]),
            float(config["layer_norm_eps"]),
        )

    @property
    def dimensions(self) -> int:
        return int(self.weights["embeddings.word_embeddings.weight"].shape[1])

    def parameters(self) -> Iterable[Tensor]:
        return self.weights.values()

    def vocabulary(self) -> Mapping[str, int]:
        return dict(self.tokenizer.get_vocab())

    def tokens(self, text: str) -> int:
        """How many tokens ``text`` has, those beyond the limit included."""
        found = self.tokenizer.encode(text)
        around = self.tokenizer.num_special_tokens_to_add(False)
        return len(found.ids) + sum(len(rest.ids) - around for rest in found.overflowing)

    @torch.no_grad()
    def vectors(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors, shape (texts, dimensions); texts of like length are computed together."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        found = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            encoded = self.tokenizer.encode_batch([texts[i] for i in part])
            found[part] = self._encode([e.ids for e in encoded]).float().cpu().numpy()
        return found

    def _encode(self, ids: Sequence[Sequence[int]]) -> Tensor:
        device = self.weights["embeddings.word_embeddings.weight"].device
        longest = max(map(len, ids))
        padded = torch.tensor([[*i, *[0] * (longest - len(i))] for i in ids], device=device)
        lengths = torch.tensor([len(i) for i in ids], device=device)
        real = torch.arange(longest, device=device) < lengths[:, None]
        hidden = self._layers(self._embedded(padded), real)
        kept = real[..., None].to(hidden.dtype)
        return functional.normalize((hidden * kept).sum(1) / kept.sum(1), dim=1)

    def _embedded(self, ids: Tensor) -> Tensor:
        word = self.weights["embeddings.word_embeddings.weight"][ids]
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        place = self.weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        return self._norm(word + kind + place, "embeddings.LayerNorm")

    def _layers(self, hidden: Tensor, real: Tensor) -> Tensor:
        rows, length, width = hidden.shape
        shape = (rows, length, self.heads, width // self.heads)
        seen = real[:, None, None, :]
        for i in range(self.depth):
            at = f"encoder.layer.{i}"
            query, key, value = (
                self._linear(hidden, f"{at}.attention.self.{n}").view(shape).transpose(1, 2)
                for n in ("query", "key", "value")
            )
            mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=seen)
            mixed = mixed.transpose(1, 2).reshape(rows, length, width)
            told = self._linear(mixed, f"{at}.attention.output.dense") + hidden
            hidden = self._norm(told, f"{at}.attention.output.LayerNorm")
            inner = functional.gelu(self._linear(hidden, f"{at}.intermediate.dense"))
            told = self._linear(inner, f"{at}.output.dense") + hidden
            hidden = self._norm(told, f"{at}.output.LayerNorm")
        return hidden

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return functional.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight = self.weights[f"{name}.weight"]
        bias = self.weights[f"{name}.bias"]
        return functional.layer_norm(x, weight.shape, weight, bias, self.epsilon)


def _needed(depth: int) -> set[str]:
    """Names of the tensors that are computed with."""
    kinds = ("word", "token_type", "position")
    names = {f"embeddings.{kind}_embeddings.weight" for kind in kinds}
    parts = [
        "embeddings.LayerNorm",
        *(
            f"encoder.layer.{i}.{part}"
            for i in range(depth)
            for part in (
                *(f"attention.self.{n}" for n in ("query", "key", "value")),
                *("attention.output.dense", "attention.output.LayerNorm"),
                *("intermediate.dense", "output.dense", "output.LayerNorm"),
            )
        ),
    ]
    return names | {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}


def _settings(file: Path) -> dict[str, Any]:
    return dict(read_document(file, "A sentence model's settings")) if file.is_file() else {}
