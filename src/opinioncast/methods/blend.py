"""A mixture of methods: their distributions of the same cell, averaged.

A language model, a network on embeddings and the nearest questions err in different places; their
mean errs less than each (the idea of a linear opinion pool).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from opinioncast.errors import InputError
from opinioncast.methods.asking import add_up
from opinioncast.methods.declaration import MethodKind, Resources
from opinioncast.methods.nearest import check_nearest, nearest
from opinioncast.methods.network import network
from opinioncast.methods.prediction import Method, Prediction, Progress, Rows
from opinioncast.methods.zero_shot import OTHER_PROMPTS
from opinioncast.methods.zero_shot import build as zero_shot
from opinioncast.models import SHIPPED
from opinioncast.options import option
from opinioncast.prompts import AskedPrompting
from opinioncast.survey import Cells
from opinioncast.survey.tables import KEY

Pool = Literal["linear", "log"]
_MIXED = ("distribution", "refusal_rate", "label_mass", "order_spread")
_FLOOR = 1e-6  # of a share in the logarithmic pool: one method's 0 must not decide alone


@dataclass(frozen=True, slots=True)
class BlendShares:
    """The parts of the blend. The default is what the validation questions, and a survey that no
    part had seen, chose (docs/finetuning.md).

    Raises:
        InputError: a negative share, no language model, or nothing beside it.
    """

    network: float = 0.5
    nearest: float = 0.3
    language_model: float = 0.2

    def __post_init__(self) -> None:
        values = astuple(self)
        if not all(math.isfinite(v) and v >= 0 for v in values) or not (
            self.language_model > 0 and self.network + self.nearest > 0
        ):
            raise InputError(
                "The parts of the blend cannot be mixed",
                where="--blend",
                expected="shares of network, nearest questions and language model: the last above "
                "0, one of the others too",
                found=",".join(f"{v:g}" for v in values),
                hint="a part by itself is --method network, nearest or zero-shot",
            )

    @classmethod
    def parse(cls, text: str) -> BlendShares:
        """Of "0.5,0.3,0.2".

        Raises:
            InputError: not three numbers, or shares that cannot be mixed.
        """
        try:
            network, nearest, language_model = map(float, text.split(","))
        except ValueError as error:
            raise InputError(
                "The shares of the blend cannot be read",
                where="--blend",
                expected="three numbers: network, nearest questions, language model, such as "
                "0.5,0.3,0.2",
                found=text,
            ) from error
        return cls(network, nearest, language_model)


@dataclass(frozen=True, slots=True)
class BlendSettings(AskedPrompting):
    """Of the method blend: of its parts, and how they are mixed.

    Attributes:
        blend: shares of its parts.
        pool: ``linear`` or ``log``.
        train, neighbours, temperature: as in :class:`opinioncast.methods.nearest.NearestSettings`.
        network: as in :class:`opinioncast.methods.network.NetworkSettings`.
        sentence_model: of both.

    Raises:
        InputError: a value that cannot be, or one for a part that has no share.
    """

    blend: BlendShares = option(
        BlendShares(),
        "Shares of network, nearest questions and language model in a blend (default: "
        "0.5,0.3,0.2).",
    )
    pool: Pool = option("linear", "How a blend mixes: linear, or log (geometric mean).")
    train: Path | None = option(
        None,
        "Opinion table for the methods surveys, nearest, few-shot and blend (default: the training "
        "table that ships) and total.",
    )
    neighbours: int | None = option(
        None,
        "Training questions used (few-shot 5, surveys, nearest and blend 20; few-shot 0: none "
        "shown).",
        flags=("--neighbours", "-k"),
    )
    temperature: float = option(0.1, "Of the nearest questions' weights.")
    network: Path | None = option(None, "Folder of a trained network; the shipped one otherwise.")
    sentence_model: str | None = option(
        None, "Sentence model: a folder or hub name (default: the embedded one)."
    )

    def __post_init__(self) -> None:
        if isinstance(self.blend, str):
            object.__setattr__(self, "blend", BlendShares.parse(self.blend))
        AskedPrompting.__post_init__(self)
        check_nearest(self.neighbours, self.temperature)
        unused = {
            "--network": self.network is not None and not self.blend.network,
            "--train": self.train is not None and not self.blend.nearest,
            "--neighbours": self.neighbours is not None and not self.blend.nearest,
        }
        if any(unused.values()):
            raise InputError(
                "The blend has no part that would use what was given",
                expected="a share above 0 for it in --blend",
                found=", ".join(name for name, ignored in unused.items() if ignored),
            )


@dataclass(frozen=True)
class Blend:
    """Several methods as one.

    Attributes:
        parts: methods with their weights, which are divided by their sum.
        pool: ``linear``: weighted mean of shares; ``log``: weighted geometric mean, rescaled.
        may_abstain: names of methods that know only some groups or questions: a cell that they lack
            is mixed of the others, their weights divided by their own sum. The record counts such
            cells.

    Raises:
        InputError: fewer than two methods, or weights that are not positive.
    """

    parts: Sequence[tuple[Method, float]]
    pool: Pool = "linear"
    may_abstain: Collection[str] = ()

    def __post_init__(self) -> None:
        weights = [w for _, w in self.parts]
        if len(weights) < 2 or not all(math.isfinite(w) and w > 0 for w in weights):
            raise InputError(
                "Methods cannot be blended",
                expected="two or more methods, each with a weight above 0",
                found=[(m.name, w) for m, w in self.parts],
            )

    @property
    def name(self) -> str:
        total = sum(w for _, w in self.parts)
        return "blend of " + " and ".join(f"{m.name} ({w / total:.2g})" for m, w in self.parts)

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        """Run every method and mix. A cell that one of them lacks is a problem, not a guess, with
        the reason that part gave; but for those that may abstain.

        ``label_mass`` and ``order_spread`` are the least and the largest of the parts that have
        them: what is doubtful in one part is doubtful in the mixture. ``refusal_rate`` is the
        weighted mean over the parts that predict it.
        """
        predictions = []
        for i, (method, _) in enumerate(self.parts):

            def report(done: int, total: int, part: int = i) -> None:
                if progress:
                    progress(part * total + done, len(self.parts) * total)

            predictions.append(method.predict(cells, progress=report))
        of_part = [
            dict(
                zip(
                    p.frame.select(KEY).iter_rows(),
                    p.frame.select(_MIXED).iter_rows(named=True),
                    strict=True,
                )
            )
            for p in predictions
        ]
        reasons = [{p.key: p.what for p in made.problems if p.missing} for made in predictions]
        weights = np.array([w for _, w in self.parts])
        weights = weights / weights.sum()
        optional = {i for i, (m, _) in enumerate(self.parts) if m.name in self.may_abstain}
        abstained = {self.parts[i][0].name: 0 for i in sorted(optional)}
        record: dict[str, Any] = {
            "method": self.name,
            "model": " and ".join(str(p.record.get("model", "")) for p in predictions),
            "pool": self.pool,
            "weights": weights.tolist(),
            "parts": [dict(p.record) for p in predictions],
            "parse_failures": sum(p.record.get("parse_failures", 0) for p in predictions),
            "tokens_in": add_up(p.record.get("tokens_in", 0) for p in predictions),
            "tokens_out": add_up(p.record.get("tokens_out", 0) for p in predictions),
        }
        rows = Rows(cells, model=record["model"], method=self.name)
        for cell, (question, group) in enumerate(cells):
            key = (question.family, question.wave, question.question_id, *group.key)
            found = [part.get(key) for part in of_part]
            silent = {i for i, row in enumerate(found) if row is None}
            present = [r for r in found if r is not None]
            if not present or not silent <= optional:
                why = [
                    ": ".join(filter(None, [self.parts[i][0].name, reasons[i].get(key)]))
                    for i in sorted(silent)
                ]
                rows.lack(cell, f"no prediction from {'; nor from '.join(why)}")
                continue
            for i in silent:
                abstained[self.parts[i][0].name] += 1
            share = np.delete(weights, sorted(silent))
            share = share / share.sum()
            rows.put(
                cell,
                self._mixed([r["distribution"] for r in present], share),
                refusal_rate=_mean([r["refusal_rate"] for r in present], share),
                label_mass=min(_values(present, "label_mass"), default=None),
                order_spread=max(_values(present, "order_spread"), default=None),
            )
        if optional:
            record["abstained"] = abstained
        rows.problems += [p for made in predictions for p in made.problems if not p.missing]
        return rows.prediction(record)

    def _mixed(
        self, shares: Sequence[Sequence[float]], weights: np.ndarray[Any, Any]
    ) -> list[float]:
        p = np.asarray(shares, dtype=float)
        if self.pool == "linear":
            mixed = weights @ p
        else:
            mixed = np.exp(weights @ np.log(np.maximum(p, _FLOOR)))
        return [float(v) for v in mixed / mixed.sum()]


def abstentions(record: Mapping[str, Any]) -> list[str]:
    """Of a prediction's record: a sentence for each part that lacked cells."""
    return [
        f"{part}: nothing to go by in {cells} cells; the other parts alone there"
        for part, cells in record.get("abstained", {}).items()
        if cells
    ]


def _values(rows: Sequence[dict[str, Any]], column: str) -> list[float]:
    return [r[column] for r in rows if r[column] is not None]


def _mean(values: Sequence[float | None], weights: np.ndarray[Any, Any]) -> float | None:
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if not known:
        return None
    return float(np.average([v for v, _ in known], weights=[w for _, w in known]))


def build(settings: BlendSettings, resources: Resources) -> Blend:
    """The nearest questions know the groups of their table only; the others answer for the rest."""
    shares = settings.blend
    parts: list[tuple[Method, float]] = []
    may_abstain = []
    if shares.network:
        parts.append((network(settings, resources), shares.network))
    if shares.nearest:
        parts.append((nearest(settings, resources), shares.nearest))
        may_abstain.append(parts[-1][0].name)
    parts.append((zero_shot(settings, resources), shares.language_model))
    return Blend(parts, settings.pool, may_abstain)


METHOD = MethodKind(
    name="blend",
    help="Network, nearest questions and the fine-tuned language model, mixed.",
    settings=BlendSettings,
    build=build,
    language_model=True,
    shapes=("method", "pool", "weights"),
    advice=OTHER_PROMPTS,
    own_adapter=SHIPPED,
    order=10,
)
