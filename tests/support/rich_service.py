"""A made-up service with something of everything that frames can tell: `rich_service(60)` are its events."""

from __future__ import annotations

import random
from collections.abc import Iterator

from perftui.model.events import ClockStepped, LinkChanged, Marked, SourceEvent, WorkerFound
from perftui.recording.entries import moment_of
from perftui_agent.wire.codec import encode
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.incidents import Evidence, Incident
from perftui_agent.wire.outside import CacheFrame, PoolFrame, StatementFrame, UpstreamFrame
from perftui_agent.wire.process import Listener, ThreadpoolStats
from perftui_agent.wire.requests import ExceptionCount, InFlight, RepeatedShape, SlowRequest, Span
from tests.support.frames import T, frame, gone, joined, received, route, sketch, worker

ROUTES = ("GET /items/{item_id}", "GET /orders", "POST /checkout", "GET /reports")


def rich_service(seconds: int, *, workers: int = 2, begin: int = T, seed: int = 3) -> list[SourceEvent]:
    """Return what is told of some workers for so long, the last of which dies on the way."""
    rng = random.Random(seed)
    identities = [worker(4120 + number) for number in range(workers)]
    events: list[SourceEvent] = []
    for identity in identities:
        events += [
            WorkerFound(identity, begin),
            joined(identity, begin, [SloTarget(p95_ms=200.0), SloTarget(route="GET /orders", p95_ms=800.0)]),
        ]
    events.append(LinkChanged("live", begin + 0.1))
    dies_at = begin + seconds * 2 // 3
    for number, identity in enumerate(identities):
        for second in range(1, seconds + 1):
            at = begin + second + 0.01 * number
            if number == workers - 1 and number and at > dies_at:
                break
            events.append(received(identity, _second(rng, second, at, number)))
    if workers > 1:
        events.append(gone(identities[-1], dies_at + 0.6))
    events += [
        Marked(begin + seconds // 2 + 0.5, "deploy"),
        ClockStepped(3600.0, begin + seconds // 3 + 0.5, identities[0].id),
    ]
    return sorted(events, key=moment_of)


def _second(rng: random.Random, seq: int, at: float, number: int) -> Frame:
    routes = []
    for place, label in enumerate(ROUTES):
        values = [rng.lognormvariate(1.5 + place, 0.5) for _ in range(rng.randint(1, 4))]
        made = route(label, values, queued_ms=values[:1], success=len(values) - 1, server_error=1)
        made.sql_count, made.sql_ns = 12 * len(values), 9_000_000 * len(values)
        made.repeats = [
            RepeatedShape(
                fingerprint=f"f{place}", call_site="app/crud.py:42 get", requests=1, executions=40, most=40
            )
        ]
        made.exceptions = [ExceptionCount(type="ValueError", place="app/pay.py:7 pay")]
        routes.append(made)
    made_frame = frame(seq, at, routes, in_flight=2, blocked_ms=1500.0 if seq % 20 == 7 else 0.0)
    at_ns = made_frame.ended_at
    made_frame.in_flight_rows = [
        InFlight(
            route="GET /reports", method="GET", path="/reports", age_ns=900_000_000, waiting_at="app/r.py:9 b"
        )
    ]
    made_frame.statements = list(_statements(rng))
    made_frame.pools = [
        PoolFrame(name="main", kind="QueuePool", size=5, checked_out=4, max=10, wait=sketch([3.0])),
    ]
    made_frame.caches = [
        CacheFrame(name="config", kind="cachetools.TTLCache", hits=9, misses=3, size=7, maxsize=9)
    ]
    made_frame.upstreams = [
        UpstreamFrame(
            host="api.example.com",
            method="GET",
            library="httpx",
            latency=sketch([40.0, 60.0]),
            answer=sketch([30.0, 50.0]),
            routes={"POST /checkout": 2},
            spent={"POST /checkout": 100_000_000},
            requests=2,
        )
    ]
    made_frame.slowest = [
        SlowRequest(
            id=f"{number}-{seq}",
            route="GET /reports",
            method="GET",
            path=f"/reports/{seq}",
            status=200,
            ended_at=at_ns,
            total_ns=rng.randint(10**8, 10**9),
            spans=[
                Span(kind="sql", name="SELECT …", start_ns=10**6, ns=9 * 10**7, count=12, fingerprint="f1")
            ],
        )
    ]
    made_frame.threadpool = ThreadpoolStats(used=3, total=40, waiting=1)
    made_frame.listeners = [Listener(address="127.0.0.1:8000", waiting=1, most=3, limit=2048)]
    if seq % 20 == 7:
        made_frame.incidents = [
            Incident(
                kind="loop-blocked",
                at=at_ns - 1_500_000_000,
                ns=1_500_000_000,
                where="app/r.py:9 build",
                route="GET /reports",
                stack=["app/r.py:9 build"],
            )
        ]
    if seq % 30 == 11:
        made_frame.evidence = [_fired(number, seq, at_ns)]
    return made_frame


def _statements(rng: random.Random) -> Iterator[StatementFrame]:
    for place, label in enumerate(ROUTES):
        yield StatementFrame(
            fingerprint=f"f{place}",
            statement=f"SELECT * FROM t{place} WHERE id = ?",
            latency=sketch([rng.lognormvariate(0.5, 0.5) for _ in range(5)]),
            routes={label: 5},
            call_site=f"app/crud.py:{40 + place} get",
        )


def _fired(number: int, seq: int, at_ns: int) -> Evidence:
    code = StackFrame(function="build", file="/srv/shop/app/r.py", line=9, short_file="app/r.py")
    dump = Dump(
        id="d",
        pid=4120 + number,
        taken_at=at_ns,
        took_ns=20_000_000,
        taken_by=4120 + number,
        threads=[ThreadDump(name="MainThread", thread_id=1, is_main=True, active=True, frames=[code])],
    )
    return Evidence(
        id=f"t{number}-{seq}",
        kind="trigger",
        at=at_ns - 500_000_000,
        ns=400_000_000,
        text="p95 was 1.2 s for 10 s",
        how="py-spy by itself",
        outcome="taken",
        trigger="p95>1s for 10s: dump",
        result=encode(dump),
    )
