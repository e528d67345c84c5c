"""What other services are asked for: bounded shapes of the paths, `/users/{…}/orders`, host by host.

As below a route that takes any path: a segment is told only if it is a plain word that comes often enough to
be the service's own, and never a query.
"""

from __future__ import annotations

from heapq import nlargest

from perftui_agent.window.paths import GAP, MAX_SEGMENTS, ToldWords, shape_by, told_words, word_of

MAX_HOSTS = 100
"""Hosts whose paths are remembered; beyond them, the one that was asked longest ago is forgotten."""

MAX_KNOWN = 300
"""Paths, with their words, that are remembered of one host."""

MAX_REMEMBERED = 2_000
"""Paths, as they were sent, of which it is remembered what words they have."""

GROWN = 1.1
"""It is decided anew which words are told when a host was asked so many times as often as when it was last:
with 300 paths it takes half a millisecond, and changes little where thousands of calls have decided."""

NOWHERE = frozenset({0, 404, 405})
"""Answers that say there is nothing, or none: what was asked for may be anything."""


class _Host:
    """The paths of one host."""

    __slots__ = ("asked", "often", "told", "told_at")

    def __init__(self) -> None:
        self.often: dict[str, int] = {}
        self.asked = 0
        self.told: ToldWords = {}
        self.told_at = 0


class TargetTable:
    """The paths that were asked for, as far as they are told."""

    def __init__(self) -> None:
        self._words: dict[str | bytes, str] = {}
        self._hosts: dict[str, _Host] = {}

    def note(self, host: str, words: str, times: int) -> None:
        """Take note of a path, with its words, that was asked for so often and is there."""
        known = self._hosts.get(host)
        if known is None:
            if len(self._hosts) >= MAX_HOSTS:
                self._hosts.pop(next(iter(self._hosts)))
            known = self._hosts[host] = _Host()
        known.asked += times
        known.often[words] = known.often.get(words, 0) + times

    def words_of(self, target: str | bytes) -> str:
        """Return a path with each segment that can't be a word as a gap: not all of it may be told."""
        return self._words.get(target) or self._words_of(target)

    def shape(self, host: str, words: str) -> str:
        """Return what may be told of a path, given its words."""
        known = self._hosts.get(host)
        if known is None:
            return shape_by({}, words)
        if known.asked > GROWN * known.told_at:
            known.told, known.told_at = told_words(known.often), known.asked
        return shape_by(known.told, words)

    def close(self) -> None:
        """Forget what is too much."""
        for known in self._hosts.values():
            if len(known.often) > MAX_KNOWN:
                often = known.often
                known.often = {
                    words: often[words] for words in nlargest(MAX_KNOWN, often, key=often.__getitem__)
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
