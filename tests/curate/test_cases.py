"""Small files that once gave wrong figures without a word; each gives the right one or a refusal.

The files stand in ``../shared/cases/curate`` (or where OPINIONCAST_CASES says) with a note on what
is right; tests skip where they are absent.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pyreadstat
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opinioncast.curate.advice import MISFIT
from opinioncast.curate.pipeline import Curation, curate
from opinioncast.curate.recipe import load_curation
from opinioncast.errors import DataError


@pytest.fixture
def cases() -> Path:
    folder = Path(
        os.environ.get("OPINIONCAST_CASES")
        or Path(__file__).parents[3] / "shared" / "cases" / "curate"
    )
    if not folder.is_dir():
        pytest.skip(f"the cases are not here (looked in {folder}; set OPINIONCAST_CASES)")
    return folder


def run(recipe: Path, *folders: Path) -> Curation:
    loaded, beside = load_curation(recipe)
    return curate(loaded, [*folders, beside])


@pytest.mark.parametrize("variable", ["age", "age2", "age3"])
def test_13_missing_codes_of_an_age_are_no_ages(cases: Path, tmp_path: Path, variable: str) -> None:
    folder = cases / "13_age_missing_codes_in_groups"
    for name in ("f.sav", "wording.json", "recipe_age.yaml"):
        shutil.copy(folder / name, tmp_path / name)
    groups = yaml.safe_load((folder / "groups.yaml").read_text("utf-8"))
    groups["attributes"]["AGE"]["variable"] = variable
    (tmp_path / "groups.yaml").write_text(yaml.safe_dump(groups), "utf-8")
    refused, share = "", None
    try:
        share = run(tmp_path / "recipe_age.yaml").table.frame["distribution"][0][0]
    except DataError as error:  # no label says what the codes are, or no reader goes by it
        refused = str(error)
    if refused or variable == "age3":
        assert "98 (57 respondents)" in refused
        assert "missing_codes" in refused
    else:
        assert share == pytest.approx(0.3666, abs=5e-5)


def test_14_a_filter_is_a_domain(cases: Path, shared_data: Path, tmp_path: Path) -> None:
    folder = cases / "14_where_is_not_a_domain"
    shutil.copy(folder / "groups.yaml", tmp_path / "groups.yaml")
    question = {"1": {"grass": "Should the use of marijuana be made legal or not?"}}
    (tmp_path / "questions.yaml").write_text(yaml.safe_dump(question), "utf-8")
    for kind in ("group", "where"):
        raw = yaml.safe_load((folder / f"recipe_{kind}_certainty.yaml").read_text("utf-8"))
        raw["waves"][0] |= {"questions": "questions.yaml"}  # only the columns needed are read
        del raw["waves"][0]["codebook"]
        (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(raw), "utf-8")
        table = run(tmp_path / "recipe.yaml", shared_data / "gss").table
        row = table.frame.row(0, named=True)
        assert row["n"] == 23
        assert row["distribution"][0] == pytest.approx(0.6729, abs=5e-5)
        assert row["se"][0] == pytest.approx(0.1142, abs=5e-5)


def test_16_options_go_by_what_they_say(cases: Path) -> None:
    curation = run(cases / "16_question_file_reversed_by_middle" / "recipe.yaml")
    shares = dict(curation.table.frame.select("question_id", "distribution").iter_rows())
    assert shares["spend"] == pytest.approx([0.109, 0.309, 0.582])
    assert shares["econ"] == pytest.approx([0.098, 0.211, 0.691])
    report = {r["variable"]: r for r in curation.waves[0].report.iter_rows(named=True)}
    for name in ("likert", "trust"):
        assert report[name]["reason"] == MISFIT
        assert "give `codes` (or `labels`)" in report[name]["detail"]


def test_22_a_band_is_in_a_group_only_wholly(cases: Path, shared_data: Path) -> None:
    curation = run(cases / "22_text_band_interval" / "c.yaml", shared_data / "fivethirtyeight")
    n = dict(curation.table.frame.select("group", "n").iter_rows())
    assert n == {"18-29": 221, "30-49": 254}
    notes = "\n".join(curation.waves[0].notes)
    assert '"45-60" (290), "> 60" (272)' in notes
    assert "AGE=65+ is not in the table" in notes


def test_26_what_is_told_and_not_asked_for_is_said(cases: Path) -> None:
    folder = cases / "26_docs_example_town"
    for name in ("town.yaml", "town2.yaml"):  # of tenure.yaml, "home?," is text as it stands
        with pytest.raises(DataError, match="No question is left") as nothing:
            run(folder / name)
        assert "gender tells the groups" in str(nothing.value)


# --- any small survey, beside counting one by one ------------------------------------------------

ANSWERS = {
    "en": ["Very good", "Good", "Bad", "Very bad"],
    "de": ["Sehr gut", "Gut", "Schlecht", "Sehr schlecht"],
    "fr": ["Très satisfait", "Plutôt satisfait", "Plutôt pas satisfait", "Pas du tout satisfait"],
    "es": ["Mucho", "Bastante", "Poco", "Nada"],
    "pl": ["Zdecydowanie tak", "Raczej tak", "Raczej nie", "Zdecydowanie nie"],
}
GONE = {
    "en": {8: "Don't know", 9: "Refused", -1: "No answer", 98: "DK [DNR]", 99: "Prefer not to say"},
    "de": {8: "Weiß nicht", 9: "Verweigert", -1: "Keine Angabe", 99: "Möchte ich nicht sagen"},
    "fr": {8: "Ne sait pas", 9: "Refus", -1: "Sans réponse", 99: "Préfère ne pas répondre"},
    "es": {8: "No sabe", 9: "No contesta", -1: "NS/NC", 99: "Prefiero no decirlo"},
    "pl": {8: "Nie wiem", 9: "Odmowa", -1: "Brak odpowiedzi", 99: "Wolę nie odpowiadać"},
}
AGES = {"18-29": (18, 29), "30-49": (30, 49), "50+": (50, 120)}


QUESTIONS = 6  # of each survey: whole runs are dear


@st.composite
def surveys(draw: st.DrawFn) -> dict[str, Any]:
    """Respondents, and the labels of every question; answers are codes 1 to 4."""
    n = draw(st.integers(40, 120))
    random = Random(draw(st.integers(0, 2**32)))
    labels: dict[str, dict[int, str]] = {}
    columns: dict[str, list[Any]] = {}
    for i in range(QUESTIONS):
        language = draw(st.sampled_from(sorted(ANSWERS)))
        gone = draw(st.lists(st.sampled_from(sorted(GONE[language])), max_size=3, unique=True))
        texts = dict(enumerate(ANSWERS[language], start=1))
        labels[f"q{i}"] = texts | {c: GONE[language][c] for c in gone}
        # answers more often than missing ones: labels alone may not take out the most
        columns[f"q{i}"] = [random.choice([1, 2, 3, 4, 1, 2, 3, 4, *gone]) for _ in range(n)]
    columns["age"] = [random.choice([*range(18, 90), None]) for _ in range(n)]
    columns["w"] = [random.choice([0.5, 1.0, 1.25, 3.0]) for _ in range(n - 1)] + [0.75]
    columns["citizen"] = [random.choice([1, 1, 2]) for _ in range(n)]
    kind = draw(st.sampled_from(["sav", "dta", "csv;", "csv,", "tsv"]))
    return {"labels": labels, "columns": columns, "kind": kind, "where": draw(st.booleans())}


def written(survey: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The survey as a file, and what a recipe has to say about it."""
    kind, columns, labels = survey["kind"][:3], survey["columns"], survey["labels"]
    path = folder / f"poll.{kind}"
    frame = pl.DataFrame({k: pl.Series(v, dtype=pl.Float64) for k, v in columns.items()})
    if kind == "sav":
        pyreadstat.write_sav(frame, str(path), variable_value_labels=labels)
        return {"file": path.name}
    if kind == "dta":
        whole = frame.with_columns(pl.col(*labels).cast(pl.Int32))
        pyreadstat.write_dta(whole, str(path), variable_value_labels=labels)
        return {"file": path.name}
    separator = {"csv;": ";", "csv,": ",", "tsv": "\t"}[survey["kind"]]
    rows = [separator.join(columns)]
    for row in zip(*columns.values(), strict=True):
        cells = [labels[k][v] if k in labels else v for k, v in zip(columns, row, strict=True)]
        texts = ["" if v is None else str(v) for v in cells]
        if separator == ";":
            texts[-2] = texts[-2].replace(".", ",")
        rows.append(separator.join(texts))
    path.write_text("\n".join(rows) + "\n", "utf-8")
    book = {}
    for name, texts in labels.items():
        answers = [texts[c] for c in (1, 2, 3, 4)]
        gone = {t: "" for t in texts.values() if t not in answers}
        book[name] = {"codes": answers, "options": answers, "missing_codes": gone}
    (folder / "book.yaml").write_text(yaml.safe_dump(book, allow_unicode=True), "utf-8")
    return {"file": path.name, "codebook": "book.yaml"}


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(surveys())
def test_any_small_survey_has_the_shares_counted_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, survey: dict[str, Any]
) -> None:
    folder = tmp_path_factory.mktemp("s")
    labels, columns = survey["labels"], survey["columns"]
    wave = {"family": "T", "wave": "1", "groups": "groups.yaml", "weight": "w", "wording": "w.json"}
    wave |= written(survey, folder) | ({"where": {"citizen": 1}} if survey["where"] else {})
    ranges = {g: {"min": low, "max": high} for g, (low, high) in AGES.items()}
    groups = {"attributes": {"AGE": {"variable": "age", "groups": ranges}}}
    (folder / "groups.yaml").write_text(yaml.safe_dump(groups), "utf-8")
    (folder / "w.json").write_text(json.dumps({q: f"How is {q}?" for q in labels}), "utf-8")
    recipe = {
        **dict.fromkeys(("name", "citation", "terms"), "x"),
        "redistribution": "group-level",
        "groups": ["total", *(f"AGE={g}" for g in AGES)],
        "select": {"min_n": 1, "min_group_n": 1, "max_association": 1.0},
        "min_n": 1,
        "waves": [wave],
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), "utf-8")
    table = run(folder / "recipe.yaml").table.frame
    assert table.height
    for row in table.iter_rows(named=True):
        texts, group = labels[row["question_id"]], row["group"]
        low, high = (0, 999) if row["attribute"] == "TOTAL" else AGES[group]
        tally = dict.fromkeys((texts[c] for c in (1, 2, 3, 4)), 0.0)
        for q, age, w, citizen in zip(
            columns[row["question_id"]], *(columns[k] for k in ("age", "w", "citizen")), strict=True
        ):
            inside = row["attribute"] == "TOTAL" or (age is not None and low <= age <= high)
            if inside and q in (1, 2, 3, 4) and (citizen == 1 or not survey["where"]):
                tally[texts[q]] += w
        got = {t: s for t, s in zip(row["options"], row["distribution"], strict=True) if s}
        total = sum(tally.values())
        assert got == pytest.approx({t: s / total for t, s in tally.items() if s})
