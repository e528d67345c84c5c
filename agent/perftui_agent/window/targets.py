"""What other services are asked for: bounded shapes of the paths, `/users/{…}/orders`, host by host.

As below a route that takes any path: a segment is told only if it is a plain word that comes often enough to
be the service's own, and never a query.
"""

from __future__ import annotations

from heapq import nlargest

from perftui_agent.window.paths import GAP, MAX_SEGMENTS, shapes_of, word_of

MAX_HOSTS = 100
"""Hosts whose paths are remembered; beyond them, the one that was asked longest ago is forgotten."""

MAX_KNOWN = 300
"""Paths, with their words, that are remembered of one host."""

MAX_REMEMBERED = 2_000
"""Paths, as they were sent, of which it is remembered what words they have."""

_NOWHERE = frozenset({0, 404, 405})


class TargetTable:
    """The paths that were asked for, as far as they are told."""

    def __init__(self) -> None:
        self._words: dict[str | bytes, str] = {}
        self._known: dict[str, dict[str, int]] = {}
        self._shapes: dict[str, dict[str, str]] = {}
        """By host and words, worked out since the last call to `close`."""

    def note(self, host: str, target: str | bytes, times: int, status: int = 200) -> None:
        """Take note of a path that was asked for so many times, with an answer of this status."""
        words = self._words.get(target) or self._words_of(target)
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= MAX_HOSTS:
                self._known.pop(next(iter(self._known)))
            known = self._known[host] = {}
        known[words] = known.get(words, 0) + (0 if status in _NOWHERE else times)

    def shape(self, host: str, target: str | bytes) -> str:
        """Return what may be told of a path."""
        words = self._words.get(target) or self._words_of(target)
        shapes = self._shapes.get(host)
        if shapes is None or words not in shapes:
            shapes = self._shapes[host] = shapes_of({words: 0, **self._known.get(host, {})})
        return shapes[words]

    def close(self) -> None:
        """Decide anew from here on, and forget what is too much."""
        self._shapes.clear()
        for host, known in self._known.items():
            if len(known) > MAX_KNOWN:
                self._known[host] = {
                    words: known[words] for words in nlargest(MAX_KNOWN, known, key=known.__getitem__)
                }

    def _words_of(self, target: str | bytes) -> str:
        text = target.decode("ascii", "replace") if isinstance(target, bytes) else target
        segments = text.partition("?")[0].partition("#")[0].split("/")[1:]
        if len(segments) > MAX_SEGMENTS:
            segments = [*segments[:MAX_SEGMENTS], GAP]
        words = "/" + "/".join([word_of(segment) for segment in segments])
        if len(self._words) >= MAX_REMEMBERED:
            self._words.clear()
        self._words[target] = words
        return words
