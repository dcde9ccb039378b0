"""What every backend can do: score the labels that may follow a text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class LabelRequest:
    """A text and the labels whose probability to follow it is wanted.

    Attributes:
        text: the prompt, ending where the label is expected.
        labels: for example ``("A", "B", "C")``.
        tree: requests with the same key begin alike; a backend may share that beginning.
    """

    text: str
    labels: tuple[str, ...]
    tree: str = ""


@dataclass(frozen=True, slots=True)
class LabelScores:
    """Natural log-probability of each label among everything the model could say next.

    Each label counts with and without its leading space. Shape (labels,), float64.
    """

    log_probs: npt.NDArray[np.float64]

    @property
    def mass(self) -> float:
        """Probability that the model says any of the labels at all."""
        return float(np.exp(self.log_probs).sum())

    @property
    def shares(self) -> npt.NDArray[np.float64]:
        """Probabilities given that one of the labels is said, summing to one."""
        shifted = np.exp(self.log_probs - self.log_probs.max())
        return np.asarray(shifted / shifted.sum())


@runtime_checkable
class Backend(Protocol):
    """A language model that scores labels.

    ``fingerprint`` holds all that shapes its numbers (weights, adapter, tokenizer, dtype); rows
    are cached under it.
    """

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> Mapping[str, Any]: ...

    @property
    def has_chat_template(self) -> bool: ...

    def chat_text(self, message: str) -> str:
        """``message`` as a user's turn, up to where the model's turn begins."""
        ...

    def score(self, requests: Sequence[LabelRequest]) -> Iterator[tuple[int, LabelScores]]:
        """Yield (index into ``requests``, scores) as they come; every index exactly once."""
        ...
