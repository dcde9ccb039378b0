"""Imports go one way only: nothing lower imports anything higher.

The checker is :mod:`tests.imports`; its own tests are here too, on packages made up for them.
"""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from tests.imports import ROOT, UNKNOWN, imported_rooms, room_of, rooms

PACKAGE = Path(__file__).parents[1] / "src" / "opinioncast"

OPEN = {"errors", "files", "texts", "json_text", "csv_files", "parquet_files"}
"""Every room may import these."""

COMPUTED = {
    "declarations": "modules of the room that asks: a declaration is found where it stands",
    ROOT: "the public names, each where the imports for type checkers say it is",
}
"""Rooms that import what their text does not name, and what that is."""

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "texts": set(),
    "json_text": set(),
    "csv_files": {"files", "texts"},
    "kept_store": set(),
    "parquet_files": set(),
    "output_records": {"documents"},
    "output_folder": {"output_records"},
    "yaml_values": set(),
    "documents": {"yaml_values"},
    "declarations": set(),
    "options": set(),
    "recipe_files": set(),
    "models": set(),  # data files, and where they are
    "recipes": set(),
    "survey": {"documents"},
    "readers": {"survey", "declarations", "documents"},
    "questionnaires": {"survey", "declarations", "documents", "curate"},
    "prompts": {"survey", "options"},
    "backends": {"documents", "output_records", "kept_store", "declarations", "options"},
    "curate": {"survey", "readers", "recipe_files", "documents"},
    "evaluate": {"survey"},
    "methods": {
        "kept_store",
        *("survey", "prompts", "backends", "evaluate", "models", "declarations", "options"),
        "documents",
    },
    "predictor": {
        *("survey", "prompts", "backends", "methods", "models", "options", "documents"),
    },
    "evidence": {
        *("survey", "questionnaires", "curate", "evaluate", "documents", "recipe_files"),
    },
    "finetune": {
        *("survey", "prompts", "backends", "evaluate", "evidence", "recipe_files", "documents"),
    },
    "banners": {"survey", "curate"},
    "library": {"survey", "documents", "recipe_files", "models", "output_records"},
    "synthesis": {"survey", "evidence", "banners"},
    "report": {
        *("survey", "library", "curate", "evaluate", "evidence", "declarations", "banners"),
    },
    "jobs": {
        "kept_store",
        "output_folder",
        "documents",
        *("survey", "readers", "questionnaires", "backends", "curate", "evaluate", "methods"),
        *("predictor", "evidence", "finetune", "report", "models", "options", "library"),
        *("banners", "synthesis"),
    },
    "reproduce": {
        "output_folder",
        *("survey", "readers", "prompts", "backends", "curate", "evaluate", "methods"),
        *("predictor", "finetune", "report", "jobs", "models", "recipe_files", "documents"),
    },
    "public": {"survey", "methods", "curate", "evaluate", "finetune", "jobs"},
    ROOT: {
        *("survey", "questionnaires", "curate", "evaluate", "finetune", "methods", "predictor"),
        "public",
    },
    "cli": {
        "kept_store",
        "output_folder",
        *("survey", "questionnaires", "backends", "curate", "evaluate", "methods", "predictor"),
        *(
            "banners",
            "synthesis",
            "evidence",
            "finetune",
            "report",
            "jobs",
            "reproduce",
            "options",
            "library",
            ROOT,
        ),
    },
    "app": {
        *("survey", "questionnaires", "methods", "predictor", "banners", "evidence", "report"),
        *("jobs", "documents"),
    },
    "__main__": {"cli"},
}
"""Room (a folder, or a module beside them) -> rooms it may import besides :data:`OPEN`.

To add a room, give it a line below those it stands on. Each edge here is one that the code has:
grant it with the change that needs it.
"""


@cache
def edges() -> dict[str, dict[str, str]]:
    """Room -> rooms it imports -> one place that does."""
    found: dict[str, dict[str, str]] = {room: {} for room in rooms(PACKAGE)}
    for file in sorted(PACKAGE.rglob("*.py")):
        own = room_of(file, PACKAGE)
        for room, line in imported_rooms(file, PACKAGE).items():
            if room != own and not (room == UNKNOWN and own in COMPUTED):
                found[own].setdefault(room, f"{file.relative_to(PACKAGE)}, line {line}")
    return found


def test_every_room_has_its_line() -> None:
    assert set(MAY_IMPORT) == rooms(PACKAGE)


@pytest.mark.slow
@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_one_direction(room: str) -> None:
    granted = MAY_IMPORT[room] | OPEN
    refused = {r: place for r, place in edges()[room].items() if r not in granted}
    assert not refused, f"{room} may not import these (MAY_IMPORT): {refused}"


@pytest.mark.slow
def test_no_edge_is_granted_that_does_not_exist() -> None:
    unused = {room: MAY_IMPORT[room] - set(found) for room, found in edges().items()}
    assert not {room: more for room, more in unused.items() if more}


def test_nothing_granted_leads_back() -> None:
    """Whoever grants an edge that closes a circle is told so, whatever the code does."""
    graph = {room: granted | OPEN for room, granted in MAY_IMPORT.items() if room not in OPEN}
    graph |= {room: MAY_IMPORT[room] for room in OPEN}
    TopologicalSorter(graph).prepare()  # raises CycleError
    assert UNKNOWN not in set().union(*MAY_IMPORT.values())


