"""``python -m opinioncast``."""

from opinioncast.cli import main

main()
