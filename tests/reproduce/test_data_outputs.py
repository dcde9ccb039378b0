"""Tables about the data: respondents by group, questions by wave; against plain counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from tests.made_up_survey import answers

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.reproduce.run import Request, reproduce
from opinioncast.reproduce.setting import load_setting
from opinioncast.reproduce.store import Store
from opinioncast.reproduce.tables import Tables

WHO: dict[str, Any] = {
    "kind": "people",
    "tables": ["held"],
    "paper": {
        "where": "Table 3",
        "key": ["attribute", "group"],
        "columns": ["attribute", "group", "wave 82"],
        "rows": [["SEX", "Male", 0.443]],
    },
}
ABOUT: dict[str, Any] = {
    "kind": "topics",
    "tables": ["train", "pew"],
    "paper": {"where": "Table 4"},
}
DRAWN: dict[str, Any] = {
    "kind": "methods",
    "tables": ["held"],
    "models": ["m"],
    "methods": [
        {"name": "Uniform", "method": "uniform"},
        {"name": "Drawn", "method": "uniform", "questions": 2},
    ],
    "paper": {"where": "Table 1"},
}


@pytest.fixture
def asked(request_for: Callable[..., Request], tmp_path: Path) -> Callable[..., Request]:
    """Requests of the recipes above."""
    for order, (name, recipe) in enumerate({"who": WHO, "about": ABOUT, "drawn": DRAWN}.items()):
        whole = {"name": name, "order": order, "title": f"What {name} shows", **recipe}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    return request_for


def test_shares_of_respondents_and_of_weights(
    asked: Callable[..., Request], tmp_path: Path
) -> None:
    request = asked("who")
    _, setting = request.load()
    tables = Tables(setting, Store(tmp_path / "work"), request.data)
    frame = tables.people("held")
    drawn = answers()
    men, weight = drawn["sex"] == 1, drawn["w"]
    found = frame.filter(attribute="SEX", group="Male").row(0, named=True)
    assert found["n"] == men.sum()
    assert found["respondents"] == len(men) == 400
    assert found["share"] == pytest.approx(men.mean())
    assert found["weighted"] == pytest.approx(weight[men].sum() / weight.sum())
    both = frame.filter(attribute="SEX")
    assert both["weighted"].sum() == pytest.approx(1)
    assert both["share"].sum() == pytest.approx(1)
    with pytest.raises(InputError, match="who was asked"):
        tables.people("pew")


@pytest.mark.slow
def test_both_tables_are_made(asked: Callable[..., Request]) -> None:
    run = reproduce(asked("who", "about", "drawn"))
    who = pl.read_csv(run.folder / "who" / "who.csv")
    assert who.filter(group="Male")["paper: wave 82"].item() == 0.443
    about = pl.read_csv(run.folder / "about" / "about.csv")
    assert dict(about.select("table", "questions").iter_rows()) == {"train": 4, "pew": 3}
    assert run.contents[1]["measures"] == {"questions_train": 4, "questions_pew": 3}
    assert [d.kind for d in run.steps][:2] == ["people", "curate"]
    drawn = pl.read_csv(run.folder / "drawn" / "drawn.csv")
    assert drawn["cells"].to_list() == [16, 8]
    assert drawn["note"][1] == "8 of 16 cells; 8 without a usable prediction"


def test_the_papers_counts_add_up() -> None:
    paper = load_reproduction("table4", "paper").paper
    counts = {t: sum(int(str(r[3])) for r in paper.rows if r[0] == t) for t in ("training",)}
    assert counts == {"training": 3229}  # section 3.2
    assert len([r for r in paper.rows if r[0] == "training"]) == 53
    assert len(load_reproduction("table3", "embedded").paper.rows) == 22


@pytest.mark.slow
def test_overlap_is_taken_out_of_the_papers_training() -> None:
    setting = load_setting("paper")
    recipe, _ = setting.curation("subpop_train")
    assert recipe.overlap is not None
    assert recipe.overlap.against == ("opinionqa.parquet", "subpop_eval.parquet")
    assert set(setting.curations["subpop_train"].apart) == set(recipe.overlap.against)
