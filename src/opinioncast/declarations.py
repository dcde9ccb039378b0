"""Declarations: one object a module that says what the module offers, found where it stands.

A method, a backend, a questionnaire format is declared in its own file; nothing else lists it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from importlib.metadata import entry_points as installed_entry_points
from typing import Generic, Protocol, TypeVar

from opinioncast.errors import InputError


class Named(Protocol):
    """What is declared has a name, and a place in lists."""

    @property
    def name(self) -> str: ...

    @property
    def order(self) -> int: ...


D = TypeVar("D", bound=Named)


class Declared(Generic[D]):
    """What is declared of one kind: in the modules of a package, by entry points, by a call.

    Args:
        kind: class of the declarations.
        package: its modules (not its subpackages) are looked through; they must be cheap to import.
        attribute: name of a declaration in its module.
        entry_points: group of entry points of other packages, each of which is a declaration.
    """

    def __init__(self, kind: type[D], package: str, attribute: str, *, entry_points: str) -> None:
        self._kind = kind
        self._package = package
        self._attribute = attribute
        self._entry_points = entry_points
        self._found: dict[str, D] | None = None
        self._registered: dict[str, D] = {}

    def register(self, declaration: D) -> D:
        """Add a declaration of another package; the same name again takes its place.

        Raises:
            InputError: no such declaration, or the name of one that this package has.
        """
        self._check(declaration, "register")
        if declaration.name in self._built_in():
            raise InputError(
                "A declaration has the name of one that comes with the package",
                where=self._entry_points,
                expected="a name of its own",
                found=declaration.name,
            )
        self._registered[declaration.name] = declaration
        return declaration

    def all(self) -> Mapping[str, D]:
        """Every declaration by name."""
        return {**self._built_in(), **self._registered}

    def in_order(self) -> tuple[D, ...]:
        """Every declaration in the order of lists."""
        return tuple(sorted(self.all().values(), key=lambda one: (one.order, one.name)))

    def called(self, name: str, what: str, where: str) -> D:
        """The declaration of that name.

        Args:
            what: a declaration in one word, for the error.
            where: the option that names it.

        Raises:
            InputError: there is none.
        """
        found = self.all().get(name)
        if found is None:
            raise InputError(
                f"Unknown {what}",
                where=where,
                expected=", ".join(one.name for one in self.in_order()),
                found=name,
            )
        return found

    def _built_in(self) -> dict[str, D]:
        if self._found is not None:
            return self._found
        found: dict[str, D] = {}
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            if module.ispkg:
                continue
            loaded = importlib.import_module(f"{self._package}.{module.name}")
            declaration = getattr(loaded, self._attribute, None)
            if declaration is not None:
                found[self._check(declaration, loaded.__name__).name] = declaration
        self._found = found
        for point in installed_entry_points(group=self._entry_points):
            self.register(self._check(point.load(), f"entry point {point.name}"))
        return found

    def _check(self, declaration: object, where: str) -> D:
        if not isinstance(declaration, self._kind):
            raise InputError(
                "A declaration is of another kind",
                where=where,
                expected=self._kind.__name__,
                found=type(declaration).__name__,
            )
        return declaration
