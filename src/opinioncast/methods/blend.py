"""A mixture of methods: their distributions of the same cell, averaged.

A language model, a network on embeddings and the nearest questions err in different places; their
mean errs less than each (the idea of a linear opinion pool).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from opinioncast.errors import InputError
from opinioncast.methods.asking import add_up
from opinioncast.methods.prediction import Method, Prediction, Problem, Progress
from opinioncast.survey import GroupScheme, Question, opinion_row

Pool = Literal["linear", "log"]
_FLOOR = 1e-6  # of a share in the logarithmic pool: one method's 0 must not decide alone


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

    def predict(
        self,
        questions: Sequence[Question],
        groups: GroupScheme,
        *,
        progress: Progress | None = None,
    ) -> Prediction:
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

            predictions.append(method.predict(questions, groups, progress=report))
        cells = [
            {
                (r["family"], r["wave"], r["question_id"], r["attribute"], r["group"]): r
                for r in prediction.table.frame.iter_rows(named=True)
            }
            for prediction in predictions
        ]
        reasons = [_reasons(prediction.problems) for prediction in predictions]
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
        rows: list[dict[str, Any]] = []
        problems: list[Problem] = []
        for question in questions:
            for group in groups:
                key = (question.family, question.wave, question.question_id, *group.key)
                told = (question.question_id, group.attribute, group.group)
                found = [c.get(key) for c in cells]
                silent = {
                    i: ": ".join([self.parts[i][0].name, *_next(reasons[i], told)])
                    for i, row in enumerate(found)
                    if row is None
                }
                present = [r for r in found if r is not None]
                if not present or not silent.keys() <= optional:
                    problems.append(
                        Problem(
                            question.question_id,
                            group.attribute,
                            group.group,
                            f"no prediction from {'; nor from '.join(silent.values())}",
                            missing=True,
                        )
                    )
                    continue
                for i in silent:
                    abstained[self.parts[i][0].name] += 1
                share = np.delete(weights, list(silent))
                share = share / share.sum()
                rows.append(
                    opinion_row(
                        question,
                        group,
                        self._mixed([r["distribution"] for r in present], share),
                        refusal_rate=_mean([r["refusal_rate"] for r in present], share),
                        label_mass=min(_values(present, "label_mass"), default=None),
                        order_spread=max(_values(present, "order_spread"), default=None),
                        model=record["model"],
                        method=self.name,
                    )
                )
        if optional:
            record["abstained"] = abstained
        problems += [p for prediction in predictions for p in prediction.problems if not p.missing]
        return Prediction.of_rows(rows, record, problems)

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


_Cell = tuple[str, str, str]  # question, attribute, group


def _reasons(problems: Sequence[Problem]) -> dict[_Cell, list[str]]:
    """Why rows are missing; a question that several waves ask has one reason a wave."""
    found: dict[_Cell, list[str]] = {}
    for p in problems:
        if p.missing:
            found.setdefault((p.question_id, p.attribute, p.group), []).append(p.what)
    return found


def _next(reasons: dict[_Cell, list[str]], cell: _Cell) -> list[str]:
    """The next reason for ``cell``, or none; it is taken out."""
    told = reasons.get(cell)
    return [told.pop(0)] if told else []


def _values(rows: Sequence[dict[str, Any]], column: str) -> list[float]:
    return [r[column] for r in rows if r[column] is not None]


def _mean(values: Sequence[float | None], weights: np.ndarray[Any, Any]) -> float | None:
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    if not known:
        return None
    return float(np.average([v for v, _ in known], weights=[w for _, w in known]))
