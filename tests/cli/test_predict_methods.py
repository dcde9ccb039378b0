"""``predict`` with few-shot and pluralism: files, manifest, and options that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.fake_backend import FakeBackend
from tests.methods.fake_encoder import FakeEncoder

from opinioncast import PredictionTable
from opinioncast.backends.protocol import LabelRequest, TextRequest
from opinioncast.backends.sentences import SentenceModel
from opinioncast.cli.main import main
from opinioncast.predictor.resources import Resources
from opinioncast.survey import OpinionTable, Question, load_groups, opinion_row

QUESTIONS = """\
- id: guns
  question: Should gun laws be stricter?
  options: [Yes, No]
  scale: [1, 2]
  observed:
    SEX=Female: {shares: [0.6, 0.4], n: 120}
"""
GROUPS = load_groups("SEX=Female", "SEX=Male")


def score(request: LabelRequest) -> list[float]:
    return [0.6, *[0.2] * (len(request.labels) - 1)]


def write(request: TextRequest) -> str:
    if "distribution" not in request.text:
        return "A. They should."
    return "no idea" if "is Male" in request.text else '{"A": 0.5, "B": 0.4, "C": 0.1}'


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeBackend:
    fake = FakeBackend(score, write=write)
    monkeypatch.setattr(Resources, "_opened", lambda self, reference, adapter: fake)
    monkeypatch.setattr(SentenceModel, "load", lambda name=None: FakeEncoder())
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.yaml").write_text(QUESTIONS, "utf-8")
    asked = Question("laws", "Are gun laws good?", ("Yes", "No"), (1, 2), "S", "1")
    rows = [opinion_row(asked, g, [0.3, 0.7], refusal_rate=0.0) for g in GROUPS]
    OpinionTable.from_rows(rows, {}).write(tmp_path / "train.parquet")
    return fake


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["predict", "q.yaml", "-g", "SEX=Female", "-g", "SEX=Male", *arguments])
    return int(stop.value.code or 0)


def written(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "written.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_few_shot_names_what_could_not_be_read(
    backend: FakeBackend, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--method", "few-shot", "--train", "train.parquet", "-k", "3") == 3
    assert "cannot be read: there is no JSON object" in capsys.readouterr().err
    out = tmp_path / "opinioncast-out"
    (row,) = PredictionTable.read(out / "predictions.parquet").frame.iter_rows(named=True)
    assert row["distribution"] == pytest.approx([5 / 9, 4 / 9])
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["method"] == "few-shot, 3 examples"
    assert manifest["parse_failures"] == 1
    assert manifest["rows_missing"] == 1
    assert manifest["label_mass_mean"] is None
    assert manifest["tokens_in"] > 50
    assert manifest["tokens_out"] == 6 + 2
    assert (manifest["retries"], manifest["cost"]) == (0, None)
    assert "written.jsonl" in manifest["files"]
    female, male = written(out)
    assert female["unreadable"] is None
    assert male["answer"] == "no idea"
    asked = len(backend.asked)
    assert run("--method", "few-shot", "--train", "train.parquet", "-k", "3") == 3
    assert len(backend.asked) == asked  # texts are in the cache


@pytest.mark.slow
def test_pluralism_writes_its_comments_and_another_method_removes_them(
    backend: FakeBackend, tmp_path: Path
) -> None:
    assert run("--method", "pluralism", "--modules", "one", "--modules", "two") == 0
    out = tmp_path / "opinioncast-out"
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["picked"] == [2, 0]
    assert manifest["label_mass_mean"] == pytest.approx(0.8)
    assert manifest["parse_failures"] == 0
    assert manifest["scores"]["one_hot_error"] is not None
    assert [d["picked"] for d in written(out)] == [1, 1]
    assert run("--method", "zero-shot") == 0
    assert not (out / "written.jsonl").exists()


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("few-shot", ["--layout", "paper"]),
        ("few-shot", ["--format", "bio"]),
        ("few-shot", ["--orders", "3"]),
        ("few-shot", ["--seed", "1"]),
        ("few-shot", ["--modules", "m"]),
        ("pluralism", ["--train", "train.parquet"]),
        ("pluralism", ["--neighbours", "3"]),
        ("pluralism", ["--no-structured"]),
        ("pluralism", ["--no-refusal"]),
        ("zero-shot", ["--chooser", "m"]),
        ("zero-shot", ["--comment-tokens", "9"]),
        ("few-shot", ["--chooser-reads", "text"]),
        ("nearest", ["--structured"]),
        ("blend", ["--structured"]),
    ],
)
def test_no_option_is_ignored(
    backend: FakeBackend,
    capsys: pytest.CaptureFixture[str],
    method: str,
    options: list[str],
) -> None:
    assert run("--method", method, *options) == 2
    printed = capsys.readouterr().err
    assert "does not use what was given" in printed
    assert options[0].replace("--no-", "--") in printed
    assert backend.asked == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--no-cache"], "--no-cache"),
        (["--cache"], "--cache"),
        (["--no-refusal", "--chat"], "--no-refusal, --chat"),
        (["--backend", "api", "--base-url", "http://127.0.0.1:1/v1"], "--base-url, --backend"),
        (["--base-url", "http://127.0.0.1:1/v1"], "--base-url"),
    ],
)
def test_options_are_named_as_they_are_typed(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], options: list[str], named: str
) -> None:
    assert run("--method", "uniform", *options) == 2
    printed = capsys.readouterr().err
    assert "uses no language model" in printed
    assert f"no {named}\n" in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["--method", "total", "--train", "train.parquet"], "whole population (TOTAL)"),
        (["--method", "few-shot", "--train", "train.parquet"], "another model"),
        (["--method", "nearest", "--train", "train.parquet", "-g", "RACE=Black"], "every group"),
    ],
)
def test_advice_for_missing_rows_fits_the_method(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], arguments: list[str], advice: str
) -> None:
    assert run(*arguments) == 3
    printed = capsys.readouterr().err
    assert advice in printed
    assert "manifest.json" in printed
    assert "--format" not in printed, "none of these takes it"
    assert ("--chat" in printed) == ("few-shot" in arguments)


@pytest.mark.parametrize(("method", "needs"), [("total", "--train"), ("pluralism", "--modules")])
def test_what_a_method_needs_is_named(
    backend: FakeBackend, capsys: pytest.CaptureFixture[str], method: str, needs: str
) -> None:
    assert run("--method", method) == 2
    assert needs in capsys.readouterr().err
