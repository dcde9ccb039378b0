"""Small changes of one source file, each of which a test should notice.

The operators are mutmut's (numbers, comparisons, arguments dropped, keywords, strings), with five
more for what goes wrong in arithmetic and training: a call that is not made, the other of a pair
(``min`` for ``max``, ``eval`` for ``train``), two arguments exchanged, a condition turned round, a
product's or keyword's number taken twenty times.

Left alone, because a change there is no change of a number: annotations, documentation, decorators,
imports, what stands in a ``raise`` (the words of an error), texts of several words, names of
encodings, ``strict=`` of zip (a guard that is never met), ``len`` and ``isinstance``.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_PAIRS = (
    ("min", "max"),
    ("argmin", "argmax"),
    ("minimum", "maximum"),
    ("any", "all"),
    ("floor", "ceil"),
    ("train", "eval"),
    ("mean", "sum"),
    ("exp", "log"),
    ("first", "last"),
)
_OTHER = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
_NUMBERS = {"lr", "learning_rate", "weight_decay", "eps", "betas", "max_norm", "alpha", "gamma"}
_QUIET_CALLS = {"len", "isinstance", "cast"}
_TWENTY = cst.Integer("20")


def _call_not_made(node: cst.Expr) -> Iterator[cst.BaseSmallStatement]:
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def _other_of_pair(node: cst.Call) -> Iterator[cst.Call]:
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if isinstance(name, cst.Name) and name.value in _OTHER:
        yield node.with_deep_changes(name, value=_OTHER[name.value])


def _arguments_exchanged(node: cst.Call) -> Iterator[cst.Call]:
    plain = [i for i, arg in enumerate(node.args) if arg.keyword is None and not arg.star]
    if len(plain) < 2 or plain[:2] != [0, 1]:
        return
    first, second, *rest = node.args
    exchanged = [first.with_changes(value=second.value), second.with_changes(value=first.value)]
    yield node.with_changes(args=[*exchanged, *rest])


def _condition_turned(node: cst.If) -> Iterator[cst.If]:
    yield node.with_changes(test=_negated(node.test))


def _negated(test: cst.BaseExpression) -> cst.BaseExpression:
    inside = test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return cst.UnaryOperation(cst.Not(), inside)


def _twenty_times(node: cst.Arg) -> Iterator[cst.Arg]:
    if node.keyword is not None and node.keyword.value in _NUMBERS:
        inside = node.value.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(value=cst.BinaryOperation(_TWENTY, cst.Multiply(), inside))


_OPERATORS: tuple[tuple[type, Any], ...] = (
    *mutation_operators,
    (cst.Expr, _call_not_made),
    (cst.Call, _other_of_pair),
    (cst.Call, _arguments_exchanged),
    (cst.If, _condition_turned),
    (cst.Arg, _twenty_times),
)


@dataclass(frozen=True)
class Change:
    """One mutant of one file.

    Attributes:
        file: path of the file, as the caller names it.
        kind: name of the operator.
        line: where the changed node begins, from 1.
        span: first and last line of the statement around it (of a compound one, its head): a test
            that runs any of these lines reaches the change.
        at_import: it runs when the module is imported, whatever the test.
        number: which one of the file's changes it is.
    """

    file: str
    kind: str
    line: int
    span: tuple[int, int]
    at_import: bool
    number: int


class MutableFile:
    """All changes that can be made to one file."""

    def __init__(self, file: str, source: str) -> None:
        self.file = file
        self.source = source
        wrapper = MetadataWrapper(cst.parse_module(source))
        finder = _Finder(file)
        wrapper.visit(finder)
        self._module = wrapper.module
        self._nodes = finder.nodes
        self._tree = ast.dump(ast.parse(source))
        self.changes: tuple[Change, ...] = tuple(finder.changes)

    def text(self, change: Change) -> str | None:
        """The file's text with the change; None where it makes no other program."""
        old, new = self._nodes[change.number]
        changed = self._module.deep_replace(old, new)
        assert isinstance(changed, cst.Module)
        text = changed.code
        try:
            same = ast.dump(ast.parse(text)) == self._tree
        except SyntaxError:  # a positional argument moved behind a keyword
            return None
        return None if same else text


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, file: str) -> None:
        super().__init__()
        self._file = file
        self.nodes: list[tuple[cst.CSTNode, cst.CSTNode]] = []
        self.changes: list[Change] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if self._left_alone(node):
            return False
        for kind, operator in _OPERATORS:
            if isinstance(node, kind):
                for changed in operator(node):
                    self._add(node, changed, operator.__name__.strip("_"))
        return True

    def _add(self, node: cst.CSTNode, changed: cst.CSTNode, name: str) -> None:
        span, at_import = self._around(node)
        line = max(self._lines(node)[0], span[0])
        name = name.removeprefix("operator_")
        self.changes.append(Change(self._file, name, line, span, at_import, len(self.nodes)))
        self.nodes.append((node, changed))

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        place = self.get_metadata(PositionProvider, node)
        return place.start.line, place.end.line

    def _around(self, node: cst.CSTNode) -> tuple[tuple[int, int], bool]:
        """Lines of the statement around a node, and whether it runs at import."""
        statement = None
        inside: cst.CSTNode = node
        at_import = True
        while not isinstance(inside, cst.Module):
            if statement is None and isinstance(
                inside, cst.SimpleStatementLine | cst.BaseCompoundStatement
            ):
                statement = inside
            elif isinstance(inside, cst.FunctionDef | cst.Lambda):
                at_import = False  # of a function's own head, statement is the function
            inside = self.get_metadata(ParentNodeProvider, inside)
        assert statement is not None
        first, last = self._lines(statement)
        if isinstance(statement, cst.BaseCompoundStatement):
            last = max(first, self._lines(statement.body)[0] - 1)
        return (first, last), at_import

    def _left_alone(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Raise | cst.Assert):
            return True
        if isinstance(node, cst.Import | cst.ImportFrom):
            return True
        if isinstance(node, cst.Call) and m.matches(
            node.func, m.OneOf(*(m.Name(name) for name in _QUIET_CALLS))
        ):
            return True
        if isinstance(node, cst.Arg) and node.keyword is not None:
            return node.keyword.value in ("strict", "encoding")
        if isinstance(node, cst.If) and m.matches(node.test, m.Name("TYPE_CHECKING")):
            return True
        if isinstance(node, cst.SimpleString):
            value = node.evaluated_value
            return not isinstance(value, str) or " " in value.strip() or value.lower() == "utf-8"
        if isinstance(node, cst.FormattedString | cst.ConcatenatedString):
            return True
        return isinstance(node, cst.Expr) and isinstance(node.value, cst.BaseString)


