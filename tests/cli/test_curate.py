"""``opinioncast curate`` and ``bounds`` on files as they should not be."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from tests.made_up_survey import OPTIONS, answers, write_survey

from opinioncast.cli.main import main
from opinioncast.curate.recipe import builtin_curations


def command(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(a) for a in arguments])
    return int(stopped.value.code or 0)


def refused(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Curate, expect status 2 and one screen without a traceback; return it."""
    out = tmp_path / "out"
    assert command("curate", recipe, "-d", tmp_path, "-o", out) == 2
    text = capsys.readouterr().err
    assert text.startswith("opinioncast: ")
    assert "Traceback" not in text
    assert len(text.splitlines()) <= 8
    assert not (out / "manifest.json").exists()
    return text


def report(tmp_path: Path) -> dict[str, dict[str, str]]:
    path = tmp_path / "out" / "curation_report.csv"
    with path.open(encoding="utf-8-sig", newline="") as handle:
        return {r["variable"]: r for r in csv.DictReader(handle)}


def curated(recipe: Path, tmp_path: Path) -> dict[str, dict[str, str]]:
    assert command("curate", recipe, "-d", tmp_path, "-o", tmp_path / "out") == 0
    return report(tmp_path)


def test_curate_and_bounds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_survey(tmp_path, answers())
    kept = {v for v, r in curated(recipe, tmp_path).items() if r["kept"] == "true"}
    assert kept == {"q1", "q2"}
    text = capsys.readouterr().out
    assert "MADE 1" in text
    assert "opinions.parquet" in text
    assert "Made up." in text
    out = tmp_path / "bounds.csv"
    assert command("bounds", recipe, "-d", tmp_path, "-o", out, "--replicates", 20) == 0
    assert "OVERALL" in out.read_text()
    assert "OVERALL" in capsys.readouterr().out


def test_decisions_on_missing_answers_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = answers()
    columns["q2"][:80] = 8.0
    labels = {"q2": {1.0: "Agree", 2.0: "Neither", 3.0: "Disagree", 8.0: "Refused [DNR]"}}
    recipe = write_survey(tmp_path, columns, labels=labels, wave={"conventions": "none"})
    found = curated(recipe, tmp_path)["q2"]
    assert found["missing_answers"] == '8 "Refused [DNR]" -> refused (20.0%)'
    shown = " ".join(capsys.readouterr().out.split())
    assert '"Refused [DNR]" (8) taken as refused' in shown
    assert "20.0% of answers, in q2" in shown
    with (tmp_path / "out" / "missing_answers.csv").open(encoding="utf-8-sig") as handle:
        row = next(r for r in csv.DictReader(handle) if r["variable"] == "q2")
    assert (row["code"], row["taken_as"], row["n"]) == ("8.0", "refused", "80")
    assert "Refused [DNR]" in (tmp_path / "out" / "notes.txt").read_text("utf-8")


def test_unknown_recipe_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("curate", "subpop_trian") == 2
    text = capsys.readouterr().err
    assert all(name in text for name in builtin_curations())


def test_partial_goes_on_and_names_what_is_absent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = write_survey(tmp_path, answers())
    text = recipe.read_text().replace(
        "waves:\n", "waves:\n- {family: X, wave: 9, file: no.sav, groups: gss}\n"
    )
    recipe.write_text(text)
    assert "no.sav" in refused(recipe, tmp_path, capsys)
    assert command("curate", recipe, "-d", tmp_path, "-o", tmp_path / "out", "--partial") == 0
    assert "absent: no.sav" in capsys.readouterr().out
    assert "no.sav: absent" in (tmp_path / "out" / "notes.txt").read_text()


def test_a_truncated_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_survey(tmp_path, answers())
    file = tmp_path / "survey.sav"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "survey.sav" in refused(recipe, tmp_path, capsys)