def test_public_names_are_where_type_checkers_are_told() -> None:
    import opinioncast

    told = (PACKAGE / "__init__.py").read_text("utf-8")
    for name, module in opinioncast._HOME.items():
        assert f"from opinioncast.{module} import" in told
        assert getattr(opinioncast, name).__name__ == name
    assert set(opinioncast.__all__) == {*opinioncast._HOME, *opinioncast._ROOMS, "__version__"}


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("import house.attic", {"attic"}),
        ("import house.attic.trunk as t", {"attic"}),
        ("import house", {ROOT}),
        ("import house as h", {ROOT}),
        ("import os, house.attic", {"attic"}),
        ("from house import attic", {"attic"}),
        ("from house import attic as a, VERSION", {"attic", ROOT}),
        ("from house import VERSION", {ROOT}),
        ("from house import *", {ROOT}),
        ("from house.attic import trunk", {"attic"}),
        ("from house.attic.trunk import lid", {"attic"}),
        ("from house.stairs import step", {"stairs"}),
        ("from . import shelf", {"cellar"}),
        ("from .shelf import jar", {"cellar"}),
        ("from .. import attic", {"attic"}),
        ("from .. import VERSION", {ROOT}),
        ("from ..attic import trunk", {"attic"}),
        ("from ..attic.trunk import lid", {"attic"}),
        ("def f():\n    from house import attic", {"attic"}),
        ("if TYPE_CHECKING:\n    import house.attic", {"attic"}),
        ("try:\n    import house.attic\nexcept ImportError:\n    pass", {"attic"}),
        ("import importlib\nimportlib.import_module('house.attic')", {"attic"}),
        ("import importlib as i\ni.import_module('house')", {ROOT}),
        ("from importlib import import_module\nimport_module('house.attic.trunk')", {"attic"}),
        ("from importlib import import_module as load\nload('house.attic')", {"attic"}),
        ("import_module(name='house.attic')", {"attic"}),
        ("import_module('..attic', 'house.cellar')", {"attic"}),
        ("import_module('..attic', package=__package__)", {"attic"}),
        ("import_module('.shelf', __package__)", {"cellar"}),
        ("import_module(f'house.attic.{name}')", {"attic"}),
        ("import_module('house.attic.' + name)", {"attic"}),
        ("import_module(f'{__package__}.{name}')", {"cellar"}),
        ("import_module(f'.{name}', __package__)", {"cellar"}),
        ("__import__('house.attic')", {"attic"}),
        ("builtins.__import__('house.attic.trunk')", {"attic"}),
        ("pkgutil.resolve_name('house.attic:trunk')", {"attic"}),
        ("runpy.run_module('house.attic')", {"attic"}),
        # what nobody can read is no import that is allowed
        ("import_module(name)", {UNKNOWN}),
        ("import_module(f'house.{name}')", {UNKNOWN}),
        ("import_module('house.' + name)", {UNKNOWN}),
        ("import_module('.attic', package)", {UNKNOWN}),
        # and what is no import of the house
        ("import household.attic", set()),
        ("from attic import house", set()),
        ("import_module('torch')", set()),
        ("import_module(f'torch.{name}')", set()),
        ("resources.files('house.attic')", set()),
        ("'import house.attic'", set()),
    ],
)
def test_the_checker_sees_every_form(text: str, seen: set[str], tmp_path: Path) -> None:
    house = tmp_path / "house"
    for room in ("attic", "cellar"):
        (house / room).mkdir(parents=True)
        (house / room / "__init__.py").touch()
    (house / "stairs.py").touch()
    (house / "__init__.py").write_text("VERSION = 1\n")
    file = house / "cellar" / "mod.py"
    file.write_text(text + "\n")
    assert set(imported_rooms(file, house)) == seen
    assert room_of(file, house) == "cellar"


def test_the_checker_reads_init_and_deep_modules(tmp_path: Path) -> None:
    house = tmp_path / "house"
    deep = house / "cellar" / "rack"
    deep.mkdir(parents=True)
    (house / "attic.py").touch()
    for file, text in {
        house / "__init__.py": "from .cellar import rack\nfrom . import attic",
        house / "cellar" / "__init__.py": "\n\nfrom ..attic import trunk",
        deep / "__init__.py": "from ... import attic",
        deep / "bottle.py": "from ..rack import wine\nfrom ...attic import trunk",
    }.items():
        file.write_text(text)
    assert rooms(house) == {ROOT, "attic", "cellar"}
    assert imported_rooms(house / "__init__.py", house) == {"cellar": 1, "attic": 2}
    assert imported_rooms(house / "cellar" / "__init__.py", house) == {"attic": 3}
    assert imported_rooms(deep / "__init__.py", house) == {"attic": 1}
    assert imported_rooms(deep / "bottle.py", house) == {"cellar": 1, "attic": 2}
    assert room_of(deep / "bottle.py", house) == "cellar"
    assert room_of(house / "attic.py", house) == "attic"
