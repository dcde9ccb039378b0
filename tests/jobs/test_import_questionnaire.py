"""An import from the command line: YAML to edit, a check list, and a prediction of both."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from opinioncast.cli.main import main
from opinioncast.errors import InputError
from opinioncast.jobs.import_questionnaire import import_questionnaire
from opinioncast.output_folder import KeptAsideWarning
from opinioncast.questionnaires import read_questionnaire
from opinioncast.questionnaires.check_list import CheckList

QSF = """{"SurveyEntry": {"SurveyName": "Zoo", "SurveyLanguage": "EN"}, "SurveyElements": [
{"Element": "BL", "Payload": [{"ID": "B", "Description": "Main", "BlockElements": [
  {"Type": "Question", "QuestionID": "1"}, {"Type": "Question", "QuestionID": "2"},
  {"Type": "Question", "QuestionID": "3"}]}]},
{"Element": "SQ", "PrimaryAttribute": "1", "Payload": {"QuestionText": "Rents: too high? 🏠 نعم",
  "DataExportTag": "rent", "QuestionType": "MC", "Selector": "SAVR",
  "Choices": {"1": {"Display": "no"}, "2": {"Display": "1e3"}, "3": {"Display": "Not sure"}}}},
{"Element": "SQ", "PrimaryAttribute": "2", "Payload": {"QuestionText": "Why?",
  "DataExportTag": "why", "QuestionType": "TE", "Selector": "SL"}},
{"Element": "SQ", "PrimaryAttribute": "3", "Payload": {"QuestionText": "Which?",
  "DataExportTag": "which", "QuestionType": "MC", "Selector": "MAVR",
  "Choices": {"1": {"Display": "Tea"}, "2": {"Display": "Milk"}}}}]}"""


@pytest.fixture
def qsf(tmp_path: Path) -> Path:
    path = tmp_path / "zoo.qsf"
    path.write_text(QSF, encoding="utf-8")
    return path


def test_import_edit_and_read_back(qsf: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "zoo.yaml"
    done = import_questionnaire(qsf, out)
    names = ["zoo.yaml", "zoo.check.md", "zoo.yaml.manifest.json"]
    assert [f.name for f in done.files] == names
    text = out.read_text("utf-8")
    assert text.startswith("# Imported from zoo.qsf; zoo.check.md says what was left out and why.")
    assert "🏠 نعم" in text
    assert "| element 2 | why | Why? | open answer |" in done.files[1].read_text("utf-8")
    asked = read_questionnaire(out)
    assert [q.question_id for q in asked.questions] == ["rent", "which_1", "which_2"]
    assert asked.questions[0].options == ("no", "1e3", "Not sure")
    assert asked.questions[0].ordinal == (1, 2, -1)
    assert asked.placements[1].select_all
    assert asked.placements[1].item == "Tea"
    out.write_text(text.replace("Rents: too", "Are rents too"), encoding="utf-8")
    assert read_questionnaire(out).questions[0].text.startswith("Are rents too high?")
    with pytest.raises(InputError, match="is there already"):
        import_questionnaire(qsf, out)
    with pytest.warns(KeptAsideWarning, match="changed since"):
        import_questionnaire(qsf, out, overwrite=True)
    assert out.read_text("utf-8") == text
    assert "Are rents too high?" in out.with_name("kept-1.zoo.yaml").read_text("utf-8")
    import_questionnaire(qsf, out, overwrite=True)  # nobody edited that one
    assert sorted(f.name for f in out.parent.iterdir()) == sorted([*names, "kept-1.zoo.yaml"])


def test_an_import_that_was_killed_is_made_again(
    qsf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "zoo.yaml"
    with monkeypatch.context() as patch:  # as a kill between the files leaves it
        patch.setattr(CheckList, "markdown", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            import_questionnaire(qsf, out)
    assert out.is_file()
    import_questionnaire(qsf, out)
    assert len(list(out.parent.iterdir())) == 3
    with pytest.raises(InputError, match="is there already"):  # a whole one is a person's
        import_questionnaire(qsf, out)


def test_bad_names(qsf: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="written as YAML"):
        import_questionnaire(qsf, tmp_path / "zoo.csv")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="folder cannot be used"):
        import_questionnaire(qsf, tmp_path / "file" / "zoo.yaml")


@pytest.mark.slow
def test_the_commands(
    qsf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["import", str(qsf)])
    assert stop.value.code == 0
    said = " ".join(capsys.readouterr().out.split())  # lines end where the terminal does
    assert "2 understood, asked as 3 questions, 2 of them yes/no items" in said
    assert "element 2" in said
    assert "wrote questionnaire.yaml" in said
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as stop:
        main(["predict", str(qsf), "--method", "uniform", "-g", "total", "-o", str(out)])
    assert stop.value.code == 0
    assert "1 left out (1 open answer)" in " ".join(capsys.readouterr().out.split())
    table = pl.read_parquet(out / "predictions.parquet")
    assert table["question_id"].to_list() == ["rent", "which_1", "which_2"]