def test_a_mislabelled_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_survey(tmp_path, answers(), name="survey.dta")
    (tmp_path / "survey.dta").write_text("respondent,answer\n1,2\n")
    text = refused(recipe, tmp_path, capsys)
    assert "survey.dta" in text
    assert "not what its name says" in text


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: np.append(w[1:], -1.0), "negative"),
        (lambda w: w * 0, "zero"),
        (lambda w: np.append(w[1:], np.nan), "missing|no weight|lack|empty"),
        (lambda w: w * np.nan, "empty|missing|no weight|lack"),
    ],
)
def test_a_weight_that_cannot_be_used(
    change: object, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = answers()
    columns["q2"][:] = OPTIONS and np.resize([1.0, 2.0], len(columns["q2"]))
    columns["w"] = change(columns["w"])  # type: ignore[operator]
    text = refused(write_survey(tmp_path, columns), tmp_path, capsys)
    assert any(word in text.lower() for word in says.split("|")), text
    assert "weight" in text
    assert " w" in text


def test_a_weight_that_is_absent_or_one_of_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(write_survey(tmp_path, answers(), wave={"weight": "wt"}), tmp_path, capsys)
    assert "wt" in text
    columns = answers()
    columns |= {"QKEY": np.arange(400.0), "WEIGHT_W1": columns["w"], "WEIGHT_W1_ALL": columns["w"]}
    wave = {"weight": None, "conventions": "atp"}
    text = refused(write_survey(tmp_path, columns, wave=wave), tmp_path, capsys)
    assert "several weights" in text
    assert "WEIGHT_W1, WEIGHT_W1_ALL" in text


def test_a_codebook_that_names_absent_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = {"variable": "Q1", "question": "Q?", "codes": [1, 2, 3], "options": ["a", "b", "c"]}
    (tmp_path / "codebook.json").write_text(json.dumps([entry]))
    recipe = write_survey(tmp_path, answers(), wave={"codebook": "codebook.json"})
    text = refused(recipe, tmp_path, capsys)
    assert '"q1" for "Q1"' in text


def test_a_variable_without_value_labels(tmp_path: Path) -> None:
    columns = answers() | {"q3": answers(seed=3)["q1"]}
    found = curated(write_survey(tmp_path, columns, labels={"q3": {}}), tmp_path)
    assert (found["q3"]["kept"], found["q3"]["reason"]) == ("false", "fewer than 2 options")


def test_value_labels_without_values(tmp_path: Path) -> None:
    labels = {"q2": OPTIONS | {4.0: "Never chosen"}}
    assert curated(write_survey(tmp_path, answers(), labels=labels), tmp_path)["q2"]["kept"]


def test_a_question_nobody_in_a_group_answered_and_a_group_without_respondents(
    tmp_path: Path,
) -> None:
    columns = answers()
    columns["q1"][columns["sex"] == 1] = -8.0
    columns["region"][:] = 2.0
    curated(write_survey(tmp_path, columns), tmp_path)
    with (tmp_path / "out" / "dropped_cells.csv").open(encoding="utf-8-sig") as handle:
        dropped = {(r["question_id"], r["group"]): r["reason"] for r in csv.DictReader(handle)}
    assert dropped == {
        ("q1", "Male"): "nobody in the group answered",
        ("q1", "South"): "no respondent is in it",
        ("q2", "South"): "no respondent is in it",
    }


def test_a_question_nobody_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    columns = answers()
    columns["q1"][:] = -1.0
    found = curated(write_survey(tmp_path, columns), tmp_path)
    assert found["q1"]["reason"] == "redacted: no answers in the file"
    columns["q2"][:] = -9.0
    text = refused(write_survey(tmp_path, columns), tmp_path / "again", capsys)
    assert "No question is left" in text
    assert "redacted" in text


def test_identical_variables_under_two_names(tmp_path: Path) -> None:
    columns = answers()
    columns["q3"] = columns["q1"].copy()
    found = curated(write_survey(tmp_path, columns), tmp_path)
    assert found["q1"]["kept"] == "true"
    assert found["q3"]["reason"] == "identical to another variable"
    assert "q1" in found["q3"]["detail"]


@pytest.mark.slow
def test_100_000_rows_of_one_value(tmp_path: Path) -> None:
    columns = answers(100_000)
    columns["q1"][:] = 2.0
    found = curated(write_survey(tmp_path, columns, name="survey.zsav"), tmp_path)
    assert found["q1"]["reason"] == "everyone gave one answer"
    assert "100000" in found["q1"]["detail"]
    assert found["q2"]["kept"] == "true"


def test_a_decision_file_that_does_not_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "selection.yaml").write_text("drop: {Q2: not good}\n")
    recipe = write_survey(tmp_path, answers(), wave={"selection": "selection.yaml"})
    assert "Q2" in refused(recipe, tmp_path, capsys)
    (tmp_path / "selection.yaml").write_text("drop: {q2: not good}\n")
    found = curated(recipe, tmp_path)
    assert (found["q2"]["reason"], found["q2"]["detail"]) == (
        "dropped by selection file",
        "not good",
    )
