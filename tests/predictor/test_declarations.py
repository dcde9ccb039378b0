"""A method, a backend and a questionnaire format of somebody else, each in one file: they reach
the command line, the Python call and the manifest, and nothing of the package knows them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.fake_backend import FakeBackend
from tests.predictor import toy_backend, toy_format, toy_method

from opinioncast import predict, read_questionnaire
from opinioncast.backends import declaration as backends
from opinioncast.cli.main import COMMANDS, main
from opinioncast.errors import InputError
from opinioncast.methods import declaration as methods
from opinioncast.questionnaires import declaration as questionnaires


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for room in (methods, backends, questionnaires):
        monkeypatch.setattr(room._declared, "_registered", {})
    methods.register(toy_method.METHOD)
    backends.register(toy_backend.BACKEND)
    questionnaires.register(toy_format.FORMAT)
    monkeypatch.setenv("OPINIONCAST_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("survey.toy").write_text("tea? Is tea good? Yes/No\n", "utf-8")


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return int(stop.value.code or 0)


def manifest() -> dict[str, Any]:
    return dict(json.loads(Path("opinioncast-out/manifest.json").read_text("utf-8")))


@pytest.mark.usefixtures("registered")
def test_a_method_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    questions = read_questionnaire("survey.toy").questions
    found = predict(questions, "SEX=Female", method="first", tilt=0.9)
    assert found.frame["distribution"][0].to_list() == pytest.approx([0.9, 0.1])
    assert run("predict", "survey.toy", "--method", "first", "--tilt", "0.8", "-g", "total") == 0
    written = manifest()
    assert written["method"] == "the first option"
    assert written["settings"]["settings"] == {"tilt": 0.8}
    assert run("predict", "survey.toy", "--method", "first", "--tilt", "2") == 2
    assert "A tilt is a share" in capsys.readouterr().err
    assert run("predict", "survey.toy", "--method", "uniform", "--tilt", "0.5") == 2
    assert "--tilt with first" in capsys.readouterr().err
    assert run("methods") == 0
    assert "Leans to the first option." in " ".join(capsys.readouterr().out.split())
    with pytest.raises(InputError, match="Unknown method"):
        predict(questions, "total", method="second")


@pytest.mark.usefixtures("registered")
def test_a_backend_of_somebody_else(capsys: pytest.CaptureFixture[str]) -> None:
    questions = read_questionnaire("survey.toy").questions
    found = predict(questions, "total", model="toy:parrot", loud=True, orders="given")
    assert found.record["model"] == "PARROT"
    options = ["--model", "toy:parrot", "--loud", "-g", "total"]
    assert run("predict", "survey.toy", *options) == 0
    assert manifest()["settings"]["backends"] == {"toy": {"loud": True}}
    assert run("predict", "survey.toy", "--model", "m", "--loud") == 2
    assert "--loud with --backend toy" in capsys.readouterr().err


@pytest.mark.usefixtures("registered")
def test_a_format_of_somebody_else() -> None:
    (question,) = read_questionnaire("survey.toy").questions
    assert (question.question_id, question.options) == ("tea", ("Yes", "No"))
    assert run("predict", "survey.toy", "--method", "uniform", "-g", "total") == 0
    assert manifest()["questionnaire"] == "survey"


def test_names_of_the_package_are_not_taken_over() -> None:
    @dataclass(frozen=True)
    class Mine:
        """Nothing."""

    mine = methods.MethodKind("uniform", "Mine.", Mine, lambda s, r: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(InputError, match="name of one that comes with"):
        methods.register(mine)
    with pytest.raises(InputError, match="another kind"):
        methods.register(FakeBackend(lambda r: [1.0]))  # type: ignore[arg-type]


def test_the_help_of_each_command_is_its_own() -> None:
    import importlib

    for name, (module, function, line) in COMMANDS.items():
        run = getattr(importlib.import_module(f"opinioncast.cli.{module}"), function)
        told = run.info.help if isinstance(run, typer.Typer) else run.__doc__
        first = " ".join((told or "").split("\n\n")[0].split())
        assert first == line, name
