"""What requests ask for below a route that takes any path: a catch-all, a mounted app of another kind, files.

Gives bounded shapes of the paths, `/api/{…}/runs`. A segment is told only if it is a plain word that comes
often enough to be the app's own: ids, numbers, dates, hashes, tokens, names of people and what a scanner
makes up are `{…}`. Which words those are is decided as a frame closes, from what has been asked for so far,
so that the first requests of an endpoint are in its row as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from heapq import nlargest
from typing import TypeAlias

from perftui_agent.records import EVENTS, OpenEnded, RequestRecord
from perftui_agent.wire.merging import merge_path
from perftui_agent.wire.requests import PathFrame

MAX_PATHS = 50
"""Shapes of paths below one route and in one frame, the costliest; the others share `(other)`."""

MAX_TABLES = 50
"""Routes whose paths are remembered; beyond them, the one that was used longest ago is forgotten."""

MAX_KNOWN = 500
"""Paths, with their words, that are remembered below one route."""

MAX_MET = 1_000
"""Paths met before it is decided what they are shaped like."""

MAX_REMEMBERED = 1_000
"""Paths, as they are sent, of which it is remembered what words they have: finding out takes 1 µs."""

MAX_SEGMENTS = 8

OFTEN = 3
"""Requests that make a word one of the app's."""

MANY = 50
"""Words at one place: past it, a word has to have a share of the requests …"""

SHARE = 0.01
"""… of this."""

COST_OF_A_REQUEST_NS = 1_000_000
COST_OF_AN_ERROR_NS = 100_000_000

ToldWords: TypeAlias = Mapping[str, Collection[str]]
"""By the shape of what comes before: the words that may stand there."""

GAP = "{…}"
"""What is not told."""

OTHER_PATHS = "(other)"

MAX_HUMPS = 3
"""Capital letters within a word: `getUserItems` has two."""

MAX_CAPITALS = 8
"""Of a word in capitals."""

_LETTERS = re.compile(r"[A-Za-z_-]{1,24}|v[0-9]{1,2}")
_UNPRONOUNCEABLE = re.compile(r"[b-df-hj-np-tv-xz]{6}", re.IGNORECASE | re.ASCII)

_NOWHERE = frozenset({404, 405})


class _Met:
    """Requests for one path since it was last decided what it is shaped like."""

    __slots__ = ("errors", "found", "ns", "requests")

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.found = 0
        """Requests whose answer was not that there is nothing."""
        self.ns: list[int] = []


class PathTable:
    """The paths below one route."""

    def __init__(self, below: OpenEnded) -> None:
        self._root = below.root
        self._prefix = below.prefix
        self._segments_before = below.prefix.count("/")
        self.forgotten = 0
        """Shapes for which a frame had no room."""
        self._words: dict[str, str] = {}
        """Of paths as they were sent."""
        self._known: dict[str, int] = {}
        """How often each path, with its words, was there."""
        self._met: dict[str, _Met] = {}
        self._told: dict[str, PathFrame] = {}

    def fold(self, record: RequestRecord, ns: int) -> None:
        """Count a request, which took so long."""
        words = self._words.get(record.path) or self._words_of(record.path)
        met = self._met.get(words)
        if met is None:
            if len(self._met) >= MAX_MET:
                self._settle()
            met = self._met[words] = _Met()
        met.requests += 1
        status = record.status
        if status >= 500 and not record.disconnected:
            met.errors += 1
        if status not in _NOWHERE:
            met.found += 1
        if not (record.disconnected or record.preflight or record.streaming == EVENTS):
            met.ns.append(ns)

    def close(self) -> list[PathFrame]:
        """Return the span's shapes, as many as there is room for."""
        self._settle()
        told, self._told = self._told, {}
        rows = sorted(told.values(), key=_cost_of, reverse=True)
        if len(rows) > MAX_PATHS:
            other = PathFrame(path=OTHER_PATHS)
            for row in rows[MAX_PATHS:]:
                merge_path(other, row)
            self.forgotten += len(rows) - MAX_PATHS
            rows = [*rows[:MAX_PATHS], other]
        return rows

    def _words_of(self, path: str) -> str:
        """Return what of a path comes below the route, each segment that can't be a word as a gap."""
        segments = path.removeprefix(self._root).split("/")[1 + self._segments_before :]
        if len(segments) > MAX_SEGMENTS:
            segments = [*segments[:MAX_SEGMENTS], GAP]
        seen = _verdicts.get
        words = "/" + "/".join([seen(segment) or word_of(segment) for segment in segments])
        if len(self._words) >= MAX_REMEMBERED:
            self._words.clear()
        self._words[path] = words
        return words

    def _settle(self) -> None:
        """Decide what the paths met so far are shaped like, and count them under that."""
        known = self._known
        for words, met in self._met.items():
            if met.found:
                known[words] = known.get(words, 0) + met.found
        shapes = shapes_of({**dict.fromkeys(self._met, 0), **known})
        for words, met in self._met.items():
            path = self._prefix + shapes[words]
            row = self._told.get(path)
            if row is None:
                row = self._told[path] = PathFrame(path=path)
            row.requests += met.requests
            row.errors += met.errors
            row.latency.add_all(met.ns)
        self._met = {}
        if len(known) > MAX_KNOWN:
            self._known = {words: known[words] for words in nlargest(MAX_KNOWN, known, key=known.__getitem__)}


