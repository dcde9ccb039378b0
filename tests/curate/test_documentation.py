"""What docs/curation.md shows of groups and designs is read by the package as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from opinioncast.curate.bands import read_band
from opinioncast.curate.group_recipe import load_group_recipe
from opinioncast.curate.recipe import ReplicatesRecipe, WaveRecipe

TEXT = (Path(__file__).parents[2] / "docs" / "curation.md").read_text("utf-8")
SECTION = {part.partition("\n")[0]: part for part in TEXT.split("\n## ")}


def test_the_group_recipe_is_read(tmp_path: Path) -> None:
    lines = [x for x in SECTION["Groups"].splitlines() if x.startswith("    ")]
    path = tmp_path / "my_groups.yaml"
    path.write_text("\n".join(x[4:] for x in lines), "utf-8")
    told = load_group_recipe(path)
    assert {a: len(r.groups) for a, r in told.attributes.items()} == {
        "TENURE": 2,
        "Party": 2,
        "Income": 2,
    }


def test_the_designs_are_read() -> None:
    lines = [x for x in SECTION["Designs"].splitlines() if x.startswith("    ")]
    shown = [yaml.safe_load(x) for x in lines]
    assert len(shown) == 5
    for fields in shown:
        if "replicates" in fields:
            ReplicatesRecipe.model_validate(fields["replicates"])
        wave = {"family": "T", "wave": "1", "file": "f.sav", "groups": "gss", "weight": "w"}
        WaveRecipe.model_validate({**wave, **fields})


@pytest.mark.parametrize(
    "text", re.findall(r'"([^"]*\d[^"]*)"', SECTION["Groups"].partition("are read: ")[2][:200])
)
def test_the_bands_are_read(text: str) -> None:
    assert read_band(text) is not None
