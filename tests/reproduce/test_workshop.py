"""Cells are predicted, and only cells; one adapter is told from several."""

from __future__ import annotations

import polars as pl
import pytest
from tests.fake_backend import FakeBackend
from tests.finetune.small_table import make_table

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.backends.protocol import LabelRequest
from opinioncast.evaluate.scores import score_cells
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.reproduce.context import mass_words
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.reproduce.workshop import one_adapter, predict_cells
from opinioncast.survey import OpinionTable
from opinioncast.survey.tables import KEY


def answer(request: LabelRequest) -> list[float]:
    return [0.9 / len(request.labels)] * len(request.labels)


@pytest.mark.parametrize("cross", [False, True])
def test_only_the_tables_cells_are_predicted(cross: bool) -> None:
    table = make_table()
    some = OpinionTable(table.frame.sample(fraction=0.5, seed=1), dict(table.meta))
    backend = FakeBackend(answer)
    told: list[tuple[int, int]] = []
    method = ZeroShot(backend, option_orders="given")
    found = predict_cells(method, some, cross=cross, progress=lambda *a: told.append(a))
    keys = list(KEY)
    assert set(found.table.frame.select(keys).iter_rows()) == set(some.frame.select(keys).rows())
    assert len(found.table) == len(some)
    assert len(backend.asked) == (len(table) if cross else len(some))
    assert told[-1] == (len(some), len(some))
    assert found.table.frame.filter(pl.col("label_mass") < 0.89).height == 0


def test_rows_hardly_answered_are_counted() -> None:
    table = make_table()
    scores = {}
    for name, mass in (("ours", 0.9), ("zero-shot", 1e-4)):
        backend = FakeBackend(lambda r, m=mass: [m / len(r.labels)] * len(r.labels))  # type: ignore[misc]
        found = predict_cells(ZeroShot(backend, option_orders="given"), table)
        scores[name] = score_cells(table, found.table)
    assert mass_words({"ours": scores["ours"]}) == ""
    count = f"{len(table)} of {len(table)}"
    assert mass_words(scores) == (
        f"hardly any probability on the options: zero-shot in {count} cells"
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(("table1", True), ("table9", True), ("figure4", True), ("input_use", True)),
        *(("table5", False), ("table6", False), ("figure5", False), ("figure9", False)),
    ],
)
def test_which_recipes_an_adapter_from_elsewhere_may_serve(name: str, expected: bool) -> None:
    assert one_adapter(load_reproduction(name, "embedded")) is expected


def test_curves_are_of_trainings_made_here() -> None:
    loss = load_reproduction("figure9", "embedded")
    assert not one_adapter(loss.model_copy(update={"curves": {"KL": "fine_tuned"}}))


def test_one_adapter_fits_one_base_model() -> None:
    assert not one_adapter(load_reproduction("table1", "paper"))
    assert one_adapter(load_reproduction("figure3", "paper"))