def draw(
    files: Iterable[MutableFile], count: int, seed: int, room: str
) -> list[tuple[Change, str]]:
    """``count`` changes with their files' new texts, the kinds of change in turn.

    Drawn in turn because a fifth of all changes are ``None`` for an argument, which nearly any test
    notices. The first N of a larger draw are the draw of N.
    """
    rng = random.Random(f"{seed} {room}")
    of = {f.file: f for f in files}
    kinds: defaultdict[str, list[Change]] = defaultdict(list)
    for name in sorted(of):
        for change in of[name].changes:
            kinds[change.kind].append(change)
    stacks = [kinds[kind] for kind in sorted(kinds)]
    for stack in stacks:
        rng.shuffle(stack)
    drawn: list[tuple[Change, str]] = []
    seen: set[str] = set()
    while len(drawn) < count and any(stacks):
        rng.shuffle(stacks)
        for stack in stacks:
            if not stack or len(drawn) == count:
                continue
            change = stack.pop()
            text = of[change.file].text(change)
            if text is not None and text not in seen:
                seen.add(text)
                drawn.append((change, text))
    return drawn


def changed_lines(before: str, after: str) -> tuple[str, str]:
    """The lines that differ, stripped and joined by a space: what was there and what is."""
    old, new = before.splitlines(), after.splitlines()
    least = min(len(old), len(new))
    head = next((i for i in range(least) if old[i] != new[i]), least)
    room = range(1, least - head + 1)
    tail = next((i - 1 for i in room if old[-i] != new[-i]), least - head)
    return tuple(  # type: ignore[return-value]
        " ".join(line.strip() for line in lines[head : len(lines) - tail]) for lines in (old, new)
    )


def difference(file: str, before: str, after: str) -> str:
    """A unified diff without context."""
    parts = difflib.unified_diff(
        before.splitlines(), after.splitlines(), file, file, n=0, lineterm=""
    )
    return "\n".join(line for line in parts if not line.startswith(("---", "+++")))


def key(file: str, text: str) -> str:
    """Names a mutant by its file and whole new text."""
    return hashlib.sha256(f"{file}\0{text}".encode()).hexdigest()[:16]
