"""Requests in blocks: what begins alike stays together, so that a worker computes it once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence


def blocks(keys: Sequence[Hashable], most: int) -> list[list[int]]:
    """Places of ``keys`` in blocks of about ``most``, each key whole in one block.

    A key with more than ``most`` places makes a block of its own.

    >>> blocks(["a", "b", "a", "c", "d"], 3)
    [[0, 2, 1], [3, 4]]
    >>> blocks(["a", "a", "a", "b"], 2)
    [[0, 1, 2], [3]]
    """
    families: dict[Hashable, list[int]] = {}
    for place, key in enumerate(keys):
        families.setdefault(key, []).append(place)
    found: list[list[int]] = []
    for family in families.values():
        if found and len(found[-1]) + len(family) <= most:
            found[-1] += family
        else:
            found.append(list(family))
    return found


def block_size(requests: int, workers: int, most: int) -> int:
    """Requests a block: small enough that all workers end at about the same time (four blocks
    each), and never more than ``most``, which is what a killed worker loses.

    >>> block_size(1000, 2, 64), block_size(40, 2, 64), block_size(3, 8, 64)
    (64, 5, 1)
    """
    return max(1, min(most, -(-requests // (4 * workers))))
