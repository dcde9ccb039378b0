"""Cells are predicted, and only cells; one adapter is told from several."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from tests.fake_backend import FakeBackend
from tests.finetune.small_table import make_table

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.backends.protocol import LabelRequest
from opinioncast.backends.reference import ModelReference
from opinioncast.errors import InputError
from opinioncast.evaluate.coverage import Coverage
from opinioncast.evaluate.scores import CellScores, score_cells
from opinioncast.methods.zero_shot import ZeroShot
from opinioncast.predictor.resources import Resources
from opinioncast.prompts import Prompting
from opinioncast.reproduce.context import Context, compared_words, mass_words
from opinioncast.reproduce.given import one_adapter
from opinioncast.reproduce.recipe import MethodRow, load_reproduction
from opinioncast.reproduce.run import Request, reproduce
from opinioncast.reproduce.setting import load_setting
from opinioncast.reproduce.store import Store
from opinioncast.reproduce.tables import Tables
from opinioncast.reproduce.workshop import Workshop
from opinioncast.survey import Cells, OpinionTable, PredictionTable
from opinioncast.survey.tables import KEY


def answer(request: LabelRequest) -> list[float]:
    return [0.9 / len(request.labels)] * len(request.labels)


def test_only_the_tables_cells_are_predicted() -> None:
    table = make_table()
    some = OpinionTable(table.frame.sample(fraction=0.5, seed=1), dict(table.meta))
    backend = FakeBackend(answer)
    told: list[tuple[int, int]] = []
    method = ZeroShot(backend, Prompting(orders="given"))
    found = method.predict(Cells.of_table(some), progress=lambda *a: told.append(a))
    keys = list(KEY)
    assert set(found.table.frame.select(keys).iter_rows()) == set(some.frame.select(keys).rows())
    assert len(found.table) == len(backend.asked) == len(some)
    assert told[-1] == (len(some), len(some))
    assert found.table.frame.filter(pl.col("label_mass") < 0.89).height == 0


def sharing(mass: float) -> FakeBackend:
    """Gives every label the same part of a label mass."""
    return FakeBackend(lambda r: [mass / len(r.labels)] * len(r.labels))


def test_rows_hardly_answered_are_counted() -> None:
    table = make_table()
    scores = {}
    for name, mass in (("ours", 0.9), ("zero-shot", 1e-4)):
        found = ZeroShot(sharing(mass), Prompting(orders="given")).predict(Cells.of_table(table))
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


def test_predictions_of_a_setting_may_run_in_vllm() -> None:
    setting = load_setting("paper")
    assert {m.backend for m in setting.models.values()} == {"torch"}
    assert {m.backend for m in setting.on_backend("vllm").models.values()} == {"vllm"}
    with pytest.raises(InputError, match="cannot run there"):
        setting.on_backend("api")
    with pytest.raises(InputError, match="Unknown backend"):
        setting.on_backend("cloud")


def test_the_backend_of_a_setting_reaches_the_predictor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by the request, opened by the run, and part of what the step is known by."""
    opened: list[str] = []

    def fake(self: Resources, reference: ModelReference, adapter: str | None) -> FakeBackend:
        opened.append(str(reference))
        return FakeBackend(answer)

    monkeypatch.setattr(Resources, "_opened", fake)
    setting, store = load_setting("embedded").on_backend("vllm"), Store(tmp_path)
    shop = Workshop(setting, store, Tables(setting, store, ()))
    row = MethodRow(name="zero-shot", method="zero-shot")
    predictor = shop._predictor(row, "main", None, None, None)
    assert len(predictor.predict(Cells.of_table(make_table()))) == len(make_table())
    assert opened == ["vllm:embedded"]


@pytest.mark.slow
def test_several_seeds_are_trained_and_averaged(request_for: Callable[..., Request]) -> None:
    """Mean and standard error are those of the two runs by themselves."""
    run = reproduce(request_for("by_method", changes=["seeds=2", "tables=[held]"]))
    trained = [d.name for d in run.steps if d.kind == "train"]
    assert trained == ["m-fine_tuned", "m-fine_tuned-seed1"]
    frame = pl.read_csv(run.folder / "by_method" / "by_method.csv")
    ours = frame.filter(method="Ours").row(0, named=True)
    zero_shot = frame.filter(method="Zero-shot").row(0, named=True)
    assert (ours["seeds"], zero_shot["seeds"], zero_shot["se"]) == (2, 1, None)
    means = []
    for done in run.steps:
        if done.kind == "predict" and "fine_tuned" in done.name:
            predicted = PredictionTable.read(done.folder / "predictions.parquet")
            train = next(d.folder for d in run.steps if d.kind == "train")
            observed = OpinionTable.read(train / "validation.parquet")
            means.append(score_cells(observed, predicted).mean()["wd"])
    assert len(means) == 2
    assert means[0] != means[1]
    assert ours["wd"] == pytest.approx(sum(means) / 2)
    assert ours["se"] == pytest.approx(abs(means[0] - means[1]) / 2)  # deviation / root of two
    assert "set: seeds=2" in run.contents[0]["limits"]
    assert run.contents[0]["columns"][3:6] == ["wd", "se", "seeds"]


def test_questions_that_a_method_was_trained_on_stand_under_its_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An adapter of one's own may have been trained on the very table that is scored."""
    recipe, setting = load_reproduction("table9", "embedded"), load_setting("embedded")
    same = {"questions": 4, "asked_in_training_too": 3}
    metas = {"zero-shot": {"method": "zero-shot"}, "ours": {"method": "m", "same_questions": same}}

    class Shop:
        def predicted(self, of: Any, table: str, row: MethodRow, model: str) -> Any:
            return SimpleNamespace(meta=metas["ours" if row == recipe.ours else "zero-shot"])

    context = Context(recipe, setting, Shop())  # type: ignore[arg-type]
    assert recipe.ours is not None
    assert recipe.zero_shot is not None
    said = context.trained_on("opinionqa", recipe.ours, "main")
    assert said.startswith("m: 3 of 4 questions are in its training table too")
    assert context.trained_on("opinionqa", recipe.zero_shot, "main") == ""
    frame = pl.DataFrame({"wd": [0.1], "label_mass": [1.0]})
    some = CellScores(frame, pl.DataFrame(), Coverage(1, 1, 1, ()))
    monkeypatch.setattr(Context, "scores", lambda *_: some)
    monkeypatch.setattr("opinioncast.reproduce.context.base_words", lambda _: "1 cell")
    assert compared_words(context, "opinionqa") == f"1 cell; {said}"
