"""The mixture: hand-worked pools, cells that are missing, label mass and spread."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from opinioncast.errors import InputError
from opinioncast.methods.blend import Blend
from opinioncast.methods.prediction import Prediction, Problem, Progress
from opinioncast.methods.uniform import Uniform
from opinioncast.survey import (
    Cells,
    PredictionTable,
    Question,
    load_groups,
    opinion_row,
)

GROUPS = load_groups("SEX=Female", "SEX=Male")
Q = Question("q", "Yes or no?", ("Yes", "No"), (1, 2), "S", "1")


@dataclass
class Fixed:
    """Gives every listed group the same shares."""

    shares: list[float]
    groups: tuple[str, ...] = ("Female", "Male")
    more: dict[str, Any] = field(default_factory=dict)
    name: str = "fixed"
    problems: tuple[Problem, ...] = ()

    def predict(self, cells: Cells, *, progress: Progress | None = None) -> Prediction:
        rows = [
            opinion_row(q, g, self.shares, model="m", method=self.name, **self.more)
            for q, g in cells
            if g.group in self.groups
        ]
        if progress:
            progress(len(rows), len(rows))
        return Prediction(PredictionTable.from_rows(rows), self.problems, {"model": "m"})


def test_linear_pool() -> None:
    method = Blend([(Fixed([0.9, 0.1]), 3), (Uniform(), 1)])
    found = method.predict(Cells.cross([Q], GROUPS))
    assert found.table.frame["distribution"].to_list() == [pytest.approx([0.8, 0.2])] * 2
    assert found.record["weights"] == [0.75, 0.25]
    assert method.name == "blend of fixed (0.75) and uniform (0.25)"
    assert not found.problems


def test_logarithmic_pool() -> None:
    # sqrt(0.8 * 0.5) : sqrt(0.2 * 0.5) = 2 : 1
    found = Blend([(Fixed([0.8, 0.2]), 1), (Uniform(), 1)], pool="log").predict(
        Cells.cross([Q], GROUPS)
    )
    assert found.table.frame["distribution"][0].to_list() == pytest.approx([2 / 3, 1 / 3])


def test_a_cell_one_part_lacks_is_a_problem_not_the_other_part_alone() -> None:
    method = Blend([(Fixed([0.9, 0.1], groups=("Male",)), 1), (Uniform(), 1)])
    found = method.predict(Cells.cross([Q], GROUPS))
    assert found.table.frame["group"].to_list() == ["Male"]
    assert [(p.group, p.missing, p.what) for p in found.problems] == [
        ("Female", True, "no prediction from fixed")
    ]


def test_a_part_that_may_abstain_leaves_the_cell_to_the_others() -> None:
    """Weights 3, 1 and 4; without the third 3/4 x 0.9 + 1/4 x 0.5 = 0.8."""
    near = Fixed([0.2, 0.8], groups=("Male",), name="near")
    parts: list[tuple[Any, float]] = [(Fixed([0.9, 0.1]), 3), (Uniform(), 1), (near, 4)]
    found = Blend(parts, may_abstain=("near",)).predict(Cells.cross([Q], GROUPS))
    shares = dict(found.table.frame.select("group", "distribution").iter_rows())
    assert shares["Female"] == pytest.approx([0.8, 0.2])
    assert shares["Male"] == pytest.approx([0.5, 0.5])  # (3 x 0.9 + 0.5 + 4 x 0.2) / 8
    assert found.record["abstained"] == {"near": 1}
    assert not found.problems


def test_a_cell_that_only_abstainers_could_answer_is_a_problem() -> None:
    near = Fixed([0.2, 0.8], groups=("Male",), name="near")
    far = Fixed([0.2, 0.8], groups=("Male",), name="far")
    found = Blend([(near, 1), (far, 1)], may_abstain=("near", "far")).predict(
        Cells.cross([Q], GROUPS)
    )
    assert found.table.frame["group"].to_list() == ["Male"]
    assert [p.what for p in found.problems] == ["no prediction from near; nor from far"]
    assert found.record["abstained"] == {"near": 0, "far": 0}  # nobody answered in their place


def test_the_reason_for_a_missing_row_is_kept() -> None:
    """That of the part that lacks it; of a question asked in two waves, each wave's own."""
    waves = [replace(Q, wave=wave) for wave in ("1", "2")]
    female = load_groups("SEX=Female").subpopulations[0]
    why = [Problem.of(q, female, f"no JSON in wave {q.wave}", missing=True) for q in waves]
    low = Problem("q", "SEX", "Female", "label mass is low", missing=False)
    first = Fixed([0.9, 0.1], groups=("Male",), problems=(low, *why))
    second = Fixed([0.5, 0.5], groups=(), name="other")
    found = Blend([(first, 1), (second, 1)]).predict(Cells.cross(waves, GROUPS))
    assert [p.what for p in found.problems if p.missing and p.group == "Female"] == [
        "no prediction from fixed: no JSON in wave 1; nor from other",
        "no prediction from fixed: no JSON in wave 2; nor from other",
    ]
    assert [p.what for p in found.problems if p.group == "Male"] == ["no prediction from other"] * 2
    assert low in found.problems


def test_doubt_in_a_part_stays_in_the_mixture() -> None:
    low = Problem("q", "SEX", "Male", "label mass is low", missing=False)
    first = Fixed(
        [0.5, 0.5],
        more={
            "label_mass": 0.2,
            "order_spread": 0.1,
            "refusal_rate": 0.1,
            "low": [0.4, 0.4],
            "high": [0.6, 0.6],
        },
        problems=(low,),
    )
    second = Fixed([0.5, 0.5], more={"label_mass": 0.9, "order_spread": 0.4, "refusal_rate": 0.4})
    found = Blend([(first, 1), (second, 2), (Uniform(), 7)]).predict(Cells.cross([Q], GROUPS))
    row = found.table.frame.row(0, named=True)
    assert (row["label_mass"], row["order_spread"]) == (0.2, 0.4)
    assert row["refusal_rate"] == pytest.approx(0.3)
    assert row["low"] is row["high"] is None
    assert found.problems == (low,)


def test_progress_reaches_the_whole() -> None:
    seen: list[tuple[int, int]] = []
    Blend([(Uniform(), 1), (Fixed([0.5, 0.5]), 1)]).predict(
        Cells.cross([Q], GROUPS), progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(2, 4), (4, 4)]


@pytest.mark.parametrize("weights", [(1,), (1, 0), (1, float("nan"))])
def test_weights_that_cannot_be_used(weights: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="cannot be blended"):
        Blend([(Uniform(), w) for w in weights])
