"""Recipes that ship, the paper's figures in them, and what is wrong with others."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import InputError
from opinioncast.reproduce.recipe import (
    MethodRow,
    ReproductionRecipe,
    builtin_reproductions,
    in_setting,
    load_reproduction,
    merged,
    parse,
    with_figures,
)
from opinioncast.reproduce.setting import builtin_settings, load_setting

NAMES = builtin_reproductions()


def cell(recipe: str, key: tuple[Any, ...], column: str) -> Any:
    paper = load_reproduction(recipe, "paper").paper
    places = [paper.columns.index(k) for k in paper.key]
    (row,) = [r for r in paper.rows if tuple(r[i] for i in places) == key]
    return row[paper.columns.index(column)]


@pytest.mark.parametrize("setting", builtin_settings())
@pytest.mark.parametrize("name", NAMES)
def test_shipped_recipes_fit_their_settings(name: str, setting: str) -> None:
    recipe, whole = load_reproduction(name, setting), load_setting(setting)
    assert recipe.name == name
    whole.check(recipe)
    for model in recipe.models:
        for training in {**whole.trainings, **recipe.trainings}.values():
            whole.finetune(model, training, {"name": "t", "table": "t.parquet"})


def test_every_table_and_figure_is_there_and_cheap_ones_come_first() -> None:
    tables = {f"table{i}" for i in range(1, 11)}
    figures = {f"figure{i}" for i in (3, 4, 5, 7, 8, 9, 10, 11, 12, 13)}
    assert set(NAMES) == tables | figures | {"input_use", "written"}
    assert NAMES[0] == "table1"
    assert set(NAMES[-4:]) == {"table5", "table6", "figure5", "figure9"}
    orders = [load_reproduction(n, "paper").order for n in NAMES]
    assert len(set(orders)) == len(orders)


@pytest.mark.parametrize("setting", builtin_settings())
def test_curations_of_the_settings_are_valid(setting: str) -> None:
    whole = load_setting(setting)
    for key, curation in whole.curations.items():
        recipe, beside = whole.curation(key)
        assert beside.is_dir()
        assert curation.groups is None or recipe.groups == curation.groups
        assert set(curation.apart.values()) <= set(whole.curations)


# Read by eye from the paper, not copied from the recipes.
@pytest.mark.parametrize(
    ("recipe", "key", "column", "value"),
    [
        ("table1", ("opinionqa", "Zero-shot prompt (QA)"), "Llama-2-7B", 0.173),
        ("table1", ("opinionqa", "Zero-shot prompt (PORTRAY)"), "Llama-3-70B", 0.209),
        ("table1", ("opinionqa", "Few-shot prompt"), "Mistral-7B", 0.174),
        ("table1", ("opinionqa", "Ours (SubPOP-FT)"), "Llama-2-13B", 0.102),
        ("table1", ("subpop_eval", "Zero-shot prompt (BIO)"), "Llama-2-13B", 0.212),
        ("table1", ("subpop_eval", "Modular Pluralism"), "Mistral-7B", 0.279),
        ("table1", ("subpop_eval", "Ours (SubPOP-FT)"), "Llama-3-70B", 0.096),
        ("table1", ("subpop_eval", "Upper bound (Unif.)"), "Llama-2-7B", 0.208),
        ("table2", ("AGE", "65+"), "ours", 0.115),
        ("table2", ("POLPARTY", "Republican"), "relative", 0.52),
        ("table5", ("opinionqa", "One-hot"), "Llama-2-7B", 0.163),
        ("table5", ("subpop_eval", "Aug. (x 50)"), "Llama-2-7B", 0.130),
        ("table6", ("opinionqa", "Chat zero-shot prompt (QA)"), "Llama-2-7B", 0.308),
        ("table6", ("subpop_eval", "Chat LLM FT"), "Llama-2-7B", 0.148),
        ("table7", ("RACE", "Other"), "ours", 0.144),
        ("table7", ("RELIG", "Roman Catholic"), "relative", 0.371),
        ("table8", ("42",), "Llama-2-7B ours", 0.053),
        ("table8", ("92",), "Mistral-7B ours", 0.055),
        ("table8", ("26",), "Llama-3-70B ours", 0.084),
        ("table9", ("RACE", "Hispanic"), "human", 0.044),
        ("table9", ("RELIG", "Protestant"), "Llama-2-7B base", 0.166),
        ("table9", ("RELIG", "Protestant"), "Llama-3-70B fine-tuned", None),
        ("table9", ("RELIG", "Muslim"), "Llama-3-70B base", 0.171),
        ("table10", ("EDUCATION", "Less than high school"), "Mistral-7B fine-tuned", 0.121),
        ("table10", ("RELIG", "Hindu"), "Llama-2-7B base", 0.264),
        ("table10", ("INCOME", "$100,000 or more"), "Llama-2-7B fine-tuned", 0.111),
    ],
)
def test_the_papers_figures(recipe: str, key: tuple[str, ...], column: str, value: Any) -> None:
    assert cell(recipe, key, column) == value


def test_the_papers_tables_agree_with_each_other() -> None:
    """Tables 2, 7 and 9 report the same model on the same groups; 5 and 6 repeat Table 1."""
    tables = {n: load_reproduction(n, "paper").paper for n in ("table2", "table7", "table9")}
    names = {
        "table2": ("lower", "zero-shot", "ours"),
        "table7": ("lower", "zero-shot", "ours"),
        "table9": ("human", "Llama-2-7B base", "Llama-2-7B fine-tuned"),
    }
    seen: dict[Any, Any] = {}
    for name, paper in tables.items():
        for row in paper.rows:
            values = tuple(row[paper.columns.index(c)] for c in names[name])
            assert seen.setdefault(row[:2], values) == values, (name, row[:2])
    for table in ("opinionqa", "subpop_eval"):
        ours = cell("table1", (table, "Ours (SubPOP-FT)"), "Llama-2-7B")
        assert cell("table5", (table, "Explicit (Ours)"), "Llama-2-7B") == ours
        assert cell("table6", (table, "Base LLM FT"), "Llama-2-7B") == ours


def test_table_7_adds_up() -> None:
    paper = load_reproduction("table7", "paper").paper
    assert len(paper.rows) == 23
    for _, group, lower, zero_shot, ours, absolute, relative in paper.rows:
        assert zero_shot - ours == pytest.approx(absolute, abs=0.0015), group
        assert absolute / (zero_shot - lower) == pytest.approx(relative, abs=0.02), group


def test_group_tables_hold_the_22_groups_in_the_schemes_order() -> None:
    from opinioncast.survey import load_groups

    keys = {g.key for g in load_groups("paper22")}
    for name in ("table9", "table10"):
        rows = load_reproduction(name, "paper").paper.rows
        assert {r[:2] for r in rows} == keys


def test_figure_3_has_the_figures_of_table_9() -> None:
    for setting in builtin_settings():
        figure, table = (load_reproduction(n, setting).paper for n in ("figure3", "table9"))
        assert figure.rows == table.rows
        assert (figure.key, figure.shown) == (("attribute", "group"), table.shown)
        assert figure.where == "Figure 3"
        assert len(figure.statements) == 4
    with pytest.raises(InputError, match="reproduction recipe"):
        with_figures({"paper": {"where": "x", "figures_of": "table99"}}, "embedded")


@pytest.mark.parametrize("setting", builtin_settings())
@pytest.mark.parametrize("name", NAMES)
def test_notes_are_whole_sentences(name: str, setting: str) -> None:
    """An unquoted note in a list in brackets ends at its first comma."""
    for note in (*load_reproduction(name, setting).notes, *load_setting(setting).notes):
        assert note[0].isupper(), note
        assert note.rstrip()[-1] in ".)", note


def test_every_heatmap_is_shown() -> None:
    """The document shows pictures of recipes that ask for it."""
    for name in ("figure4", "figure10", "figure11", "figure12", "figure13"):
        assert load_reproduction(name, "embedded").picture


BASE: dict[str, Any] = {
    "name": "mine",
    "order": 1,
    "title": "Mine",
    "kind": "methods",
    "tables": ["t"],
    "models": ["m"],
    "methods": [{"name": "Zero-shot", "method": "zero-shot"}],
    "paper": {"where": "nowhere"},
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "groups"}, "needs zero_shot, ours"),
        ({"kind": "poem"}, "kind"),
        ({"methods": [{"name": "x"}]}, "either a method or a bound"),
        ({"methods": [{"name": "x", "method": "uniform", "training": "t"}]}, "take a training"),
        ({"paper": {"where": "x", "columns": ["a"], "rows": [[1, 2]]}}, "has not 1 columns"),
        ({"paper": {"where": "x", "key": ["b"], "columns": ["a"]}}, "must name columns"),
        (
            {"paper": {"where": "x", "key": ["a"], "columns": ["a"], "rows": [["1"], ["1"]]}},
            "the same key",
        ),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match="do not fit") as caught:
        parse(ReproductionRecipe, BASE | changes, "mine.yaml")
    assert message in str(caught.value)
    assert caught.value.where == "mine.yaml"


def test_a_setting_changes_fields_and_adds_notes() -> None:
    raw = {
        "trainings": {"a": {"table": "x", "changes": {"loss": {"kl": 1}}}},
        "notes": ["one"],
        "settings": {"small": {"trainings": {"a": {"changes": None}}, "notes": ["two"]}},
    }
    assert in_setting(raw, "small") == {"trainings": {"a": {"table": "x"}}, "notes": ["one", "two"]}
    assert in_setting(raw, "other")["trainings"]["a"]["changes"] == {"loss": {"kl": 1}}
    assert merged({"a": [1, 2]}, {"a": [3]}) == {"a": [3]}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"models": ["nobody"]}, "models"),
        ({"tables": ["nowhere"]}, "tables"),
        ({"methods": [{"name": "x", "method": "zero-shot", "training": "none"}]}, "trainings"),
    ],
)
def test_names_the_setting_does_not_have(changes: dict[str, Any], what: str) -> None:
    known = {"tables": ["opinionqa"], "models": ["main"]}
    recipe = parse(ReproductionRecipe, BASE | known | changes, "mine")
    with pytest.raises(InputError, match=f"names {what}"):
        load_setting("embedded").check(recipe)


def test_unknown_recipes_and_settings_list_what_there_is() -> None:
    with pytest.raises(InputError, match="Unknown") as caught:
        load_reproduction("table99", "embedded")
    assert "table10" in str(caught.value)
    with pytest.raises(InputError, match="Unknown") as caught:
        load_setting("moon")
    assert "embedded, paper" in str(caught.value)


def test_a_bound_is_not_predicted(tmp_path: Any) -> None:
    bound = {"name": "Upper", "bound": "upper"}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(BASE | {"methods": [*BASE["methods"], bound]}), "utf-8")
    rows = load_reproduction(file, "embedded").rows()
    assert rows == (MethodRow(name="Zero-shot", method="zero-shot"),)
