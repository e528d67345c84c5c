"""What one upstream was asked for in the span that is being filled, path by path.

Kept by the words of the paths until the span closes, when it is known which of them may be told. Most
upstreams are asked for one thing alone, whose times are those of the upstream already.
"""

from __future__ import annotations

from collections.abc import Callable

from perftui_agent.records import CallDetails, CallRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.adding import bounded_counts
from perftui_agent.wire.called import UpstreamPath

MAX_PATHS = 20
"""Shapes of paths of one upstream in a frame, the costliest; the others share `(other)`."""

MAX_MET = 200
"""Paths, with their words, that are told apart before it is decided what they are shaped like."""

MAX_OF_A_PATH = 5
"""Routes, call sites and kinds of failures of one path."""

OTHER = "(other)"

COST_OF_A_CALL_NS = 1_000_000
COST_OF_AN_ERROR_NS = 100_000_000


class CalledPath:
    """The calls of one path."""

    __slots__ = (
        "answer_ns",
        "body_ns",
        "call_sites",
        "calls",
        "errors",
        "failures",
        "held_ns",
        "ns",
        "spent",
    )

    def __init__(self) -> None:
        self.answer_ns: list[int] = []
        self.calls = self.errors = self.ns = self.body_ns = self.held_ns = 0
        self.spent: dict[str, int] = {}
        self.call_sites: dict[str, int] = {}
        self.failures: dict[str, int] = {}

    def add(self, answer_ns: list[int], ns: int) -> None:
        """Count calls without details, which took so long until they were answered, and `ns` in all."""
        self.answer_ns += answer_ns
        self.calls += len(answer_ns)
        self.ns += ns
        self.body_ns += ns - sum(answer_ns)

    def add_in_detail(self, record: CallRecord, details: CallDetails) -> None:
        """Count one call with details."""
        self.ns += record.ended_ns - record.started_ns
        if record.answered_ns:
            held_ns = max(details.held_ns, 0)
            self.held_ns += held_ns
            self.answer_ns.append(max(0, record.answered_ns - record.ready_ns - held_ns))
            self.body_ns += record.body_ns
        if not (details.cancelled or details.pool_timed_out):
            self.calls += 1
            if details.failed:
                self.errors += 1
                _count(self.failures, details.error or str(record.status), 1)
        if details.call_site:
            _count(self.call_sites, details.call_site, 1)

    def spend(self, route: str, ns: int) -> None:
        """Attribute time to a route."""
        _count(self.spent, route, ns)

    def merge(self, other: CalledPath) -> None:
        """Add what another one has counted."""
        self.answer_ns += other.answer_ns
        self.calls += other.calls
        self.errors += other.errors
        self.ns += other.ns
        self.body_ns += other.body_ns
        self.held_ns += other.held_ns
        for field in ("spent", "call_sites", "failures"):
            for name, times in getattr(other, field).items():
                _count(getattr(self, field), name, times)

    def told(self, path: str) -> UpstreamPath:
        """Return it as a frame has it."""
        answer = LatencySketch()
        answer.add_all(self.answer_ns)
        return UpstreamPath(
            path=path,
            calls=self.calls,
            errors=self.errors,
            answer=answer,
            ns=self.ns,
            body_ns=self.body_ns,
            held_ns=self.held_ns,
            spent=bounded_counts(self.spent, MAX_OF_A_PATH),
            call_sites=bounded_counts(self.call_sites, MAX_OF_A_PATH),
            failures=bounded_counts(self.failures, MAX_OF_A_PATH),
        )

    @property
    def cost(self) -> int:
        """How much it matters."""
        return self.ns + self.calls * COST_OF_A_CALL_NS + self.errors * COST_OF_AN_ERROR_NS


class CalledPaths:
    """The paths of one upstream."""

    def __init__(self, shape: Callable[[str], str]) -> None:
        self._shape = shape
        self._met: dict[str, CalledPath] = {}
        self._told: dict[str, CalledPath] = {}

    def path(self, words: str) -> CalledPath:
        """Return the path with these words; only until another one is asked for."""
        met = self._met.get(words)
        if met is None:
            if len(self._met) >= MAX_MET:
                self._settle()
            met = self._met[words] = CalledPath()
        return met

    def close(self) -> list[UpstreamPath]:
        """Return the span's shapes, as many as there is room for."""
        if len(self._met) == 1 and not self._told:
            return [UpstreamPath(path=self._shape(words)) for words in self._met]
        self._settle()
        told = self._told
        if len(told) == 1:
            return [UpstreamPath(path=path) for path in told]
        ordered = sorted(told, key=lambda path: told[path].cost, reverse=True)
        rest = CalledPath()
        for path in ordered[MAX_PATHS:]:
            rest.merge(told[path])
        rows = [told[path].told(path) for path in ordered[:MAX_PATHS]]
        return [*rows, rest.told(OTHER)] if len(ordered) > MAX_PATHS else rows

    def _settle(self) -> None:
        """Decide what the paths met so far are shaped like, and count them under that."""
        for words, met in self._met.items():
            shape = self._shape(words)
            same = self._told.get(shape)
            if same is None:
                self._told[shape] = met
            else:
                same.merge(met)
        self._met = {}


def _count(counts: dict[str, int], name: str, times: int) -> None:
    if name not in counts and len(counts) >= MAX_MET:
        name = OTHER
    counts[name] = counts.get(name, 0) + times
