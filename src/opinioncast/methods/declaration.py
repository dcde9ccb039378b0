"""What a method of prediction says of itself: its name, its settings, and how it is built.

Each method is one module of this folder with one ``METHOD``; the command line, the docs, the error
bars and the reproduction find it there. One of another package is found by its entry point in the
group ``opinioncast.methods``, or is told to :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from opinioncast.declarations import Declared
from opinioncast.options import options_of
from opinioncast.prompts import Prompting
from opinioncast.survey import OpinionTable

if TYPE_CHECKING:
    from opinioncast.backends.protocol import Backend, Generator
    from opinioncast.methods.embedding.features import TextEncoder
    from opinioncast.methods.prediction import Method
    from opinioncast.methods.row_cache import RowCache


class Resources(Protocol):
    """What a method may ask for when it is built. The same thing asked for again is the same one:
    it was opened once."""

    @property
    def prompting(self) -> Prompting:
        """How rows are put to the language model: as asked, else as its adapter was trained."""
        ...

    @property
    def as_trained(self) -> bool:
        """The adapter says what it was trained to answer with, and is asked for that."""
        ...

    @property
    def trained_questions(self) -> str:
        """:func:`opinioncast.survey.sameness.digests` of the questions that the adapter was trained
        on; empty where it keeps none."""
        ...

    @property
    def cache(self) -> RowCache | None:
        """Finished rows are kept there; None keeps none."""
        ...

    def language_model(self) -> Backend:
        """The model that answers, with its adapter if it has one."""
        ...

    def named(self, name: str) -> Backend:
        """Another model: a folder, a name, or either behind the name of a backend."""
        ...

    def module(self, name: str) -> Generator:
        """A model that writes, named likewise; adapters of one base share it."""
        ...

    def sentence_model(self, name: str | None) -> TextEncoder:
        """A folder or hub name; None: the embedded one."""
        ...

    def table(self, path: Path) -> OpinionTable:
        """An opinion table from its file."""
        ...


@dataclass(frozen=True, slots=True)
class MethodKind:
    """A declaration.

    Attributes:
        name: as typed after ``--method``.
        help: one line.
        settings: class of its settings (:mod:`opinioncast.options`), checked when made.
        build: from the settings to the method.
        language_model: whether it puts prompts to a language model.
        shapes: keys of its record that shape its numbers; error bars belong to their values.
        advice: what may help where it leaves rows missing or without label mass.
        own_adapter: the adapter that it takes on the embedded model where none is named.
        parts: of its settings, the names of models beside the one that answers.
        order: place in lists.
    """

    name: str
    help: str
    settings: type
    build: Callable[[Any, Resources], Method]
    language_model: bool = False
    shapes: tuple[str, ...] = ()
    advice: str | None = None
    own_adapter: str | None = None
    parts: Callable[[Any], tuple[str, ...]] = lambda settings: ()
    order: int = 100

    @property
    def options(self) -> Mapping[str, Any]:
        """Its settings by name."""
        return options_of(self.settings)


_declared: Declared[MethodKind] = Declared(
    MethodKind, "opinioncast.methods", "METHOD", entry_points="opinioncast.methods"
)
register = _declared.register


def method_kinds() -> tuple[MethodKind, ...]:
    """Every method that is declared."""
    return _declared.in_order()


def method_kind(name: str) -> MethodKind:
    """The method called ``name``.

    Raises:
        InputError: there is none.
    """
    return _declared.called(name, "method", "--method")


def with_option(name: str) -> Iterator[MethodKind]:
    """The methods that have a setting called ``name``."""
    return (kind for kind in method_kinds() if name in kind.options)


def shaping() -> tuple[str, ...]:
    """Keys of records that shape the numbers of any method."""
    return tuple(dict.fromkeys(key for kind in method_kinds() for key in kind.shapes))
