"""What a module of a package imports, whatever the form: read from its text, never run.

A *room* is what stands directly in the package: a folder, or a module such as ``errors``. The
package itself (its ``__init__``) is the room :data:`ROOT`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = "__init__"
UNKNOWN = "?"
"""An import of something that the text does not name; nobody can say which room it is."""

_COMPUTED = "\0"
_BY_NAME = {"import_module", "__import__", "resolve_name", "run_module"}
"""Functions of importlib, builtins, pkgutil and runpy whose first argument names a module."""


def rooms(package: Path) -> set[str]:
    """The rooms of a package: folders with Python files, and modules."""
    folders = {p.name for p in package.iterdir() if p.is_dir() and any(p.rglob("*.py"))}
    return folders | {p.stem for p in package.glob("*.py")}


def room_of(file: Path, package: Path) -> str:
    return file.relative_to(package).parts[0].removesuffix(".py")


def imported_rooms(file: Path, package: Path) -> dict[str, int]:
    """Rooms that a module of ``package`` imports, anywhere in its text, and the first line of each.

    Seen are ``import p.x``, ``import p`` (the root), ``from p import x`` (the room where it is one,
    else the root), ``from p.x import y``, relative imports, and modules named to a function as
    ``importlib.import_module("p.x")`` or ``__import__("p.x")``, also under another name, relative
    and with its end computed (``f"p.x.{name}"``). Where the room is computed it is UNKNOWN.
    """
    tree = ast.parse(file.read_text("utf-8"), str(file))
    inside = (package.name, *file.relative_to(package).with_suffix("").parts)
    parent = inside[:-1]  # of a module, and of a package's __init__ alike
    known = rooms(package)
    found: dict[str, int] = {}
    for line, module in sorted(_modules(tree, parent)):
        room = _room(module, package.name, known)
        if room is not None:
            found.setdefault(room, line)
    return found


def _room(module: str, package: str, known: set[str]) -> str | None:
    first, *rest = module.split(".")
    if _COMPUTED in first:
        return UNKNOWN
    if first != package:
        return None
    if rest and _COMPUTED in rest[0]:
        return UNKNOWN
    return rest[0] if rest and rest[0] in known else ROOT


def _modules(tree: ast.Module, parent: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported; of ``from a import b`` it is ``a.b``."""
    by_name = set(_BY_NAME)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            by_name |= {a.asname for a in node.names if a.asname and a.name in _BY_NAME}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node.module or "", node.level, parent)
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and _name(node.func) in by_name:
            yield node.lineno, _named(node, parent)


def _absolute(module: str, level: int, parent: tuple[str, ...]) -> str:
    if level == 0:
        return module
    return ".".join((*parent[: len(parent) - level + 1], *filter(None, [module])))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _named(call: ast.Call, parent: tuple[str, ...]) -> str:
    """The module that a call names."""
    given = {k.arg: k.value for k in call.keywords}
    name = _text(call.args[0] if call.args else given.get("name"), parent).replace(":", ".")
    level = len(name) - len(name.lstrip("."))
    package = _text(call.args[1] if len(call.args) > 1 else given.get("package"), parent)
    return _absolute(name.lstrip("."), level, tuple(package.split(".")))


def _text(node: ast.expr | None, parent: tuple[str, ...]) -> str:
    """A text as far as it is written down; what follows is _COMPUTED."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name) and node.id in ("__name__", "__package__"):
        return ".".join(parent)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, parent)
    parts: list[ast.expr] = []
    if isinstance(node, ast.JoinedStr):
        parts = node.values
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts = [node.left, node.right]
    return "".join(_text(part, parent) for part in parts) if parts else _COMPUTED
