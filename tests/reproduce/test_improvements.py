"""Reductions and their spread by hand: against which baseline, over which figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.reproduce.improvement_outputs import _spread
from opinioncast.reproduce.method_outputs import _range, _reduction
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.survey.tables import KEY

OURS = "Ours (SubPOP-FT)"
PROMPTS = tuple(f"Zero-shot prompt ({f})" for f in ("QA", "BIO", "PORTRAY"))


@dataclass(frozen=True)
class Scored:
    """Scores of which only the distances are asked."""

    frame: pl.DataFrame

    @classmethod
    def of(cls, *wd: float | None) -> Scored:
        return cls(
            pl.DataFrame(
                [("F", "1", f"q{i}", "SEX", "Male", value) for i, value in enumerate(wd)],
                schema={**dict.fromkeys(KEY, pl.String), "wd": pl.Float64},
                orient="row",
            )
        )


def reduction(**distances: float | None) -> float | None:
    recipe = load_reproduction("table1", "embedded")
    names = {m.name for m in recipe.methods}
    assert set(distances) <= names
    found: Any = {name: Scored.of(wd) for name, wd in distances.items()}
    return _reduction(recipe, found)


def test_a_reduction_is_against_the_best_prompt_without_training() -> None:
    """0.09 against the best of 0.20, 0.18 and 0.25 is half; the kernel regression and the nearest
    questions ask no language model, and the blend is partly trained: none of them is compared."""
    others = {
        "Kernel regression on sentence embeddings (ships)": 0.05,
        "Nearest training questions (ship)": 0.30,
        "Blend of the three that ship": 0.06,
    }
    wds = dict(zip(PROMPTS, (0.20, 0.18, 0.25), strict=True))
    assert reduction(**wds, **others, **{OURS: 0.09}) == pytest.approx(0.5)
    assert reduction(**wds, **{OURS: 0.27}) == pytest.approx(-0.5)


def test_a_reduction_is_over_the_cells_that_all_have() -> None:
    """A prompt that is right where it answers, and silent where the others are far off."""
    recipe = load_reproduction("table1", "embedded")
    found: Any = {
        PROMPTS[0]: Scored.of(0.2, 0.4),
        PROMPTS[1]: Scored.of(0.3, None),
        OURS: Scored.of(0.1, 0.8),
    }
    assert _reduction(recipe, found) == pytest.approx(1 - 0.1 / 0.2)
    found[PROMPTS[1]] = Scored.of(None, None)
    assert _reduction(recipe, found) is None


def test_without_one_of_its_figures_there_is_no_reduction() -> None:
    wds = dict(zip(PROMPTS, (0.20, 0.18, 0.25), strict=True))
    assert reduction(**wds) is None
    assert reduction(**{OURS: 0.1}) is None
    assert reduction(**wds, **{OURS: None}) is None
    assert reduction(**{PROMPTS[0]: 0.0, OURS: 0.1}) is None


def test_the_spread_of_improvements_is_a_samples() -> None:
    """Deviations from 0.5 of 0.3, 0.1 and 0.4: 0.26 over two degrees of freedom, not three."""
    found = _spread(pl.DataFrame({"relative": [0.2, None, 0.4, 0.9]}))
    assert found == {
        "relative_mean": pytest.approx(0.5),
        "relative_sd": pytest.approx(0.13**0.5),
        "relative_min": 0.2,
        "relative_max": 0.9,
    }
    one = _spread(pl.DataFrame({"relative": [0.2]}))
    assert (one["relative_mean"], one["relative_sd"]) == (0.2, None)
    none = _spread(pl.DataFrame({"relative": [None]}, schema={"relative": pl.Float64}))
    assert set(none.values()) == {None}


def test_several_models_give_the_ends() -> None:
    assert _range([0.25, None, 0.5]) == "0.250 to 0.500"
    assert _range([0.25]) == 0.25
    assert _range([None, None]) is None
