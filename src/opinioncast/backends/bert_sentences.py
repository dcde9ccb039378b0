"""A BERT with mean pooling, as most small sentence models are, read straight from its folder.

The library sentence-transformers loads any sentence model; importing it takes as long as everything
else that a short command does (``benchmarks/predictor.py``: ``sentences_s`` beside
``sentence_transformers_s``). The commonest kind needs nothing of it: word pieces by ``tokenizers``,
weights by ``safetensors``, six layers by NumPy: importing PyTorch takes longer than the vectors of
forty questions. Vectors equal the library's to the last digits that single precision has
(``tests/backends/test_bert_sentences.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from scipy.special import erf

from opinioncast.documents import read_document

_MODULES = ("Transformer", "Pooling", "Normalize")
_BATCH = 16  # texts at a time, of like length: more do not fit a processor's cache

Array = npt.NDArray[np.float32]


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

    weights: Mapping[str, Array]
    tokenizer: Any
    limit: int
    depth: int
    heads: int
    epsilon: float

    pooling: ClassVar[Sequence[str]] = ()  # the plain mean

    @classmethod
    def of_folder(cls, folder: Path) -> BertSentences | None:
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
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        limit = int(reading["max_seq_length"])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(limit)
        try:
            found = load_file(folder / "model.safetensors")
        except TypeError:  # a kind of number that NumPy does not have (bfloat16)
            return None
        weights = {n: w for n, w in found.items() if np.issubdtype(w.dtype, np.floating)}
        depth = int(config["num_hidden_layers"])
        if not _needed(depth) <= set(weights) or any(
            w.dtype != np.float32 for w in weights.values()
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

    def parameters(self) -> Iterable[Array]:
        return self.weights.values()

    def vocabulary(self) -> Mapping[str, int]:
        return dict(self.tokenizer.get_vocab())

    def tokens(self, text: str) -> int:
        """How many tokens ``text`` has, those beyond the limit included."""
        found = self.tokenizer.encode(text)
        around = self.tokenizer.num_special_tokens_to_add(False)
        return len(found.ids) + sum(len(rest.ids) - around for rest in found.overflowing)

    def vectors(self, texts: Sequence[str]) -> Array:
        """Unit vectors, shape (texts, dimensions); texts of like length are computed together."""
        encoded = [e.ids for e in self.tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(texts)), key=lambda i: -len(encoded[i]))
        found = np.empty((len(texts), self.dimensions), dtype=np.float32)
        for start in range(0, len(order), _BATCH):
            part = order[start : start + _BATCH]
            found[part] = self._encode([encoded[i] for i in part])
        return found

    def _encode(self, ids: Sequence[Sequence[int]]) -> Array:
        longest = max(map(len, ids))
        padded = np.array([[*i, *[0] * (longest - len(i))] for i in ids])
        real = np.arange(longest) < np.array([len(i) for i in ids])[:, None]
        hidden = self._layers(self._embedded(padded), real)
        kept = real[..., None].astype(np.float32)
        mean = (hidden * kept).sum(axis=1) / kept.sum(axis=1)
        return np.asarray(mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12))

    def _embedded(self, ids: npt.NDArray[np.int64]) -> Array:
        word = self.weights["embeddings.word_embeddings.weight"][ids]
        kind = self.weights["embeddings.token_type_embeddings.weight"][0]
        place = self.weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        return self._norm(word + kind + place, "embeddings.LayerNorm")

    def _layers(self, hidden: Array, real: npt.NDArray[np.bool_]) -> Array:
        rows, length, width = hidden.shape
        shape = (rows, length, self.heads, width // self.heads)
        root = np.float32(1 / np.sqrt(width // self.heads))
        hidden = hidden.reshape(rows * length, width)
        for i in range(self.depth):
            at = f"encoder.layer.{i}"
            query, key, value = (
                self._linear(hidden, f"{at}.attention.self.{n}").reshape(shape).swapaxes(1, 2)
                for n in ("query", "key", "value")
            )
            scores = (query * root) @ key.swapaxes(2, 3)
            scores = np.where(real[:, None, None, :], scores, np.float32(-np.inf))
            scores -= scores.max(axis=-1, keepdims=True)
            np.exp(scores, out=scores)
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed = (scores @ value).swapaxes(1, 2).reshape(rows * length, width)
            told = self._linear(mixed, f"{at}.attention.output.dense") + hidden
            hidden = self._norm(told, f"{at}.attention.output.LayerNorm")
            inner = gelu(self._linear(hidden, f"{at}.intermediate.dense"))
            told = self._linear(inner, f"{at}.output.dense") + hidden
            hidden = self._norm(told, f"{at}.output.LayerNorm")
        return hidden.reshape(rows, length, width)

    def _linear(self, x: Array, name: str) -> Array:
        out = x @ self.weights[f"{name}.weight"].T
        out += self.weights[f"{name}.bias"]
        return out

    def _norm(self, x: Array, name: str) -> Array:
        away = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((away * away).mean(axis=-1, keepdims=True) + np.float32(self.epsilon))
        away /= spread
        away *= self.weights[f"{name}.weight"]
        away += self.weights[f"{name}.bias"]
        return away


def gelu(x: Array) -> Array:
    """x times the normal distribution function of x, in single precision."""
    found: Array = erf(x * np.float32(np.sqrt(0.5)))
    found += 1
    found *= x
    found *= np.float32(0.5)
    return found


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
