"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched from a hub in a test


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real survey files; tests that need it skip where it is absent.

    ``OPINIONCAST_DATA`` names it, else ``../shared/data`` beside the repository is tried.
    """
    folder = Path(
        os.environ.get("OPINIONCAST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    )
    if not (folder / "README.md").is_file():
        pytest.skip(f"real survey files are not here (looked in {folder}; set OPINIONCAST_DATA)")
    return folder
