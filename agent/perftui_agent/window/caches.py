"""The caches' section of a frame, as far as it is counted here: commands to caches in other processes."""

from __future__ import annotations

from perftui_agent.records import CacheBatchRecord, CachePart, CacheRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.costs import Costs
from perftui_agent.window.gathered import GatheredSketch
from perftui_agent.window.stampedes import MissedKeys
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_cache
from perftui_agent.wire.outside import CacheFrame

MAX_COMMANDS = 300
"""Distinct commands and prefixes in one frame, the costliest; a prefix that there is no room for is told of
with its command's others, as `GET *`."""

NEWCOMERS = 700
"""Those met within a frame that are told apart besides, until it closes."""

OTHER_COMMANDS = "(other commands)"

COST_OF_A_MISS_NS = 1_000_000
"""What has to be made anew, or failed, matters more than the time it took to be told so."""


class CacheLedger:
    """What was asked of other processes' caches in the span that is being filled."""

    def __init__(self, bounded: dict[str, int]) -> None:
        self._bounded = bounded
        self.costs: Costs[str] = Costs(MAX_COMMANDS, NEWCOMERS)
        self._rows: dict[str, tuple[CacheFrame, GatheredSketch]] = {}
        self._missed = MissedKeys()

    def fold(self, record: CacheRecord) -> None:
        """Count one command."""
        row, latency = self._rows.get(record.name) or self._row(record.name)
        if record.hits:
            row.hits += record.hits
        if record.misses:
            row.misses += record.misses
        if record.missed:
            self._missed.missed(record.missed, record.name, record.request, record.ended_ns)
        if record.stored:
            self._stored(record.stored)
        if record.failed:
            row.errors += 1
        latency.add(record.ended_ns - record.started_ns)

    def fold_batch(self, record: CacheBatchRecord) -> None:
        """Count the commands of a pipeline; each had an equal share in the one round trip."""
        share_ns = (record.ended_ns - record.started_ns) // max(1, record.commands)
        for part in record.parts:
            self._fold_part(part, share_ns)
            if part.missed:
                self._missed.missed(part.missed, part.name, record.request, record.ended_ns)
            if part.stored:
                self._stored(part.stored)
        unnamed = record.commands - len(record.parts)
        if unnamed > 0:
            self._count_bound(unnamed)

    def close(self, frame: Frame) -> None:
        """Hand the span's commands over to `frame`: as many as it has room for, the costliest."""
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        for row, latency in self._rows.values():
            latency.settle()
            frame.caches.append(row)
        self._rows = {}
        self._missed.close()

    def _spent(self) -> dict[str, int]:
        """Return what each command has cost in this span so far."""
        for _, latency in self._rows.values():
            latency.settle()
        return {name: _cost_of(row) for name, (row, _) in self._rows.items() if not _is_rest(name)}

    def _fold_away(self, names: list[str]) -> None:
        """Count what these have done in this span with the rest of their command."""
        for name in names:
            row, _ = self._rows.pop(name)
            self._count_bound(row.latency.count if row.latency else 0)
            merge_cache(self._row(_rest_of(name))[0], row)

    def _stored(self, keys: tuple[int, ...]) -> None:
        for name, made in self._missed.stored(keys).items():
            row, _ = self._row(name)
            row.stampedes += made.stampedes
            row.filled = (row.filled or 0) + made.filled

    def _fold_part(self, part: CachePart, ns: int) -> None:
        row, latency = self._row(part.name)
        row.hits += part.hits
        row.misses += part.misses
        row.errors += part.failed
        latency.add(ns)

    def _row(self, name: str) -> tuple[CacheFrame, GatheredSketch]:
        row = self._rows.get(name)
        if row is None:
            while not (_is_rest(name) or self.costs.admit(name)):
                self._fold_away(self.costs.shed(self._spent()))
            latency = LatencySketch()
            frame = CacheFrame(name=name, kind="redis", latency=latency, filled=0)
            row = self._rows[name] = frame, GatheredSketch(latency)
        return row

    def _count_bound(self, times: int) -> None:
        self._bounded["caches"] = self._bounded.get("caches", 0) + times


def _rest_of(name: str) -> str:
    """Return the row of what there is no room for: that of its command."""
    return f"{name.partition(' ')[0]} *" if name.endswith(":*") else OTHER_COMMANDS


def _is_rest(name: str) -> bool:
    # As many as there are commands with a key: some 170.
    return name == OTHER_COMMANDS or name.endswith(" *")


def _cost_of(row: CacheFrame) -> int:
    ns = row.latency.total if row.latency is not None else 0
    return ns + (row.misses + row.errors) * COST_OF_A_MISS_NS