_verdicts: dict[str, str] = {}
"""What words come to; not what has a digit or another sign in it, which a glance tells."""


def word_of(segment: str) -> str:
    """Return a segment that may be a word, or a gap: an id, a number, a date, a name with a dot, a token."""
    if not segment or not _LETTERS.fullmatch(segment):
        return GAP if segment else ""
    if len(_verdicts) >= MAX_REMEMBERED:
        _verdicts.clear()
    word = _verdicts[segment] = segment if all(map(_may_be_word, re.split("[_-]", segment))) else GAP
    return word


def _may_be_word(part: str) -> bool:
    if part.isupper():
        return len(part) <= MAX_CAPITALS
    humps = sum(map(str.isupper, part[1:]))
    return humps <= MAX_HUMPS and not _UNPRONOUNCEABLE.search(part)


def shapes_of(often: dict[str, int]) -> dict[str, str]:
    """Return the shape of each of these paths, given how often each was there."""
    told = told_words(often)
    return {words: shape_by(told, words) for words in often}


def shape_by(told: ToldWords, words: str) -> str:
    """Return the shape of a path, given which words are told."""
    shape = ""
    for word in words.split("/")[1 : MAX_SEGMENTS + 2]:
        # An empty segment is a slash at the end.
        shape += f"/{word if not word or word in told.get(shape, ()) else GAP}"
    return shape


def told_words(often: dict[str, int]) -> ToldWords:
    """Return which words are the app's own, given how often each of these paths was there."""
    told: dict[str, Collection[str]] = {}
    shapes = dict.fromkeys(often, "")
    segments = {words: words.split("/")[1:] for words in often}
    for place in range(MAX_SEGMENTS + 1):
        here = [words for words in often if len(segments[words]) > place]
        if not here:
            break
        counted: dict[str, dict[str, int]] = {}
        for words in here:
            beside = counted.setdefault(shapes[words], {})
            word = segments[words][place]
            beside[word] = beside.get(word, 0) + often[words]
        told |= {before: _told(beside) for before, beside in counted.items()}
        for words in here:
            word = segments[words][place]
            shapes[words] += f"/{word if word in told[shapes[words]] else GAP}"
    return told


def _told(beside: dict[str, int]) -> Collection[str]:
    """Return which of the words at one place are the app's own."""
    least = float(OFTEN)
    if len(beside) > MANY:
        least = max(least, SHARE * sum(beside.values()))
    return {word for word, times in beside.items() if times >= least or not word}


def _cost_of(row: PathFrame) -> int:
    return row.latency.total + row.requests * COST_OF_A_REQUEST_NS + row.errors * COST_OF_AN_ERROR_NS
