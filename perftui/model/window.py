"""The sum of a window: what its nodes have counted, added up with as little work as can be.

A window that slides by a second shares nearly all of its nodes with the one before. Minutes and blocks
are the same for ten seconds on end, so their sum is remembered. Of the seconds after them, the sum of
all but the newest is what it was a second ago plus one; of those before them, it is one of the sums of
the last n seconds of a block, which are found together once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby

from perftui.model.history import BLOCK_S, Node
from perftui.model.tally import Tally, tally_of

_WINDOWS = 2
"""Windows that may slide side by side: a screen wants two at most."""


def sum_of(nodes: Sequence[Node]) -> Tally:
    """Return what all of `nodes`, which are in order of time, have counted."""
    parts: list[Tally] = []
    large = tuple(node for node in nodes if node.span_s >= BLOCK_S)
    if large:
        parts.append(_at_once(large))
    seconds = [node for node in nodes if node.span_s < BLOCK_S]
    for _, group in groupby(seconds, key=lambda node: node.start // BLOCK_S):
        of_block = tuple(group)
        if of_block[-1].end % BLOCK_S == 0:
            parts.append(_backward(of_block))
        else:
            parts += [_forward(of_block[:-1])] if of_block[1:] else []
            parts.append(of_block[-1].tally)
    return parts[0] if len(parts) == 1 else tally_of((), parts)


@lru_cache(maxsize=2 * _WINDOWS)
def _at_once(nodes: tuple[Node, ...]) -> Tally:
    return tally_of((), [node.tally for node in nodes])


@lru_cache(maxsize=2 * _WINDOWS)
def _forward(nodes: tuple[Node, ...]) -> Tally:
    if len(nodes) == 1:
        return nodes[0].tally
    return tally_of((), (_forward(nodes[:-1]), nodes[-1].tally))


@lru_cache(maxsize=BLOCK_S * _WINDOWS)
def _backward(nodes: tuple[Node, ...]) -> Tally:
    if len(nodes) == 1:
        return nodes[0].tally
    return tally_of((), (_backward(nodes[1:]), nodes[0].tally))
