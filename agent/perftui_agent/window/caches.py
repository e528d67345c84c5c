"""The caches' section of a frame, as far as it is counted here: commands to caches in other processes."""

from __future__ import annotations

from perftui_agent.records import CacheBatchRecord, CachePart, CacheRecord
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.gathered import GatheredSketch
from perftui_agent.window.stampedes import MissedKeys
from perftui_agent.wire.frames import CacheFrame, Frame

MAX_COMMANDS = 300
"""Distinct commands and prefixes in one frame; the probe names no more than that in a worker's life."""

OTHER_COMMANDS = "(other commands)"


class CacheLedger:
    """What was asked of other processes' caches in the span that is being filled."""

    def __init__(self, bounded: dict[str, int]) -> None:
        self._bounded = bounded
        self._rows: dict[str, tuple[CacheFrame, GatheredSketch]] = {}
        self._missed = MissedKeys()

    def fold(self, record: CacheRecord) -> None:
        """Count one command."""
        row, latency = self._rows.get(record.name) or self._row(record.name)
        if record.hits:
            row.hits += record.hits
        if record.misses:
            row.misses += record.misses
            self._missed.missed(record)
        elif record.stored:
            for name, stampedes in self._missed.stored(record.key).items():
                self._row(name)[0].stampedes += stampedes
        if record.failed:
            row.errors += 1
        latency.add(record.ended_ns - record.started_ns)

    def fold_batch(self, record: CacheBatchRecord) -> None:
        """Count the commands of a pipeline; each had an equal share in the one round trip."""
        share_ns = (record.ended_ns - record.started_ns) // max(1, record.commands)
        for part in record.parts:
            self._fold_part(part, share_ns)
        unnamed = record.commands - len(record.parts)
        if unnamed > 0:
            self._bounded["caches"] = self._bounded.get("caches", 0) + unnamed

    def close(self, frame: Frame) -> None:
        """Hand the span's commands over to `frame`."""
        for row, latency in self._rows.values():
            latency.settle()
            frame.caches.append(row)
        self._rows = {}
        self._missed.close()

    def _fold_part(self, part: CachePart, ns: int) -> None:
        row, latency = self._row(part.name)
        row.hits += part.hits
        row.misses += part.misses
        row.errors += part.failed
        latency.add(ns)

    def _row(self, name: str) -> tuple[CacheFrame, GatheredSketch]:
        row = self._rows.get(name)
        if row is None:
            if len(self._rows) >= MAX_COMMANDS and name != OTHER_COMMANDS:
                self._bounded["caches"] = self._bounded.get("caches", 0) + 1
                return self._row(OTHER_COMMANDS)
            latency = LatencySketch()
            frame = CacheFrame(name=name, kind="redis", latency=latency)
            row = self._rows[name] = frame, GatheredSketch(latency)
        return row
