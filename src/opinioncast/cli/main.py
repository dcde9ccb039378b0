"""The commands put together, and what happens to an error: one screen, a status, no traceback."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from opinioncast import __version__
from opinioncast.cli.interrupts import INTERRUPTED, told_of_interrupts
from opinioncast.cli.screen import forgiving_streams, one_screen
from opinioncast.errors import InputError, OpinioncastError
from opinioncast.files import is_storage_problem, storage_error
from opinioncast.output_folder import KeptAsideWarning
from opinioncast.texts import visible

COMMANDS: dict[str, tuple[str, str, str]] = {
    "predict": (
        "predict",
        "predict",
        "Predict a questionnaire for subpopulations, from its wording and what is known already.",
    ),
    "merge": (
        "predict",
        "merge",
        "Put together what `predict --shard` made: the files that one machine would have written.",
    ),
    "import": (
        "import_file",
        "import_file",
        "Read an instrument (Word, Qualtrics, Triple-S, ...) into YAML, with a check list.",
    ),
    "update": (
        "update",
        "update",
        "Start from what is known: read toplines, a pilot's answers or past waves on predictions.",
    ),
    "demo": (
        "predict",
        "demo",
        "Predict shipped General Social Survey questions and compare with what people answered.",
    ),
    "library": (
        "library",
        "library",
        "Questions that surveys asked before: list, search by meaning, show, add your own.",
    ),
    "app": (
        "app",
        "app",
        "Open the page: an instrument in, predictions to look at, a workbook out.",
    ),
    "groups": ("groups", "groups", "List the attributes and groups that --groups knows."),
    "methods": (
        "methods",
        "methods",
        "List methods, backends, models that ship, and formats, with the options each takes.",
    ),
    "cache": (
        "cache",
        "cache",
        "Show what is kept between runs, or forget it: finished prompts, answers, vectors, models.",
    ),
    "inspect": (
        "inspect",
        "inspect",
        "Show what is understood of a survey file before any recipe: odd things first.",
    ),
    "init": (
        "inspect",
        "init",
        "Write a first codebook, group and curation recipe of a survey file, guesses marked.",
    ),
    "curate": (
        "curate",
        "curate",
        "Turn survey microdata into an opinion table, with a report of every decision.",
    ),
    "bounds": (
        "curate",
        "bounds",
        "Uniform upper bound and human lower bound of a recipe's table, per group and overall.",
    ),
    "evaluate": (
        "evaluate",
        "evaluate",
        "Score predictions against what people answered: tables, figures and one page.",
    ),
    "estimate": (
        "estimate",
        "estimate",
        "The unbiased estimate of a pilot: its weighted shares, made more precise by predictions.",
    ),
    "plan": (
        "plan",
        "plan",
        "Plan a sample: expected errors, the cheapest one that meets targets, differences it sees.",
    ),
    "banner": (
        "banner",
        "banner",
        "Toplines and banner tables: a workbook, a page, CSV and parquet, with a disclosure card.",
    ),
    "synthesize": (
        "synthesize",
        "synthesize",
        "Synthetic records (SPSS, Stata, ...) whose crosstabs give predictions back.",
    ),
    "finetune": (
        "finetune",
        "finetune",
        "Fine-tune a model on an opinion table; the same command goes on with a killed run.",
    ),
    "export": (
        "export",
        "export",
        "Merge an adapter into its base: a folder that is ready for a model hub.",
    ),
    "reproduce": (
        "reproduce",
        "reproduce",
        "Make tables and figures of the paper; the same command goes on where it was stopped.",
    ),
    "convert": (
        "convert",
        "convert",
        "Write an opinion table in another layout: parquet, SubPOP's, a Hugging Face dataset.",
    ),
    "split": (
        "division",
        "split",
        "Divide an opinion table into parts that share no question.",
    ),
    "overlap": (
        "division",
        "overlap",
        "Take out of an opinion table the questions that others ask too.",
    ),
    "train-network": (
        "train_network",
        "train_network",
        "Train the small network over sentence embeddings; minutes on a CPU, a few MB.",
    ),
    "input-use": (
        "input_use",
        "input_use",
        "How much worse a method is without the group or question, or with shuffled options.",
    ),
    "train-community": (
        "train_community",
        "train_community",
        "Train a community module of Modular Pluralism on text; resumes when killed.",
    ),
    "learn-prior": (
        "learn_prior",
        "learn_prior",
        "Learn from surveys how groups differ: the prior that `update --prior` reads.",
    ),
}
"""Name -> module of this folder, function, first line of its help. A module is imported when its
command is: nobody waits for a chart library to list groups."""

_GOES_ON = "interrupted; finished work is kept, the same command goes on from here"
_TRACEBACK = "--traceback"
_DISK = "A file could not be read or written"
_USABLE = "files that you may read, and a disk with free space that you may write to"
_MEND = "see to the file's permissions or free some space, then run the same command again"


class _Commands(TyperGroup):
    """The commands of :data:`COMMANDS`, each imported when it is run."""

    def make_context(self, *given: Any, **more: Any) -> Any:
        with _words_of_users():
            return super().make_context(*given, **more)

    def invoke(self, ctx: Any) -> Any:
        with _words_of_users():
            return super().invoke(ctx)

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, function, _ = COMMANDS[cmd_name]
        run = getattr(importlib.import_module(f"opinioncast.cli.{module}"), function)
        if isinstance(run, typer.Typer):  # a command with commands of its own
            return typer.main.get_command(run)
        one = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        if hasattr(run, "_option_bundles"):  # the declarations are for who predicts
            from opinioncast.cli.options import with_bundles

            run = with_bundles(run)
        one.command(cmd_name)(run)
        return typer.main.get_command(one)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@contextmanager
def _words_of_users() -> Iterator[None]:
    """What is wrong with a command line quotes it: control marks are shown as such, on a screen."""
    try:
        yield
    except Exception as error:
        if hasattr(error, "format_message"):  # of click, whichever typer brings along
            said = one_screen(visible(error.format_message()))
            error.format_message = lambda: said
        raise


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Predict how subpopulations answer a survey question. Predictions are model output; they "
    "are not survey data and do not stand for respondents.",
)


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
        bool, typer.Option(_TRACEBACK, help="Show where in the code an error arose.")
    ] = False,
) -> None:
    """Options before the command. ``--traceback`` is read by :func:`main`."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point: run a command and turn errors into one screen and an exit status.

    Status 0: all there. 2: the input or machine does not allow it. 3: the run ended with rows
    missing or without label mass. 130: interrupted. 1: a fault of this program. What becomes of
    standard output changes none of them.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    traceback = _TRACEBACK in arguments
    with forgiving_streams(), warnings.catch_warnings(), told_of_interrupts(_complain):
        warnings.simplefilter("always", KeptAsideWarning)  # each names another file
        warnings.showwarning = _warn(warnings.showwarning)  # catch_warnings puts it back
        try:
            _check_letters(arguments)
            app([a for a in arguments if a != _TRACEBACK], standalone_mode=True)
        except OpinioncastError as error:
            if traceback:
                raise
            _complain(str(error))
            sys.exit(error.exit_code)
        except SystemExit as stop:
            if stop.code == INTERRUPTED:
                _complain(_GOES_ON)
            raise
        except Exception as error:
            if traceback:
                raise
            if is_storage_problem(error):  # of a library, past everyone who could name the place
                met = storage_error(error, title=_DISK, expected=_USABLE, hint=_MEND)
                _complain(str(met))
                sys.exit(met.exit_code)
            _complain(
                f"a fault of the program itself ({type(error).__name__}: {error})\n"
                "  what to do: run `opinioncast --traceback ...` and report what it prints"
            )
            sys.exit(1)


def _check_letters(arguments: list[str]) -> None:
    """Bytes that are no UTF-8 come as halves of characters, which no file can name afterwards."""
    for argument in arguments:
        if any("\ud800" <= c <= "\udfff" for c in argument):
            raise InputError(
                "An argument is not text",
                where="the command line",
                expected="text in UTF-8",
                found=visible(argument),
                hint="rename the file or folder",
            )


def _warn(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Shows what was kept aside as a line of ours; other warnings as they are."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, KeptAsideWarning):
            _complain(str(message))
        else:
            otherwise(message, category, *where, **more)

    return show


def _complain(text: str) -> None:
    print(one_screen(f"opinioncast: {text}"), file=sys.stderr)
