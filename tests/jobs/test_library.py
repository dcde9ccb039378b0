"""The library's commands: kept, searched, drawn, made anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.container import ErrorbarContainer
from tests.library.made import EVERYONE, WOMEN, pistols, question, table
from tests.methods.fake_encoder import FakeEncoder
from typer.testing import CliRunner

from opinioncast.backends.sentences import SentenceModel
from opinioncast.cli.main import app
from opinioncast.errors import InputError
from opinioncast.jobs import library as jobs
from opinioncast.library.history import history
from opinioncast.library.own import open_library
from opinioncast.library.recipe import read_library_recipe
from opinioncast.library.shelf import Library, Shelf, write_shelf
from opinioncast.output_folder import KeptAsideWarning
from opinioncast.report.history_chart import apart, history_chart
from opinioncast.survey import load_groups

RUN = CliRunner()


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPINIONCAST_DATA", str(tmp_path / "data"))
    encoder = FakeEncoder()
    monkeypatch.setattr(SentenceModel, "load", lambda *_, **__: encoder)


@pytest.fixture
def polls(tmp_path: Path) -> Path:
    return pistols().write(tmp_path / "polls" / "opinions.parquet")


@pytest.mark.slow
def test_add_list_show_remove(polls: Path, tmp_path: Path) -> None:
    added = RUN.invoke(app, ["library", "add", str(polls)])
    assert "2 questions are in the library as polls" in added.output
    assert "GSS/guns  1998-2018" in RUN.invoke(app, ["library", "list", "polls"]).output
    out = tmp_path / "out"
    shown = RUN.invoke(
        app, ["library", "show", "GSS/guns", "-g", "SEX=Female", "-g", "total", "-o", str(out)]
    )
    assert shown.exit_code == 0, shown.output
    assert "asked by GSS in 1998 to 2018 (3 times)" in shown.output
    csv = pl.read_csv(out / "GSS_guns.csv")
    women = csv.filter(pl.col("group") == "Female", pl.col("option") == "Favor")
    assert women["share"].to_list() == pytest.approx([0.9, 0.85, 0.8])
    assert set(csv["group"]) == {"Female", "All adults"}
    assert (out / "GSS_guns.png").stat().st_size > 5000
    assert RUN.invoke(app, ["library", "remove", "polls"]).exit_code == 0
    assert [s.name for s in open_library().shelves] == ["reference"]


def test_what_a_person_put_into_a_tables_folder_is_kept(polls: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "library" / "polls"
    folder.mkdir(parents=True)
    (folder / "questions.parquet").write_text("mine")
    with pytest.warns(KeptAsideWarning, match="was there already"):
        jobs.add_to_library(polls)
    assert (folder / "kept-1.questions.parquet").read_text() == "mine"
    jobs.add_to_library(polls)  # its own files are replaced without a word
    names = {p.name for p in folder.iterdir()}
    assert {"manifest.json", "opinions.parquet", "questions.parquet"} < names
    assert "kept-2.questions.parquet" not in names


def test_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="no table of this name"):
        RUN.invoke(app, ["library", "list", "marmots"], catch_exceptions=False)
    with pytest.raises(InputError, match="nothing to search for"):
        jobs.search_library("  ")


def test_groups_nobody_has_are_refused(tmp_path: Path) -> None:
    write_shelf(pistols(), tmp_path)
    shelf = Library((Shelf("x", tmp_path),))
    with pytest.raises(InputError, match=r"(?s)none of these groups.*SEX=Female"):
        history(shelf, "guns", list(load_groups("RELIG=Hindu")))


def test_the_chart_shows_those_farthest_from_everyone(tmp_path: Path) -> None:
    near = load_groups("SEX=Male").subpopulations[0]
    given = table(
        *(
            (question("a", year), group, [share, 1 - share], 100)
            for year in ("1998", "2018")
            for group, share in ((EVERYONE, 0.5), (WOMEN, 0.8), (near, 0.45))
        )
    )
    write_shelf(given, tmp_path)
    found = history(Library((Shelf("x", tmp_path),)), "a")
    assert apart(found.frame, found.groups, 1) == [WOMEN]
    figure = history_chart(found)
    panel = figure.axes[0]
    assert [t.get_label() for t in panel.containers] == ["everyone", "Female", "Male"]
    women = panel.containers[1]
    assert isinstance(women, ErrorbarContainer)
    assert np.asarray(women.lines[0].get_ydata()).tolist() == pytest.approx([80, 80])


def test_make_reads_its_recipe_and_leaves_out_what_it_says(tmp_path: Path, polls: Path) -> None:
    recipe = tmp_path / "library.yaml"
    recipe.write_text(
        f"name: small\nparts: [{polls.name}]\napart: {{apart.json: GSS}}\n"
        "not_opinions: {GSS: whal*}\n"
    )
    (tmp_path / "apart.json").write_text(
        '{"elks": {"refined_qbody": "Elks?", "option_list": ["Yes", "No", "Refused"], '
        '"ordinal": [1, 2]}}'
    )
    out = tmp_path / "made"
    run = jobs.make_library_to_files(out, [polls.parent], recipe=recipe)
    assert run.made.table.frame["question_id"].unique().to_list() == ["guns"]
    assert pl.read_csv(out / "left_out.csv")["reason"].to_list() == ["no opinion"]
    assert Library((Shelf("made", out),)).find("guns").waves == ("1998", "2008", "2018")
    (tmp_path / "apart.json").unlink()
    with pytest.raises(InputError, match=r"(?s)recipe is not here.*apart\.json"):
        jobs.make_library_to_files(out, [polls.parent], recipe=recipe)


def test_a_recipe_with_an_unknown_field_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\nparts: [a]\nopinions: all\n")
    with pytest.raises(InputError, match="opinions"):
        read_library_recipe(path)


@pytest.mark.slow
def test_the_shipped_library_holds_no_question_of_the_evaluations() -> None:
    shipped = open_library()
    names = {a.question.question_id for a in shipped.questions if a.question.family == "GSS"}
    assert len(shipped.questions) > 1500
    assert not names & {"grass", "gunlaw", "abany", "natfare", "natfarey", "premarsx", "letdie1y"}
    assert {a.question.family for a in shipped.questions} == {"GSS", "ANES"}
    recipe = read_library_recipe()
    assert all(
        recipe.is_opinion(a.question.family, a.question.question_id) for a in shipped.questions
    )
    for one in shipped.questions[::97]:
        rows = shipped.shelf(one).rows(one)
        assert rows["wave"].n_unique() == len(one.waves)
        assert rows["n"].min() >= 20
        assert all(abs(sum(d) - 1) < 1e-9 for d in rows["distribution"].to_list())
