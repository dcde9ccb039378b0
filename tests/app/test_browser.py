"""The page in a real browser: from upload to download, closed and opened again in between.

Needs Chromium (Debian's package) and Playwright's driver; skipped where one of them is not there.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]
TEXT = """
questions:
  - {id: rent, question: Do you favor or oppose a limit on rents?, options: [Favor, Oppose]}
  - {id: trust, question: How much do you trust the mayor?, options: [A lot, Some, Not at all],
     observed: {TOTAL: [50, 30, 20]}}
"""
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run")
OFFLINE = ("--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "projects"
    command = [sys.executable, "-m", "opinioncast", "app", "--folder", str(folder)]
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--no-browser"], stdout=log, stderr=log
        )
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(20)


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the server did not come up")


@pytest.fixture
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *OFFLINE])
        yield chromium
        chromium.close()


def test_from_upload_to_download(address: str, browser: Any, tmp_path: Path) -> None:
    questionnaire = tmp_path / "draft.yaml"
    questionnaire.write_text(TEXT)
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.get_by_role("button", name="Begin a project").click()
    page.locator("input[type=file]").first.set_input_files(questionnaire)
    page.get_by_role("button", name="Read this file").click()
    page.get_by_text("It was read").wait_for()
    page.get_by_role("tab", name="2 ·").click()
    page.locator("label").filter(has_text="network").first.click()  # seconds, no language model
    page.wait_for_timeout(2000)
    page.get_by_role("tab", name="3 ·").click()
    page.get_by_role("button", name="Predict", exact=True).click()
    page.get_by_text("Run 1").first.wait_for()
    kept = page.url
    page.close()  # in mid-run

    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(kept)
    page.get_by_role("tab", name="3 ·").click()
    page.get_by_text("· finished").wait_for(timeout=240_000)
    page.get_by_role("tab", name="4 ·").click()
    page.get_by_text("as near to what people answer").wait_for()
    page.locator("canvas, svg.marks").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download everything").click()
    whole = tmp_path / "whole.zip"
    download.value.save_as(whole)
    names = zipfile.ZipFile(whole).namelist()
    assert {"predictions.parquet", "predictions.csv", "manifest.json"} <= set(names)
    page.get_by_role("button", name="Make the banner workbook").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the workbook").click()
    assert download.value.suggested_filename == "model-output-run-1.xlsx"
    page.get_by_role("tab", name="5 ·").click()
    page.get_by_text("Planned from run 1").wait_for()
    assert page.get_by_text("A fault of the program itself").count() == 0
