"""A small network over frozen sentence embeddings: trained in minutes on a CPU, a few MB.

The idea of GEMS (arXiv 2511.02135) with text in the place of node tables, so that unseen questions
and groups have a prediction. Each option of a question is a token (question, option in the
question's context, option, place on the scale); attention across the options gives a state h_o; the
logit of option o in group g is

    level(h_o) + <V h_o, sum over the conditions of g of (W e_c + offset_c)>

with e_c the embedding of a condition ("I am female.") and an offset for conditions seen in
training. The total population has no condition: its logits are the level, which all groups share.
Several networks trained from different seeds are averaged; all logits are multiplied by one
temperature fitted on validation questions (0 would be the uniform distribution).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from opinioncast.methods.embedding.features import (
    SCALE_FEATURES,
    QuestionFeatures,
    TextEncoder,
    group_texts,
    question_features,
)
from opinioncast.methods.embedding.files import fitting_weights, read_model, write_model
from opinioncast.methods.embedding.rows import Shares, rows_in_batches
from opinioncast.methods.prediction import Prediction, Progress
from opinioncast.survey import Cells, Question
from opinioncast.survey.sameness import asked_before

KIND = "embedding network"
_BATCH = 256  # questions at a time in prediction


@dataclass(frozen=True, slots=True)
class NetworkShape:
    """Sizes of one network.

    Attributes:
        inputs: width of the sentence embeddings.
        width: of an option's state.
        layers, heads: of the attention across options; 0 layers treat options apart.
        rank: of the interaction of option and group.
        dropout: inside the network.
        input_dropout: of the embeddings.
    """

    inputs: int = 384
    width: int = 128
    layers: int = 2
    heads: int = 4
    rank: int = 32
    dropout: float = 0.1
    input_dropout: float = 0.0


class OptionNetwork(nn.Module):
    """One network; ``conditions`` is how many conditions have an offset of their own."""

    def __init__(self, shape: NetworkShape, conditions: int) -> None:
        super().__init__()
        width = shape.width
        self.shape = shape
        self.drop = nn.Dropout(shape.input_dropout)
        self.question = nn.Linear(shape.inputs, width)
        self.context = nn.Linear(shape.inputs, width, bias=False)
        self.option = nn.Linear(shape.inputs, width, bias=False)
        self.scale = nn.Sequential(
            nn.Linear(SCALE_FEATURES, width), nn.GELU(), nn.Linear(width, width)
        )
        self.attention = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width,
                shape.heads,
                2 * width,
                shape.dropout,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(shape.layers)
        )
        self.norm = nn.LayerNorm(width)
        self.after = nn.Dropout(shape.dropout)
        self.level = nn.Linear(width, 1, bias=False)
        self.interaction = nn.Linear(width, shape.rank, bias=False)
        self.group = nn.Linear(shape.inputs, shape.rank, bias=False)
        self.offset = nn.Parameter(torch.zeros(conditions, shape.rank))

    def forward(self, batch: Mapping[str, Tensor], conditions: Tensor, offsets: Tensor) -> Tensor:
        """Logits, shape (questions, groups, options); padding has minus infinity.

        Args:
            batch: tensors of :class:`QuestionFeatures`, by name.
            conditions: summed condition embeddings of each group, shape (groups, inputs).
            offsets: which seen conditions each group has, 0 or 1, shape (groups, conditions).
        """
        state = (
            self.question(self.drop(batch["question"]))[:, None]
            + self.context(self.drop(batch["context"]))
            + self.option(self.drop(batch["option"]))
            + self.scale(batch["scale"])
        )
        padded = ~batch["real"]
        for layer in self.attention:
            state = layer(state, src_key_padding_mask=padded)
        state = self.after(self.norm(state))
        people = self.group(self.drop(conditions)) + offsets @ self.offset
        logits = self.level(state).transpose(1, 2) + torch.einsum(
            "qor,gr->qgo", self.interaction(state), people
        )
        masked: Tensor = logits.masked_fill(padded[:, None], -torch.inf)
        return masked


@dataclass(frozen=True)
class EmbeddingNetwork:
    """The method: averaged networks on a sentence model.

    Attributes:
        members: trained networks of one shape.
        encoder: the sentence model they were trained on.
        seen: texts of the conditions with an offset, in the order of the offsets.
        temperature: factor on all logits, fitted on validation questions.
        record: how it was trained (data, settings, scores).
        asked: :func:`opinioncast.survey.sameness.digests` of the training questions.
    """

    members: Sequence[OptionNetwork]
    encoder: TextEncoder
    seen: Sequence[str]
    temperature: float
    record: Mapping[str, Any]
    asked: str = ""

    @property
    def name(self) -> str:
        return "embedding network"

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Predict every cell; refusals are not predicted."""
        people = people_features(
            group_texts(list(cells.groups), cells.groups.attributes), self.seen, self.encoder
        )

        def shares(part: Sequence[Question]) -> Iterator[Shares]:
            padded = self.shares(question_features(part, self.encoder), people)
            for question, by_group in zip(part, padded, strict=True):
                yield [kept / kept.sum() for kept in by_group[:, : len(question.options)]]

        rows = rows_in_batches(
            cells,
            shares,
            batch=_BATCH,
            model=self.encoder.name,
            method=self.name,
            progress=progress,
        )
        record = {
            "method": self.name,
            "model": f"embedding network on {self.encoder.name}",
            "sentence_model": self.encoder.fingerprint,
            "members": len(self.members),
            "temperature": self.temperature,
            "trained_on": self.record,
            "same_questions": asked_before(cells.questions, self.asked),
        }
        return rows.prediction(record)

    def shares(
        self, features: QuestionFeatures, people: tuple[Tensor, Tensor]
    ) -> npt.NDArray[np.float64]:
        """Shares, shape (questions, groups, options); padding has 0."""
        logits = member_logits(self.members, features, people)
        return pooled_shares(logits, self.temperature)

    def save(self, folder: str | Path) -> list[Path]:
        """Write the folder that :meth:`load` reads.

        Raises:
            StorageError: the folder cannot be written.
        """
        tensors = {
            f"{i}.{name}": value.detach().numpy()
            for i, member in enumerate(self.members)
            for name, value in member.state_dict().items()
        }
        config = {
            "shape": asdict(self.members[0].shape),
            "members": len(self.members),
            "temperature": self.temperature,
            "seen": list(self.seen),
            "record": dict(self.record),
            "asked": self.asked,
        }
        return write_model(folder, KIND, tensors, config, self.encoder)

    @classmethod
    def load(cls, folder: str | Path, encoder: TextEncoder) -> EmbeddingNetwork:
        """Read what :meth:`save` wrote.

        Raises:
            ModelError: see :func:`opinioncast.methods.embedding.files.read_model`.
        """
        tensors, config = read_model(folder, KIND, encoder)
        members = []
        with fitting_weights(folder):
            for i in range(config["members"]):
                member = OptionNetwork(NetworkShape(**config["shape"]), len(config["seen"]))
                state = {name: tensors[f"{i}.{name}"] for name in member.state_dict()}
                member.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
                members.append(member.eval())
        return cls(
            members,
            encoder,
            config["seen"],
            config["temperature"],
            config["record"],
            config.get("asked", ""),
        )


