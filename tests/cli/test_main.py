"""The command as a user meets it: files written, statuses, one-screen errors."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fake_backend import FakeBackend

from opinioncast import PredictionTable, PredictSettings, Question, predict
from opinioncast.backends.protocol import LabelRequest
from opinioncast.cli.main import main
from opinioncast.errors import IncompleteRunError
from opinioncast.models import SHIPPED_TRAINING
from opinioncast.predictor.resources import Resources
from opinioncast.survey import OpinionTable

QUESTIONS = """\
- id: guns
  question: Should gun laws be stricter?
  options: [Yes, No]
  scale: [1, 2]
  observed:
    SEX=Female: {shares: [0.6, 0.4], n: 120}
- id: colour
  question: Which colour?
  options: [Red, Green, Blue]
"""


def likes_a(request: LabelRequest) -> list[float]:
    rest = 0.3 / (len(request.labels) - 1)
    return [0.5 if label == "A" else rest for label in request.labels]


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    """``predict`` with a model that is known in advance, in a folder and a cache of its own."""
    fake = FakeBackend(likes_a)
    monkeypatch.setattr(Resources, "_opened", lambda self, reference, adapter: fake)
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.yaml").write_text(QUESTIONS, "utf-8")
    return fake


def run(*arguments: str) -> int:
    """The command's status; ``predict`` runs the language model unless a method is named."""
    if arguments[0] == "predict" and "--method" not in arguments:
        arguments += ("--method", "zero-shot")
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def test_predict_writes_tables_chart_and_manifest(
    backend: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "q.yaml", "-g", "SEX=Female", "-g", "SEX=Male & RACE=Black") == 0
    printed = capsys.readouterr().out
    assert "Model output, not survey data" in printed
    assert "guns: Should gun laws be stricter?" in printed
    out = tmp_path / "opinioncast-out"
    assert {f.name for f in out.iterdir()} == {
        "predictions.parquet",
        "predictions.parquet.json",
        "predictions.csv",
        "chart.png",
        "manifest.json",
    }
    table = PredictionTable.read(out / "predictions.parquet")
    assert len(table) == 4
    with (out / "predictions.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 + 2 * 3
    assert {r["source"] for r in rows} == {"model prediction, not survey data"}
    assert (out / "chart.png").read_bytes().startswith(b"\x89PNG")
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["rows"] == 4
    assert manifest["origin"] == "model output, not survey data"
    assert manifest["backend"] == dict(backend.fingerprint)
    assert manifest["problems"] == []
    tables = {"predictions.parquet", "predictions.parquet.json", "predictions.csv"}
    assert set(manifest["files"]) == tables | {"chart.png"}
    assert manifest["scores"]["cells"] == 1


@pytest.mark.slow
def test_a_second_run_asks_the_model_nothing(backend: FakeBackend) -> None:
    assert run("predict", "q.yaml", "-g", "SEX=Female") == 0
    asked = len(backend.asked)
    assert run("predict", "q.yaml", "-g", "SEX=Female") == 0
    assert len(backend.asked) == asked
    assert run("predict", "q.yaml", "-g", "SEX=Female", "--no-cache") == 0
    assert len(backend.asked) == 2 * asked


@pytest.mark.slow
def test_an_interrupted_run_says_so_and_leaves_the_earlier_one_whole(
    backend: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("predict", "q.yaml", "-g", "total") == 0
    backend.asked.clear()
    backend.fail_after = 3
    assert run("predict", "q.yaml", "-g", "paper22") == 130
    assert "goes on from here" in capsys.readouterr().err
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["groups"] == "total"  # nothing of the new run was written
    first = set(backend.asked)
    backend.asked.clear()
    backend.fail_after = None
    assert run("predict", "q.yaml", "-g", "paper22") == 0
    assert not first & set(backend.asked)


@pytest.mark.slow
def test_rows_without_label_mass_end_with_status_3(
    backend: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend._answer = lambda request: [1e-5] * len(request.labels)
    assert run("predict", "q.yaml", "-g", "SEX=Female") == 3
    printed = capsys.readouterr().err
    assert "guns / SEX = Female" in printed
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["rows_without_label_mass"] == 2
    assert len(manifest["problems"]) == 2


def test_missing_rows_end_with_status_3(backend: FakeBackend) -> None:
    backend._answer = lambda request: [float("nan")] * len(request.labels)
    assert run("predict", "q.yaml", "-g", "SEX=Female") == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["predict", "gone.yaml"], ["Questionnaire not found", "gone.yaml"]),
        (["predict", "q.yaml", "-g", "SHOE=Big"], ["Unknown attribute", "SHOE"]),
        (["predict", "q.yaml", "-g", "SEX=Robot"], ["Unknown group", "Robot", "Male; Female"]),
        (["predict", "q.yaml", "-g", "nosuch"], ["Unknown group scheme", "paper22"]),
        (["predict", "q.yaml", "--orders", "sideways"], ["Unknown option orders", "sideways"]),
    ],
)
def test_errors_fit_one_screen_and_have_no_traceback(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], arguments: list[str], words: list[str]
) -> None:
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    for word in words:
        assert word in printed
    assert "Traceback" not in printed
    assert len(printed.splitlines()) <= 8


