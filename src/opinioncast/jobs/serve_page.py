"""Serve the page on this machine alone."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from opinioncast.errors import InputError
from opinioncast.files import storing
from opinioncast.library.own import data_folder

ADDRESS = "127.0.0.1"
"""Loopback: nobody else on the network reaches it."""
MAX_UPLOAD_MB = 20
"""Of one file: an instrument or a pilot of some thousand interviews is far below it."""


def serve_page(folder: Path | None, *, port: int, browser: bool) -> None:
    """Serve until it is interrupted.

    Args:
        folder: of the projects; None: in the user's data folder.
        browser: whether to open one.

    Raises:
        InputError: Streamlit is not installed, or the server ends at once.
        StorageError: the folder cannot be made.
    """
    if find_spec("streamlit") is None:
        raise InputError(
            "The page needs Streamlit",
            expected="the extra [app]",
            found="it is not installed",
            hint="pip install 'opinioncast[app]'",
        )
    root = (folder or data_folder() / "projects").expanduser().resolve()
    with storing(root):
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
    page = Path(str(files("opinioncast"))) / "app" / "page.py"
    settings = {
        "server.address": ADDRESS,
        "server.port": port,
        "server.headless": not browser,
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": False,  # a bare text in the script is a comment, not output
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
    }
    given = [f"--{name}={str(value).lower()}" for name, value in settings.items()]
    command = [sys.executable, "-m", "streamlit", "run", str(page), *given, "--", str(root)]
    print(f"http://{ADDRESS}:{port}  (Ctrl-C ends it; runs that are going on go on)", flush=True)
    try:
        code = subprocess.call(command, env=os.environ | {"STREAMLIT_SERVER_ADDRESS": ADDRESS})
    except KeyboardInterrupt:
        return
    if code:
        raise InputError(
            "The page's server ended",
            where=f"{ADDRESS}:{port}",
            expected="a free port",
            found=f"status {code}",
            hint="give another with --port",
        )
