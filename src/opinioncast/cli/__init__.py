"""The command ``opinioncast``: thin commands over the typed functions of ``jobs``."""

from opinioncast.cli.main import main

__all__ = ["main"]
