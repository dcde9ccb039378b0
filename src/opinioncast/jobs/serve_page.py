"""Serve the page on this machine alone.

The server is this very process: whatever ends it (Ctrl-C, SIGTERM, kill -9, a closed terminal)
leaves no server behind.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
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
        "server.showEmailPrompt": False,  # or the first start waits for an address to be typed
        "server.maxUploadSize": MAX_UPLOAD_MB,
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": False,
        "client.toolbarMode": "minimal",
        "runner.magicEnabled": False,  # a bare text in the script is a comment, not output
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
    }
    given = [f"--{name}={str(value).lower()}" for name, value in settings.items()]
    print(f"http://{ADDRESS}:{port}  (Ctrl-C ends it; runs that are going on go on)", flush=True)
    code = _streamlit(["run", str(page), *given, "--", str(root)])
    if code:
        raise InputError(
            "The page's server ended",
            where=f"{ADDRESS}:{port}",
            expected="a free port",
            found=f"status {code}",
            hint="give another with --port",
        )


def _streamlit(arguments: Sequence[str]) -> int:
    """Streamlit's own command line, here; its status when the server has ended. SIGINT and SIGTERM
    end the server by Streamlit's own handlers."""
    from streamlit.web.cli import main

    os.environ["STREAMLIT_SERVER_ADDRESS"] = ADDRESS
    try:
        main(list(arguments), prog_name="streamlit", standalone_mode=False)
    except KeyboardInterrupt:  # before there was a server
        return 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