def test_a_traceback_is_shown_when_asked(backend: FakeBackend) -> None:
    with pytest.raises(Exception, match="Questionnaire not found"):
        main(["--traceback", "predict", "gone.yaml"])


def test_a_full_disk_leaves_nothing_half_written(
    backend: FakeBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FigureCanvasAgg, "print_png", full)
    assert run("predict", "q.yaml", "-g", "SEX=Female") == 2
    printed = capsys.readouterr().err
    assert "No space left on device" in printed
    assert "goes on where it stopped" in printed
    left = {f.name for f in (tmp_path / "opinioncast-out").iterdir()}
    (journal,) = (name for name in left if name.startswith(".opinioncast-"))  # for the next run
    tables = {"predictions.parquet", "predictions.parquet.json", "predictions.csv"}
    assert left - {journal} == tables


@pytest.mark.parametrize("option", [["--layout", "paper"], ["--no-refusal"], ["--seed", "3"]])
def test_a_language_models_option_is_not_ignored_by_another_method(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    assert run("predict", "q.yaml", "--method", "network", *option) == 2
    assert "uses no language model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("method", "option"),
    [
        ("network", ["--train", "t.parquet"]),
        ("zero-shot", ["--network", "folder"]),
        ("uniform", ["--blend", "0.5,0.3,0.2"]),
    ],
)
def test_no_methods_option_is_ignored(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], method: str, option: list[str]
) -> None:
    assert run("predict", "q.yaml", "--method", method, *option) == 2
    printed = capsys.readouterr().err
    assert "does not use what was given" in printed
    assert option[0] in printed


def test_a_named_model_is_the_one_that_is_asked(backend: FakeBackend, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["predict", "q.yaml", "-g", "total", "--model", "some/model"])
    assert not stop.value.code
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["model"] == "fake"


@pytest.mark.slow
def test_the_blend_mixes_what_ships(backend: FakeBackend, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    assert run("predict", "q.yaml", "-g", "SEX=Female", "--method", "blend") == 0
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["rows"] == 2
    assert manifest["weights"] == pytest.approx([0.5, 0.3, 0.2])
    network, nearest, language_model = manifest["parts"]
    assert network["method"] == "embedding kernel regression"
    trained_on = OpinionTable.read(SHIPPED_TRAINING)
    assert nearest["train"] == trained_on.content_hash
    assert trained_on.has_content(network["trained_on"]["train_hash"])
    assert language_model["layout"] == "question-first"
    assert language_model["answers"] == "words"  # as the shipped adapter was trained


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--blend", "0.8"], "three numbers"),
        (["--blend", "0.6,0.4,0"], "the last above 0"),
        (["--blend", "1,-0.5,0.5"], "the last above 0"),
        (["--blend", "0,0,1"], "one of the others too"),
        (["--blend", "0.8,0,0.2", "--train", "t.parquet"], "a share above 0 for it"),
        (["--blend", "0,0.8,0.2", "--network", "folder"], "a share above 0 for it"),
    ],
)
def test_shares_of_the_blend_that_cannot_be(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert run("predict", "q.yaml", "--method", "blend", *options) == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_shares_of_the_blend_can_be_given(backend: FakeBackend, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    given = ["--method", "blend", "--blend", "4,0,1"]
    assert run("predict", "q.yaml", "-g", "SEX=Female", *given) == 0
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["weights"] == pytest.approx([0.8, 0.2])
    assert "abstained" not in manifest


@pytest.mark.slow
def test_the_nearest_questions_leave_strange_groups_to_the_other_parts(
    backend: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sentence_transformers")
    strange = "SEX=Female & AGE=65+"  # an intersection: no row of the training table
    asked = ["predict", "q.yaml", "-g", "SEX=Female", "-g", strange, "--method", "blend"]
    assert run(*asked) == 0
    manifest = json.loads((tmp_path / "opinioncast-out" / "manifest.json").read_text("utf-8"))
    assert manifest["rows"] == 4
    assert manifest["abstained"] == {"nearest questions": 2}
    assert "nearest questions: nothing to go by in 2 cells" in capsys.readouterr().out


def test_groups_lists_what_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("groups") == 0
    printed = capsys.readouterr().out
    assert "POLIDEOLOGY" in printed
    assert "paper22" in printed


def test_python(backend: FakeBackend) -> None:
    questions = [Question("guns", "Should gun laws be stricter?", ("Yes", "No"), (1, 2))]
    settings = PredictSettings(method="zero-shot")
    frame = predict(questions, ["SEX=Female", "total"], settings).frame
    assert frame.height == 2
    assert frame["group"].to_list() == ["Female", "All adults"]


def test_python_gives_back_what_there_is_and_raises_where_it_is_asked_to(
    backend: FakeBackend,
) -> None:
    backend._answer = lambda request: [1e-5] * len(request.labels)
    question = Question("guns", "Stricter?", ("Yes", "No"))
    found = predict([question], "total", PredictSettings(method="zero-shot"))
    assert len(found) == 1
    assert not found.complete
    with pytest.raises(IncompleteRunError, match="1 are not to be relied on"):
        found.raise_for_problems()


def test_version_and_module_run() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "opinioncast", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert done.stdout.startswith("opinioncast ")


def test_the_base_does_not_import_pytorch() -> None:
    code = "import sys, opinioncast.cli.main; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
