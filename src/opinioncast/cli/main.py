"""The commands put together, and what happens to an error: one screen, a status, no traceback."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from opinioncast import __version__
from opinioncast.cli.curate import bounds, curate
from opinioncast.cli.estimate import estimate
from opinioncast.cli.evaluate import evaluate
from opinioncast.cli.finetune import finetune
from opinioncast.cli.input_use import input_use
from opinioncast.cli.learn_prior import learn_prior
from opinioncast.cli.plan import plan
from opinioncast.cli.predict import demo, groups, predict
from opinioncast.cli.reproduce import reproduce
from opinioncast.cli.train_community import train_community
from opinioncast.cli.train_network import train_network
from opinioncast.cli.update import update
from opinioncast.errors import OpinioncastError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Predict how subpopulations answer a survey question. Predictions are model output; they "
    "are not survey data and do not stand for respondents.",
)
for command in (predict, demo, groups, curate, bounds, evaluate, finetune, reproduce, update):
    app.command()(command)
app.command()(plan)
app.command()(estimate)
app.command("train-network")(train_network)
app.command("input-use")(input_use)
app.command("learn-prior")(learn_prior)
app.command("train-community")(train_community)

_INTERRUPTED = 130  # what typer makes of Ctrl-C


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"opinioncast {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where in the code an error arose.")
    ] = False,
) -> None:
    """Options before the command. ``--traceback`` is read by :func:`main`."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command and turn errors into one screen and an exit status.

    Status 0: all there. 2: the input or machine does not allow it. 3: the run ended with rows
    missing or without label mass. 130: interrupted. 1: a fault of this program.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        app(arguments, standalone_mode=True)
    except OpinioncastError as error:
        if "--traceback" in arguments:
            raise
        print(f"opinioncast: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print(
                "opinioncast: interrupted; finished work is kept, the same command goes on from "
                "here",
                file=sys.stderr,
            )
        raise
    except Exception as error:
        if "--traceback" in arguments:
            raise
        print(
            f"opinioncast: a fault of the program itself ({type(error).__name__}: {error})\n"
            "  what to do: run `opinioncast --traceback ...` and report what it prints",
            file=sys.stderr,
        )
        sys.exit(1)