def people_features(
    texts: Sequence[Sequence[str]], seen: Sequence[str], encoder: TextEncoder
) -> tuple[Tensor, Tensor]:
    """Groups as (summed embeddings of their conditions, indicator of the seen conditions)."""
    unique = list(dict.fromkeys(t for conditions in texts for t in conditions))
    vectors = torch.from_numpy(np.array(encoder.encode(unique)))
    member = torch.tensor([[float(t in conditions) for t in unique] for conditions in texts])
    known = torch.tensor([[float(t in conditions) for t in seen] for conditions in texts])
    return (
        member.reshape(len(texts), len(unique)) @ vectors,
        known.reshape(len(texts), len(seen)),
    )


def tensors_of(features: QuestionFeatures) -> dict[str, Tensor]:
    """The features as tensors, by name."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(getattr(features, name)))
        for name in ("question", "context", "option", "scale", "real")
    }


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: matrices this small lose more to several than they gain.

    It also makes training give the same weights whatever the number of cores.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
@torch.no_grad()
def member_logits(
    members: Sequence[OptionNetwork], features: QuestionFeatures, people: tuple[Tensor, Tensor]
) -> Tensor:
    """Logits of each network with the scale in both directions, so that turning it round changes
    nothing; shape (2 x members, questions, groups, options).
    """
    batch = tensors_of(features)
    turned = batch | {"scale": turn_scale(batch["scale"])}
    return torch.stack([m.eval()(b, *people) for m in members for b in (batch, turned)])


def turn_scale(scale: Tensor) -> Tensor:
    """The same scale counted from its other end."""
    return torch.cat([-scale[..., :1], scale[..., 1:]], dim=-1)


def pooled_shares(logits: Tensor, temperature: float) -> npt.NDArray[np.float64]:
    """Mean over networks of the softmax of ``logits`` x temperature."""
    return np.asarray(torch.softmax(logits.double() * temperature, dim=-1).mean(dim=0).numpy())
