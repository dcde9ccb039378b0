"""Elements of XML instruments by their names without namespaces, and their texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def name_of(element: Any) -> str:
    """An element's name without namespace or prefix, "" for what is no element."""
    tag = element.tag
    return tag.rpartition("}")[2].rpartition(":")[2] if isinstance(tag, str) else ""


def children(element: Any, *names: str) -> list[Any]:
    """Its children with one of these names; all of them where none is given."""
    return [c for c in element if name_of(c) and (not names or name_of(c) in names)]


def child(element: Any, *path: str) -> Any:
    """The first child of a child ... along ``path``, None where there is none."""
    for step in path:
        found = children(element, step)
        if not found:
            return None
        element = found[0]
    return element


def descendants(element: Any, *names: str) -> Iterator[Any]:
    """Elements below with one of these names, in the file's order."""
    for each in element.iter():
        if each is not element and name_of(each) in names:
            yield each


def text_of(element: Any, without: tuple[str, ...] = ()) -> str:
    """All text in an element, its children's too, with spaces between them; "" for None.

    Args:
        without: names of children that are passed over.
    """
    if element is None:
        return ""
    made: list[str] = []
    stack: list[tuple[Any, bool]] = [(element, True)]
    while stack:  # an element's text, its children, then its tail; no recursion
        each, opening = stack.pop()
        gap = "" if name_of(each) in _INLINE or each is element else " "
        if not opening:
            made += [gap, each.tail or ""] if each is not element else []
            continue
        stack.append((each, False))
        if each is not element and each.getparent() is element and name_of(each) in without:
            continue
        made += [gap, each.text or ""]
        stack += [(c, True) for c in reversed(each)]
    return " ".join("".join(made).split())


_INLINE = frozenset({"b", "i", "u", "em", "strong", "span", "font", "sub", "sup", "a"})


def attribute(element: Any, name: str) -> str:
    """An attribute by its name without namespace or prefix, "" where it is not there."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2].rpartition(":")[2] == name:
            return str(value)
    return ""


def line_of(element: Any) -> str:
    """ "line 40", for the place of an element."""
    return f"line {element.sourceline}"
