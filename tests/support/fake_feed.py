"""A made-up service for the screens: any number of workers and routes, in any trouble, at any time.

`python -m tests.support.fake_feed [workers] [routes] [blocked|gone|silent|stale|slo|errors …]` opens
the dashboard on one that lives. Everything is a function of the moment, so the same moment always gives
the same picture.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from random import Random

from perftui.model.database import Databases
from perftui.model.events import EvidenceKept
from perftui.model.happenings import Finding, FlightRow, IncidentRow, SloVerdict
from perftui.model.measures import Coverage, Latency, Point, Queued, Share, Totals
from perftui.model.route_summary import RouteSummary
from perftui.model.steps import Steps
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary, WorkerTrends
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.actions import Functions, GrownLine, GrownType, Memory, Profile, Progress
from perftui_agent.wire.dumps import Dump, FrameLocals, Refusal, StackFrame, ThreadDump, WaitingTasks
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.parts import RouteLabel, WorkerId
from perftui_agent.wire.process import Listener, ThreadpoolStats
from perftui_agent.wire.requests import ExceptionCount, InFlight
from tests.support.fake_plan import scanning
from tests.support.fake_profile import called_by, profile_of

NOON = 1_795_262_400.0
"""A moment to take pictures of."""

NAMES = (
    ("GET /items/{item_id}", 300.0, 9.0),
    ("GET /orders", 41.0, 210.0),
    ("POST /checkout", 18.4, 44.0),
    ("GET /reports", 2.1, 1810.0),
    ("GET /config", 49.0, 0.6),
    ("GET /search", 12.0, 80.0),
    ("PUT /carts/{cart_id}/lines/{line_id}", 8.0, 22.0),
    ("GET /health", 1.0, 0.3),
)


@dataclass(slots=True)
class FakeFeed:
    """A service that has as many workers and routes as asked for, and the troubles named."""

    workers: int = 4
    names: tuple[tuple[str, float, float], ...] = NAMES
    """Label, requests a second, median in ms."""
    troubles: Collection[str] = ()
    clock: Callable[[], float] = lambda: NOON
    answer: Dump | Refusal | None = None
    dumped: list[WorkerId] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)
    """Whose variables were wanted with each dump."""
    profiled: list[tuple[WorkerId, bool]] = field(default_factory=list)
    """Whose profile was taken, and whether by route."""
    profile_waits: bool = False
    """Whether a profile goes on until it is to end."""
    profile_scale: float = 1.0
    """How much longer its reports take than in others."""
    held: float | None = None
    database: Databases = field(default_factory=Databases)
    """What its databases say."""
    asked_databases: int = 0
    memory_s: float = 900.0
    """How far back it knows."""

    async def run(self, arrived: Callable[[WorkerId | None], None]) -> None:
        """Have every worker speak once a second."""
        while True:
            for number in range(self.workers):
                arrived(_identity(number).id)
            await asyncio.sleep(1.0)

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return the summary after one step."""
        yield
        return self.summary(window_s, cursor)

    def look_back(self) -> None:
        """Do nothing: its past is made up when it is asked for."""

    def asked(self, event: EvidenceKept) -> None:
        """Do nothing: its past is made up."""

    def judged(self, at: float, findings: Sequence[Finding]) -> None:
        """Do nothing: nothing of it is ever overwritten."""

    def hold(self) -> None:
        """Stand still."""
        self.held = self.clock()

    def release(self) -> None:
        """Go on."""
        self.held = None

    async def dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Give the answer laid in, or a dump of a blocked worker."""
        self.dumped.append(worker)
        self.asked_for.append(locals_of)
        return self.answer or blocked_dump(int(worker.split("/")[1]), locals_of)

    async def profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Tell of a half, wait to be let go on, and give the whole; the answer laid in at once."""
        self.profiled.append((worker, by_route))
        if isinstance(self.answer, Refusal):
            return self.answer
        pid = int(worker.split("/")[1])
        told(Progress(id="p", done=0.5, text="half", profile=profile_of(pid, part=0.5)))
        if self.profile_waits:
            await finish.wait()
            return profile_of(pid, part=0.5)
        return profile_of(pid, scale=self.profile_scale)

    async def memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Give the answer laid in, or what grows in a worker that leaks."""
        self.profiled.append((worker, False))
        told(Progress(id="m", done=0.5, text="12.0 MB since the start"))
        if self.profile_waits:
            await finish.wait()
        return self.answer if isinstance(self.answer, Refusal) else leaking(int(worker.split("/")[1]))

    async def databases(self) -> Databases:
        """Give what was laid in."""
        self.asked_databases += 1
        return self.database

    async def functions(
        self,
        worker: WorkerId,
        *,
        route: RouteLabel,
        requests: int,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Functions | Refusal:
        """Give the answer laid in, or what the requests of a slow route call."""
        self.profiled.append((worker, True))
        told(Progress(id="f", done=0.15, text=f"3 of {requests} requests"))
        if self.profile_waits:
            await finish.wait()
        if isinstance(self.answer, Refusal):
            return self.answer
        number = 3 if self.profile_waits else requests
        return called_by(int(worker.split("/")[1]), route, number, requests)

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Give the answer laid in, or the plan of a statement that misses an index."""
        self.profiled.append((workers[0], False))
        return self.answer if isinstance(self.answer, Refusal) else scanning(fingerprint)

    def reach(self) -> tuple[float | None, float]:
        """Return where the memory begins, and the present."""
        now = self.clock()
        return (None if "connecting" in self.troubles else math.floor(now) - self.memory_s), now

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the service at this moment."""
        now = cursor if cursor is not None else self.held if self.held is not None else self.clock()
        if "connecting" in self.troubles:
            return Summary("localhost:8000", None, now, window_s)
        quiet = "idle" in self.troubles
        moments = _moments(now, window_s)
        routes = () if quiet else tuple(_route(self, row, now, window_s, moments) for row in self.names)
        totals = _totals(routes, window_s)
        workers = tuple(_worker(self, number, now, moments, totals) for number in range(self.workers))
        totals = replace(totals, in_flight=sum(worker.in_flight or 0 for worker in workers))
        points = _points(moments, totals)
        summary = Summary(
            target="localhost:8000",
            service="shop",
            at=now,
            window_s=window_s,
            link="stale" if "stale" in self.troubles else "live",
            stale_s=12.0 if "stale" in self.troubles else None,
            coverage=Coverage(self.workers, self.workers, 0),
            totals=totals,
            points=points,
            routes=tuple(sorted(routes, key=lambda route: -route.total_ms)),
            workers=workers,
        )
        return _with_troubles(summary, self.troubles)


def leaking(pid: int) -> Memory:
    """Return what grows in a worker whose cart keeps everything."""
    return Memory(
        id="m",
        pid=pid,
        taken_at=0,
        took_ns=60_000_000_000,
        watched_ns=45_000_000_000,
        traced_bytes=91_000_000,
        rss_before=180_000_000,
        rss_after=272_000_000,
        lines=[
            GrownLine(
                file="/srv/shop/cart.py",
                line=31,
                short_file="shop/cart.py",
                grew_bytes=90_000_000,
                count=90,
                routes={"POST /checkout": 88_000_000},
            ),
            GrownLine(
                file="/srv/shop/log.py", line=7, short_file="shop/log.py", grew_bytes=900_000, count=11_000
            ),
        ],
        types=[GrownType(type="builtins.bytearray", grew=90, now=120)],
    )


def _identity(number: int) -> WorkerIdentity:
    return WorkerIdentity(
        host="web-1",
        pid=4121 + number,
        started_at=NOON - 86_400.0,
        service="shop",
        supervisor_pid=4120,
        python="3.12.4",
        agent="0.1.0",
        server="uvicorn 0.54.0",
        frameworks={"fastapi": "0.165.0"},
    )


_kept = lru_cache(1 << 16)
"""Nearly half of what a test of a screen computes would be the same figures, made up once more."""


@_kept
def _wave(moment: float, phase: float) -> float:
    """Return something between 0 and 1 that goes up and down, with a little noise."""
    noise = Random(int(moment) * 31 + int(phase * 1000)).random()
    return min(max(0.45 + 0.35 * math.sin(moment / 47 + phase) + 0.2 * (noise - 0.5), 0.0), 1.0)


def _moments(now: float, window_s: float) -> tuple[float, ...]:
    step = max(window_s / 120, 1.0)
    last = math.floor(now / step) * step
    return tuple(last - step * place for place in reversed(range(int(window_s / step))))


def _around(mean: float | None, moments: Sequence[float], phase: float, power: int = 1) -> list[float]:
    """Return a figure at each moment whose mean is that of the whole window: a peak is no less."""
    waves = [0.3 + _wave(moment, phase) ** power for moment in moments]
    scale = (mean or 0.0) * len(waves) / sum(waves) if waves else 0.0
    return [scale * wave for wave in waves]


def _points(moments: Sequence[float], totals: Totals) -> tuple[Point, ...]:
    if not totals.requests:
        return tuple(Point(moment) for moment in moments)
    latency = totals.latency
    in_flight = [int(3 + 20 * _wave(moment, 4) ** 2) for moment in moments]
    in_flight[-1] = totals.in_flight
    rps, errors = _around(totals.rps, moments, 0), _around(totals.error_rate, moments, 1)
    p50, p95, p99 = (
        _around(value, moments, phase, power)
        for value, phase, power in ((latency.p50_ms, 2, 1), (latency.p95_ms, 3, 3), (latency.p99_ms, 3.3, 3))
    )
    return tuple(
        Point(at, rps[place], errors[place], p50[place], p95[place], p99[place], in_flight[place])
        for place, at in enumerate(moments)
    )


def _latency(sketch: LatencySketch) -> Latency:
    def quantile(q: float) -> float | None:
        value = sketch.quantile(q)
        return value / 1e6 if value is not None else None

    longest = sketch.max / 1e6 if sketch.count else None
    return Latency(sketch.count, quantile(0.5), quantile(0.95), quantile(0.99), longest)


@_kept
def _sketch(median_ms: float, count: int, seed: int) -> LatencySketch:
    random = Random(seed)
    sketch = LatencySketch()
    for _ in range(min(count, 400)):
        slow = 4.0 if random.random() < 0.1 else 1.0
        sketch.add(int(random.lognormvariate(math.log(median_ms * slow), 0.5) * 1e6))
    return sketch


def _route(
    feed: FakeFeed, row: tuple[str, float, float], now: float, window_s: float, moments: Sequence[float]
) -> RouteSummary:
    label, rps, median_ms = row
    phase = sum(map(ord, label)) % 17
    rps *= 0.9 + 0.2 * _wave(now, phase)
    requests = max(int(rps * window_s), 1)
    sketch = _sketch(median_ms * (0.8 + 0.4 * _wave(now, phase)), requests, int(now) + phase)
    bad = label.startswith("POST") and "errors" in feed.troubles
    errors = requests // 9 if bad else 0
    latency = replace(_latency(sketch), count=requests)
    workers = max(feed.workers, 1)
    return RouteSummary(
        route=label,
        requests=requests,
        rps=rps,
        errors=errors,
        error_rate=errors / requests,
        status={"2xx": requests - errors - 3, "3xx": 0, "4xx": 3, "5xx": errors, "disconnected": 0},
        latency=latency,
        sketch=sketch,
        total_ms=requests * median_ms * 1.4,
        queued=Queued(requests, median_ms * 0.3, median_ms * 0.04),
        ttfb_p95_ms=median_ms * 1.8,
        first_bytes=requests,
        bodies=requests,
        compressed=requests // 2,
        bytes_p50=38_000,
        bytes_p95=91_000,
        sql_per_request=51.2 if "orders" in label else 1.0,
        sql_ms_per_request=median_ms * 0.7,
        lock_ms_per_request=0.0,
        pool_wait_ms_per_request=median_ms * 0.1,
        loop_wait_ms_per_request=median_ms * 0.08,
        serialize_ms_per_request=median_ms * 0.03,
        shares=tuple(
            Share(
                _identity(number).id, _identity(number).pid, requests // workers, errors // workers, latency
            )
            for number in range(feed.workers)
        ),
        exceptions=(ExceptionCount(type="CardDeclinedError", place="app/pay.py:88 charge", count=errors),)
        if bad
        else (),
        trend=tuple(_around(latency.p95_ms, moments, phase, 2)),
    )


def _times(sketch: LatencySketch, number: int) -> LatencySketch:
    buckets = {bucket: count * number for bucket, count in sketch.buckets.items()}
    return LatencySketch(sketch.count * number, sketch.total * number, sketch.max, buckets)


def _totals(routes: tuple[RouteSummary, ...], window_s: float) -> Totals:
    if not routes:
        return Totals()
    requests = sum(route.requests for route in routes)
    errors = sum(route.errors for route in routes)
    # Each route weighs as much as it has requests, of which its sketch is a sample.
    sketches = [
        _times(route.sketch, max(round(route.requests / route.sketch.count), 1))
        for route in routes
        if isinstance(route.sketch, LatencySketch)
    ]
    latency = replace(_latency(LatencySketch.merged(sketches)), count=requests)
    queued = Queued(requests, 3.1, 0.9)
    return Totals(requests, requests / window_s, errors, errors / requests, latency, queued)


def _worker(
    feed: FakeFeed, number: int, now: float, moments: Sequence[float], totals: Totals
) -> WorkerSummary:
    wave, quiet = _wave(now, number), not totals.requests
    waves = [0.9 + 0.2 * _wave(now, each) for each in range(feed.workers)]
    share = waves[number] / sum(waves)
    rps, latency = (totals.rps or 0.0) * share, _of_a_worker(feed, number, totals.latency)
    return WorkerSummary(
        identity=_identity(number),
        state="ok",
        requests=int(totals.requests * share),
        rps=rps,
        latency=latency,
        queued=Queued() if quiet else Queued(200, 2.0 + wave, 0.8),
        listeners=(Listener(address="127.0.0.1:8000", waiting=0, limit=2048),),
        cpu_percent=38 + 6 * wave,
        rss_bytes=int(183e6 + 2e6 * wave),
        threads=7,
        open_files=31,
        uptime_s=86_400.0 + (now - NOON),
        in_flight=0 if quiet else int(2 + 3 * wave),
        loop_lag_p99_ms=1.5 + 2 * wave,
        gc_pause_p99_ms=3.1,
        threadpool=ThreadpoolStats(used=int(4 * wave), total=40, waiting=0),
        agent_cpu_percent=0.3,
        agent_rss_bytes=4_100_000,
        probes={"http": "on", "event_loop": "on", "queue": "on", "redis": "off: not imported"},
        last_seen=now - 0.4,
        trend=(None,) * len(moments) if quiet else tuple(_around(latency.p95_ms, moments, number)),
        memory=tuple((at, int(180e6 + 4e6 * _wave(at, number))) for at in moments),
        trends=WorkerTrends(
            cpu_percent=tuple(38 + 6 * _wave(at, number) for at in moments),
            lag_ms=tuple(1.5 + 2 * _wave(at, number) for at in moments),
            gc_ms=tuple(3.1 if int(at) % 7 == number else None for at in moments),
            rps=(None,) * len(moments) if quiet else tuple(_around(rps, moments, number)),
            in_flight=tuple(0 if quiet else int(2 + 3 * _wave(at, number)) for at in moments),
            threads=tuple(int(4 * _wave(at, number)) for at in moments),
        ),
    )


def _of_a_worker(feed: FakeFeed, number: int, latency: Latency) -> Latency:
    """Return latencies a little better or worse than everybody's, which lie between those of the workers."""
    if not latency.count or feed.workers < 2:
        return latency
    factor = 1 + 0.02 * (number + 2) * (-1) ** number
    scaled = {name: getattr(latency, name) * factor for name in ("p50_ms", "p95_ms", "p99_ms")}
    return replace(latency, count=latency.count // feed.workers, **scaled)


def _with_troubles(summary: Summary, troubles: Collection[str]) -> Summary:
    workers = list(summary.workers)
    first = workers[0].identity.id if workers else ""
    if "blocked" in troubles:
        workers[0] = replace(
            workers[0],
            state="blocked",
            blocked_ms=1900.0,
            blocked_at="app/reports.py:42 build_report",
            blocked_route="GET /reports",
            cpu_percent=98.0,
            in_flight=9,
            trends=replace(
                workers[0].trends,
                cpu_percent=(*workers[0].trends.cpu_percent[:-1], 98.0),
                in_flight=(*workers[0].trends.in_flight[:-1], 9),
            ),
        )
        open_now = sum(worker.in_flight or 0 for worker in workers)
        last = replace(summary.points[-1], in_flight=open_now)
        summary = replace(
            summary,
            totals=replace(summary.totals, in_flight=open_now),
            points=(*summary.points[:-1], last),
        )
        incident = Incident(
            kind="loop-blocked",
            at=int((summary.at - 8) * 1e9),
            ns=1_400_000_000,
            where="app/reports.py:42 build_report",
            route="GET /reports",
        )
        flight = InFlight(
            route="GET /reports",
            method="GET",
            path="/reports",
            age_ns=1_900_000_000,
            waiting_at="app/reports.py:42 build_report",
        )
        summary = replace(
            summary,
            incidents=(IncidentRow(first, 4121, incident),) * 3,
            in_flight=(FlightRow(first, 4121, flight),),
        )
    if "silent" in troubles:
        place = -2 if "gone" in troubles else -1
        workers[place] = replace(workers[place], state="silent", last_seen=summary.at - 4.2)
    if "gone" in troubles:
        workers[-1] = WorkerSummary(workers[-1].identity, "gone", gone_since=summary.at - 38.0)
        summary = replace(summary, coverage=Coverage(len(workers) - 1, len(workers), 0))
    if "slo" in troubles:
        reports = summary.route("GET /reports")
        error_rate = summary.totals.error_rate
        verdicts = (
            SloVerdict("p95<200ms", "all", summary.totals.latency.p95_ms, False),
            SloVerdict("errors<1%", "all", error_rate, error_rate is not None and error_rate < 0.01),
            SloVerdict("p95<800ms", "GET /reports", reports.latency.p95_ms if reports else None, False),
        )
        summary = replace(summary, slo=verdicts)
    return replace(summary, workers=tuple(workers))


def blocked_dump(pid: int, locals_of: str = "") -> Dump:
    """Return a dump of a worker that is held by the service's own code."""
    variables = FrameLocals(
        function=_OWN.function,
        file=_OWN.file,
        line=_OWN.line,
        short_file=_OWN.short_file,
        at="MainThread",
        values={"month": "'2026-11'", "rows": "[<app.models.Row>, … 48000 in all]"},
    )
    return Dump(
        id="1",
        pid=pid,
        taken_at=int(NOON * 1e9),
        took_ns=31_000_000,
        taken_by=pid + 1,
        threads=[
            _thread("MainThread", [_OWN, _OWN_CALLER, *_SERVER], gil=True, main=True, active=True),
            _thread("perftui-agent", [_SELECT], number=2),
            *(_thread("AnyIO worker thread", [_QUEUE], number=3 + place) for place in range(3)),
        ],
        tasks=[
            WaitingTasks(
                frames=[_POOL, _OWN_WAITS, *_SERVER],
                count=8,
                waits_for="Queue.get",
                names=[f"Task-{number} RequestResponseCycle.run_asgi" for number in range(5)],
                routes={"GET /orders": 8},
                oldest_ns=3_200_000_000,
            ),
            WaitingTasks(
                frames=[_SERVER[0]],
                count=3,
                waits_for="Event.wait",
                routes={"GET /orders": 3},
                oldest_ns=3_100_000_000,
                awaits={"app/crud.py:61 list_orders": 3},
            ),
        ],
        tasks_count=11,
        locals_of=locals_of,
        locals=[variables] if locals_of else [],
    )


def _thread(
    name: str,
    frames: list[StackFrame],
    *,
    gil: bool = False,
    main: bool = False,
    active: bool = False,
    number: int = 1,
) -> ThreadDump:
    return ThreadDump(name=name, thread_id=number, active=active, holds_gil=gil, is_main=main, frames=frames)


_OWN = StackFrame(
    function="build_report",
    file="/srv/shop/app/reports.py",
    line=42,
    short_file="app/reports.py",
    source="    rows = sorted(rows, key=slow_key)",
)
_OWN_WAITS = StackFrame(
    function="list_orders",
    file="/srv/shop/app/crud.py",
    line=61,
    short_file="app/crud.py",
    source="    async with engine.connect() as connection:",
)
_POOL = StackFrame(
    function="QueuePool._do_get",
    file="/srv/venv/lib/python3.12/site-packages/sqlalchemy/pool/impl.py",
    line=177,
    short_file="sqlalchemy/pool/impl.py",
)
_OWN_CALLER = StackFrame(
    function="reports",
    file="/srv/shop/app/routes.py",
    line=118,
    short_file="app/routes.py",
    source="    return build_report(month)",
)
_SERVER = [
    StackFrame(
        function=name,
        file=f"/srv/venv/lib/python3.12/site-packages/{file}",
        line=200 + place,
        short_file=file,
    )
    for place, (name, file) in enumerate(
        [
            ("run_endpoint_function", "fastapi/routing.py"),
            ("app", "fastapi/routing.py"),
            *[("__call__", "starlette/middleware/errors.py")] * 8,
            ("run_asgi", "uvicorn/protocols/http/httptools_impl.py"),
            ("run", "uvicorn/server.py"),
        ]
    )
]
_SELECT = StackFrame(
    function="select", file="/usr/lib/python3.12/selectors.py", line=468, short_file="selectors.py"
)
_QUEUE = StackFrame(
    function="wait", file="/usr/lib/python3.12/threading.py", line=355, short_file="threading.py"
)


def many_routes(number: int) -> tuple[tuple[str, float, float], ...]:
    """Return `number` routes, each with its own traffic."""
    return tuple(
        (f"GET /api/v1/things/{place}", 1.0 + place % 13, 2.0 + place % 29) for place in range(number)
    )


if __name__ == "__main__":
    from perftui.app import show

    given = sys.argv[1:]
    counts = [int(text) for text in given if text.isdigit()]
    sys.exit(
        show(
            FakeFeed(
                workers=counts[0] if counts else 4,
                names=many_routes(counts[1]) if len(counts) > 1 else NAMES,
                troubles=[text for text in given if not text.isdigit()],
                clock=time.time,
            )
        )
    )
