"""The plan: shared steps once, rows estimated, everything missing named."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")


from opinioncast.errors import DataError, ModelError
from opinioncast.models import SHIPPED_ADAPTER
from opinioncast.reproduce.plan import Plan
from opinioncast.reproduce.recipe import load_reproduction
from opinioncast.reproduce.run import Request
from opinioncast.reproduce.setting import load_setting


@pytest.mark.slow
def test_all_of_the_embedded_setting_shares_its_steps() -> None:
    plan = Request(["all"]).plan()
    # Table 6 trains by letter under the name that others train in words under
    keys = [(s.kind, s.name) for s in plan.steps if s.wanted_by != "table6"]
    assert len(set(keys)) == len(keys)
    trainings = [s.name for s in plan.steps if s.kind == "train" and s.wanted_by != "table6"]
    assert trainings.count("main-fine_tuned") == 1
    assert trainings.count("main-wasserstein") == 1  # Table 5 and Figure 9
    assert next(s.name for s in plan.steps if s.kind == "score") == "table1"
    first = next(s for s in plan.steps if s.name == "main-fine_tuned")
    assert first.wanted_by == "table1"


@pytest.mark.slow
def test_rows_follow_from_questions_epochs_and_augmentation() -> None:
    def rows(**changed: int) -> dict[str, int | None]:
        steps = Request(["table5"], **changed).plan().steps  # type: ignore[arg-type]
        return {s.name: s.rows for s in steps if s.kind == "train"}

    whole = rows()
    assert whole["main-fine_tuned"] == 747 * 6  # groups drawn for each question
    assert whole["main-augment_100"] == pytest.approx(747 * 6 * 0.02 * 100, abs=1)
    assert rows(epochs=3)["main-fine_tuned"] == 3 * 747 * 6
    assert rows(questions=100)["main-fine_tuned"] == 100 * 6


def test_trainings_of_one_name_that_differ_are_both_planned() -> None:
    """Table 6 trains by letter what Table 1 trains in words, and predicts with it."""
    plan = Request(["table1", "table6"]).plan()
    trained = [s for s in plan.steps if (s.kind, s.name) == ("train", "main-fine_tuned")]
    assert [s.wanted_by for s in trained] == ["table1", "table6"]
    assert [s.text.split(", ")[-1] for s in trained] == ["answers in words", "answers in letters"]
    alone = {n: Request([n]).plan() for n in ("table1", "table6")}
    assert plan.rows("train") == sum(p.rows("train") for p in alone.values())
    shared = 894 + 3806  # the zero-shot prompt (QA)
    assert plan.rows("predict") == sum(p.rows("predict") for p in alone.values()) - shared
    given = Request(["table1", "figure5"], adapter=SHIPPED_ADAPTER).plan()
    predicted = [
        s.wanted_by for s in given.steps if s.name == "opinionqa-main-zero-shot-qa-fine_tuned"
    ]
    assert predicted == ["table1", "figure5"]  # with the adapter given, with the one trained


def test_the_embedded_subsets_are_trained_alike() -> None:
    setting, recipe = load_setting("embedded"), load_reproduction("figure5", "embedded")
    given = {"name": "x", "table": "t"}
    trainings = [w for n, w in recipe.trainings.items() if n.startswith("subset")]
    assert {w.subset for w in trainings} == {0.25, 0.5, 0.75, 0.875}
    alike = {setting.finetune("main", w, given).hash for w in trainings}
    assert alike == {setting.finetune("main", setting.trainings["fine_tuned"], given).hash}


def test_the_papers_setting_names_each_file_and_model(tmp_path: Path) -> None:
    request = Request(["table1"], setting="paper", data=[tmp_path])
    plan = request.plan()
    assert len([f for f in plan.files if f.startswith("ATP W")]) == 53
    assert len([f for f in plan.files if f.startswith("American_Trends_Panel_W")]) == 14
    assert {"GSS2022.dta (or gss2022.dta, GSS2022.sav, gss2022.sav)"} <= set(plan.files)
    assert all(how and "docs/curation.md, The" not in how for how in plan.files.values())
    with pytest.raises(DataError, match="ATP W131") as caught:
        plan.check(request.data)
    text = str(caught.value)
    assert "ATP W131.sav: pewresearch.org/american-trends-panel-datasets" in text
    assert "hf download meta-llama/Llama-2-7b-hf" in text
    assert "reddit_left: one of the six community models" in text


@pytest.mark.slow
def test_every_file_of_the_embedded_setting_says_where_it_is_from(tmp_path: Path) -> None:
    plan = Request(["all"], data=[tmp_path]).plan()
    assert "opinionqa_contentious.jsonl" in plan.files
    assert all("docs/curation.md, The" not in how for how in plan.files.values())


def test_only_models_missing() -> None:
    with pytest.raises(ModelError, match="1 model"):
        Plan((), {}, {"a/b": "hf download a/b"}).check([])


def test_the_real_data_hold_everything(shared_data: Path) -> None:
    assert Request(["all"], data=[shared_data]).plan().files == {}
