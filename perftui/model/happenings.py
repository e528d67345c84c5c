"""What a picture tells of single things: a request, an incident, a verdict, a finding, an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from perftui.record import Record
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.parts import RouteLabel, WorkerId
from perftui_agent.wire.requests import InFlight, SlowRequest

Severity: TypeAlias = Literal["high", "medium", "low"]
"""How much something asks to be looked at."""


class FlightRow(Record, frozen=True):
    """A request in flight, and who serves it."""

    worker: WorkerId
    pid: int
    request: InFlight


class SlowRow(Record, frozen=True):
    """A slow request, and who served it."""

    worker: WorkerId
    pid: int
    request: SlowRequest


class IncidentRow(Record, frozen=True):
    """An incident, and who had it."""

    worker: WorkerId
    pid: int
    incident: Incident


class EvidenceRow(Record, frozen=True):
    """What an agent has seen of its own accord, and whose it is."""

    worker: WorkerId
    pid: int
    evidence: Evidence
    told_by: WorkerId
    """The worker itself, or a sibling."""

    @property
    def until(self) -> float:
        """When it was over, or was told of last."""
        return (self.evidence.at + self.evidence.ns) / 1e9


class SloVerdict(Record, frozen=True):
    """One target held against the window; `met` is None where there is nothing to judge."""

    slo: str
    scope: str
    value: float | None
    met: bool | None
    bound: float | None = None
    """What `value` is held against: ms, a ratio, requests per second."""
    requests: int | None = None
    """How many there are to judge by."""


class Finding(Record, frozen=True):
    """Something that is wrong, as `findings` names it: a judgement, the figures for it, and the next step."""

    kind: str
    """One of those that CONTRACT.md names: `loop-blocked`, `n-plus-one` …"""
    severity: Severity
    subject: str
    """What it is about: a route, a place in code, a statement, a pool, a cache, a worker."""
    sentence: str
    """One plain sentence with the figures."""
    evidence: Mapping[str, Any]
    """What the sentence can be checked against: names, numbers and texts that JSON can hold."""
    advice: str
    impact: float = 0.0
    """Compares findings of one severity: by how many ms requests took longer for it, in a second."""
    key: str = ""
    """What makes it the same finding from one picture to the next; empty: the subject does."""
    since: float | None = None
    """When it was first seen, as far as is known."""
    route: RouteLabel | None = None
    """Where to drill from here, as far as there is such a thing: this route …"""
    worker: WorkerId | None = None
    statement: str | None = None
    """… this fingerprint …"""
    routes: tuple[RouteLabel, ...] = ()
    """All routes that suffer from it, where there are several …"""
    statements: tuple[str, ...] = ()
    """… all statements …"""
    workers: tuple[WorkerId, ...] = ()
    """… and all workers that have it."""
    pool: str | None = None
    cache: str | None = None
    upstream: str | None = None
    channel: str | None = None
    """The key of one."""

    @property
    def identity(self) -> tuple[str, str]:
        """The same for the same finding, however its figures and its severity change."""
        return self.kind, self.key or self.subject


class Event(Record, frozen=True):
    """Something that happened, for the time axis."""

    at: float
    kind: str
    """`worker-joined`, `worker-lost`, `worker-restarted`, `deploy`, `loop-blocked`, `link-stale`,
    `link-lost`, `link-back`, `clock-stepped`, `worker-silent`, `trigger`, `plan-changed`, `mark`,
    `recording-damaged`."""
    subject: str
    """A pid (of the one that went, where one has replaced it), a service, a place in code, a label."""
    sentence: str
    route: RouteLabel | None = None
    """What to open from here, as far as there is such a thing: this route …"""
    worker: WorkerId | None = None
    """… or this worker."""
    until: float | None = None
    """When it was over, the last time if it happened several times; None if it took no time."""
    evidence: str = ""
    """The id of what was taken then, if it was."""
    part_of: str = ""
    """The kind of the larger event that tells of this one as well: `deploy`. A list needs not show it."""
