"""The document follows from its results file alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("peft")

from opinioncast.errors import DataError, StorageError
from opinioncast.reproduce import lock
from opinioncast.reproduce.document import (
    RESULTS,
    check_document,
    command,
    commands,
    read_results,
    render,
    statements,
    write_document,
)
from opinioncast.reproduce.lock import only_writer
from opinioncast.reproduce.run import ReproductionRun, Request, reproduce
from opinioncast.reproduce.setting import load_setting

DOCUMENT = Path(__file__).parents[2] / "docs" / "reproduction.md"


def test_the_committed_document_is_what_its_results_say() -> None:
    if not DOCUMENT.is_file():
        pytest.skip("docs/reproduction.md is not written yet: opinioncast reproduce all --docs")
    results = read_results(DOCUMENT.with_suffix("") / RESULTS)
    assert DOCUMENT.read_text("utf-8") == render(results, DOCUMENT.stem)
    for result in results["results"]:
        picture = DOCUMENT.with_suffix("") / f"{result['name']}.png"
        assert picture.is_file() == result["picture"]
        if result["picture"]:
            assert picture.stat().st_size < 300_000


@pytest.mark.slow
def test_runs_add_up_to_one_document(request_for: Callable[..., Request], tmp_path: Path) -> None:
    path = tmp_path / "docs" / "reproduction.md"
    write_document(reproduce(request_for("by_group")), path)
    heat = tmp_path / "heat.yaml"
    heat.write_text(heat.read_text("utf-8") + "picture: true\n", "utf-8")
    files = write_document(reproduce(request_for("heat", questions=3)), path)
    assert {f.name for f in files} == {"reproduction.md", RESULTS, "heat.png"}
    text = path.read_text("utf-8")
    assert "### Table 00: What by_group shows" in text
    assert "- Mean gain (1): paper 0.400, here" in text
    assert "### Figure 03: What heat shows" in text
    assert "3 questions drawn of every table (seed 0)." in text
    assert "![What heat shows](reproduction/heat.png)" in text
    assert "Not run yet: table1, " in text
    assert str(tmp_path) not in text
    stored = path.with_suffix("") / RESULTS
    assert str(tmp_path) not in stored.read_text("utf-8")
    assert text == render(read_results(stored), "reproduction")
    assert "`opinioncast reproduce by_group --setting FILE`. Model output" in text
    ends = "--data DATA -o out --docs docs/reproduction.md"
    assert f"    opinioncast reproduce by_group --setting FILE {ends}\n" in text
    assert "    opinioncast reproduce heat --setting FILE --questions 3 --data DATA" in text
    assert "did not record its options" not in text


def result(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "limits": "", "statements": []} | more


def test_commands_are_those_that_made_the_results() -> None:
    """As docs/reproduction.md is made: an adapter for some recipes, trainings for others."""
    shipped = [f"figure{i}" for i in range(10, 24)]
    contents = [result(name, options=["--adapter shipped"]) for name in shipped]
    contents += [result("table6", options=[]), result("old"), result("older", limits="40 drawn")]
    first, second = commands(contents, "docs/x.md")
    one_line = " ".join(first.replace("\\\n", " ").split())
    end = "--data DATA -o out --docs docs/x.md"
    assert one_line == f"opinioncast reproduce {' '.join(shipped)} --adapter shipped {end}"
    assert max(map(len, first.splitlines())) <= 110
    assert "\n" not in second
    assert second == f"opinioncast reproduce table6 old {end}"  # an old result without limits
    assert command(contents[0]) == "opinioncast reproduce figure10 --adapter shipped"
    assert command(contents[-1]) == "opinioncast reproduce older"


def test_a_figure_the_paper_has_not_stands_alone() -> None:
    content = result(
        "x",
        statements=[
            {"what": "slope", "where": "95%", "paper": None, "ours": "-0.1 (-0.2 to 0.0)"},
            {"what": "gain", "where": "4.4", "paper": 0.5, "ours": None},
        ],
    )
    assert statements(content) == [
        "Slope (95%): here -0.1 (-0.2 to 0.0).",
        "Gain (4.4): paper 0.500, here not known.",
    ]


@pytest.mark.slow
def test_a_run_that_ends_together_with_another_waits_for_it(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "reproduction.md"
    stored = path.with_suffix("") / RESULTS
    setting = load_setting("embedded")
    done = {r["name"]: r for r in read_results(DOCUMENT.with_suffix("") / RESULTS)["results"]}
    first, second = (
        ReproductionRun(setting, [done[name] | {"picture": False}], {}, (), tmp_path)
        for name in ("table1", "table2")
    )
    with only_writer(stored.parent):
        other = threading.Thread(target=write_document, args=(second, path))
        other.start()
        other.join(0.3)
        assert other.is_alive()
        assert not stored.exists()
    other.join(30)
    write_document(first, path)
    assert [r["name"] for r in read_results(stored)["results"]] == ["table1", "table2"]


def test_a_document_that_another_never_lets_go_of_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    failed = []

    def second() -> None:
        with pytest.raises(StorageError, match="Another run") as caught, only_writer(tmp_path):
            pass
        failed.append(caught.value)

    with only_writer(tmp_path):
        other = threading.Thread(target=second)
        other.start()
        other.join(30)
    assert failed[0].where == str(tmp_path)
    with only_writer(tmp_path):
        pass


@pytest.mark.slow
def test_results_of_another_setting_are_not_mixed(
    request_for: Callable[..., Request], tmp_path: Path
) -> None:
    path = tmp_path / "docs" / "reproduction.md"
    run = reproduce(request_for("by_wave"))
    write_document(run, path)
    stored = path.with_suffix("") / RESULTS
    other = json.loads(stored.read_text("utf-8")) | {"setting": "paper"}
    stored.write_text(json.dumps(other), "utf-8")
    with pytest.raises(DataError, match="another setting"):
        write_document(run, path)
    with pytest.raises(DataError, match="another setting"):
        check_document(path, "tiny")
    check_document(path, "paper")
    check_document(tmp_path / "new.md", "tiny")
    stored.write_text("{", "utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        write_document(run, path)
