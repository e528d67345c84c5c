"""The messages between an agent and its clients, and nothing else.

The same `Frame` goes over the WebSocket, into the black box and into a recording. Durations are
integer nanoseconds, sizes bytes, moments wall-clock nanoseconds since the epoch. A field that is
absent was not measured: None and 0 are different things. Everything in a frame that counts is the
count of this frame's span alone (a delta); a gap in `seq` says that frames were lost.

Growing it: add fields with defaults. Removing or re-typing one needs a new `WIRE_VERSION`.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from perftui_agent.sketch import Count, LatencySketch
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.database import DatabaseNews
from perftui_agent.wire.explain import PlanNote
from perftui_agent.wire.gil import GilStats
from perftui_agent.wire.machine import Machine

WIRE_VERSION = 1

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""No message is larger; a peer that announces more is cut off."""

Nanoseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A duration, or a wall-clock moment since the epoch."""

Bytes: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A size."""

RouteLabel: TypeAlias = str
"""`METHOD template`, with every prefix: `GET /api/v1/items/{item_id}`, `GET (unmatched)`, `(other)`."""

CodePlace: TypeAlias = str
"""A place in code as people say it: `app/reports.py:42 build`."""

WorkerId: TypeAlias = str
"""One worker's life, unlike a pid never reused: `host/pid/start`."""


class _Part(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A part of a message: unknown fields are ignored, default ones left out."""


class _Value(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A part of a message that is whole when it is made and never changes."""


class SloTarget(_Value, frozen=True):
    """What the service promised: all routes together, or one of them."""

    route: RouteLabel | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    error_rate: float | None = None
    rps: float | None = None


class WorkerIdentity(_Value, frozen=True):
    """Who a worker is; the same in its registration and in its `Hello`."""

    host: str
    pid: int
    started_at: float
    """Process start on the wall clock as it was then, seconds since the epoch: for people to read."""
    service: str
    supervisor_pid: int
    python: str = ""
    agent: str = ""
    server: str = ""
    """`uvicorn 0.54.0`, as far as it can be told."""
    frameworks: dict[str, str] = {}
    start_ticks: int = 0
    """Process start in the kernel's ticks since the boot, which no clock moves; 0 where there are none."""
    boot_id: str = ""
    pid_namespace: str = ""
    """With the boot: where the pid means something."""
    version: str = ""
    """Which version of the service it runs, as far as it was told."""

    @property
    def id(self) -> WorkerId:
        """The worker's life as a string, unlike a pid never reused."""
        if not self.start_ticks:
            return f"{self.host}/{self.pid}/{self.started_at:.2f}"
        return f"{self.host}/{self.pid}/{self.boot_id[:8]}.{self.pid_namespace}.{self.start_ticks}"


class StatusCounts(_Part, gc=False):
    """Requests by how they ended."""

    informational: Count = 0
    success: Count = 0
    redirect: Count = 0
    client_error: Count = 0
    server_error: Count = 0
    disconnected: Count = 0

    def total(self) -> int:
        """Return how many requests there were, however they ended."""
        return (
            self.informational
            + self.success
            + self.redirect
            + self.client_error
            + self.server_error
            + self.disconnected
        )


class ExceptionCount(_Value, frozen=True):
    """Unhandled exceptions of one type from one place."""

    type: str
    place: CodePlace
    count: Count = 1


class RouteFrame(_Part):
    """What one route did in a frame's span: requests that ended in it."""

    route: RouteLabel
    status: StatusCounts
    latency: LatencySketch
    """From the bytes' arrival at the machine, if that is known, else from the ASGI call, to the last body
    byte; preflights, event streams and clients that left are not in it."""
    queue_known: Count = 0
    """Of the requests in `latency`, those whose time before the ASGI call is known, none of it included."""
    queue: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """Of those that waited before the ASGI call, how long; a part of `latency`."""
    ttfb: LatencySketch = msgspec.field(default_factory=LatencySketch)
    body_bytes: LatencySketch = msgspec.field(default_factory=LatencySketch)
    background: LatencySketch | None = None
    """How long the app went on after the last byte, where it did."""
    background_ns: Nanoseconds = 0
    """For how long responses were held open by background tasks: a part of `latency`."""
    serialized: Count = 0
    serialize_ns: Nanoseconds = 0
    """Responses that were seen to be made into bytes, and how long that took in all."""
    exceptions: list[ExceptionCount] = []
    streaming: Count = 0
    compressed: Count = 0
    files: Count = 0
    """Bodies that are what they are: pictures, archives, downloads."""
    long_poll: str = ""
    """Whether its requests wait on purpose: `declared` by the app, or `seen` to."""
    sql_count: Count = 0
    sql_ns: Nanoseconds = 0
    transaction_count: Count = 0
    transaction_ns: Nanoseconds = 0
    """Committing, rolling back, savepoints, pings, connecting; no part of `sql_ns`."""
    lock_ns: Nanoseconds = 0
    """Of `sql_ns`, and …"""
    transaction_lock_ns: Nanoseconds = 0
    """… of `transaction_ns`: for how long statements were seen to wait for somebody else's lock."""
    cache_count: Count = 0
    cache_ns: Nanoseconds = 0
    pool_wait_ns: Nanoseconds = 0
    threadpool_wait_ns: Nanoseconds = 0
    loop_wait_ns: Nanoseconds = 0
    http_count: Count = 0
    """Outgoing HTTP calls."""
    http_ns: Nanoseconds = 0
    """For how long requests had at least one of those under way, but for …"""
    http_held_ns: Nanoseconds = 0
    """… how long answers that had arrived lay there unread: the loop, or the thread, was held."""
    unfollowed: Count = 0
    """Requests of which only counts and times are known: repeats and stories are those of the others."""
    repeats: list[RepeatedShape] = []
    paths: list[PathFrame] = []
    """Of a route that takes any path: what was asked for below it."""


class PathFrame(_Part):
    """Requests for paths of one shape, below a route that takes any."""

    path: str
    """With every id, name and token as `{…}`: `/api/{…}/runs`; `(other)` for those there was no room for."""
    requests: Count = 0
    errors: Count = 0
    """Answers with a 5xx."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)


class RepeatedShape(_Part):
    """One statement shape that single requests of a route ran several times."""

    fingerprint: str
    call_site: CodePlace = ""
    requests: Count = 0
    """How many requests repeated it."""
    executions: Count = 0
    distinct_binds: Count = 0
    total_ns: Nanoseconds = 0
    most: Count = 0
    """The most repeats seen in one request."""


class InFlight(_Value, frozen=True):
    """A request that had not ended when the frame was closed."""

    route: RouteLabel
    method: str
    path: str
    age_ns: Nanoseconds
    waiting_at: CodePlace | None = None
    on_purpose: bool = False
    """It waits for news, up to a time that the app has set, or its route is known to."""
    gives_up_ns: Nanoseconds | None = None
    """At which age that time is over."""


class Span(_Value, frozen=True):
    """A stretch of a request; repeats of one thing are folded into one span."""

    kind: str
    """`queue` (before the ASGI call), `sql`, `transaction`, `cache`, `pool` (waiting for a connection),
    `connect` (opening one), `threadpool`, `loop`, `http` (an outgoing call: method, host and shape of the
    path), `background` (a background task that held the response open), `serialize`."""
    name: str
    start_ns: Nanoseconds
    ns: Nanoseconds
    count: Count = 1
    call_site: CodePlace | None = None
    distinct_binds: Count | None = None
    fingerprint: str | None = None
    """Of a statement: where its text is, if `name` is its beginning alone: in the frame's `statements`, or in
    its `texts`."""


class SlowRequest(_Value, frozen=True):
    """One of the slowest requests of its route in this frame, with its story."""

    id: str
    route: RouteLabel
    method: str
    path: str
    status: int
    ended_at: Nanoseconds
    total_ns: Nanoseconds
    body_bytes: Bytes = 0
    spans: list[Span] = []
    spans_dropped: Count = 0


class StatementFrame(_Part):
    """What one statement shape did in a frame's span."""

    fingerprint: str
    statement: str = ""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    errors: Count = 0
    slow: Count = 0
    routes: dict[RouteLabel, Count] = {}
    """Executions by route; those outside any request under `(outside requests)`."""
    call_site: CodePlace | None = None
    database: str = ""
    same_binds: Count = 0
    """Executions whose statement and binds had both been seen before, in other requests."""
    unfollowed: Count = 0
    """Executions by requests that are not followed: their binds were not compared."""


class PoolFrame(_Part):
    """A connection pool at the end of the span, and the waits within it."""

    name: str
    kind: str
    size: int | None = None
    checked_out: int | None = None
    overflow: int | None = None
    max: int | None = None
    checkouts: Count = 0
    wait: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From asking for a connection to having it or giving up; the time to open a new one is not in it."""
    timeouts: Count = 0
    waiting: int | None = None
    """Checkouts that went on at the end of the span, and for how long the oldest: an exhausted pool shows
    here for half a minute before the first wait is over."""
    longest_wait_ns: Nanoseconds = 0


class RepeatedCalls(_Part):
    """What single requests of one route have called several times each."""

    route: RouteLabel
    call_site: CodePlace = ""
    requests: Count = 0
    """How many requests did."""
    calls: Count = 0
    distinct: Count = 0
    """Paths, queries included, that differed within one request."""
    most: Count = 0
    """The most calls by one request."""
    ns: Nanoseconds = 0
    """For how long these requests had at least one such call under way."""


class UpstreamFrame(_Part):
    """What one host was asked by one method through one library in a frame's span.

    A call is one exchange: each redirect and each further try is one of its own.
    """

    host: str
    """`api.example.com`, with its port where that is not the scheme's."""
    method: str
    library: str
    """`httpx`, `httpx2`, `aiohttp`, `urllib3`."""
    latency: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From the call to the end of the body, without what the app did while it read that."""
    answer: LatencySketch = msgspec.field(default_factory=LatencySketch)
    """From having a connection to the first byte of the answer, without how long it lay there unread."""
    pool_wait: LatencySketch | None = None
    """For one of the client's own connections, of the calls that had to wait; all others had none."""
    connect: LatencySketch | None = None
    """Opening a connection, TLS included, of the calls that did."""
    tls_ns: Nanoseconds = 0
    """Of that, for TLS, as far as the library tells."""
    body_ns: Nanoseconds = 0
    """Waiting for bodies after the first byte."""
    held_ns: Nanoseconds = 0
    """How long answers lay there unread, …"""
    held: Count = 0
    """… in so many calls; …"""
    held_unknown: Count = 0
    """… and of so many it can't be told."""
    errors: Count = 0
    """Calls without an answer, and answers with a 5xx."""
    timeouts: Count = 0
    """Of those without an answer."""
    pool_timeouts: Count = 0
    """Of the time-outs, those in which no connection of the client's own was to be had."""
    cancelled: Count = 0
    """Given up by the caller; no errors."""
    failures: dict[str, Count] = {}
    """Errors by what they were: `ConnectError`, `ReadTimeout`, `503`."""
    retries: Count = 0
    """Calls that repeat one that had failed, and further tries to connect."""
    received_bytes: Bytes = 0
    """Of bodies, as they came over the network."""
    opened: Count = 0
    """Calls that opened a connection; the others with an answer found one open."""
    clients: Count = 0
    """Calls within a request that were the first of their client."""
    requests: Count = 0
    """Requests that called, each once."""
    under_way: Count = 0
    """Calls without an answer yet at the end of the span, and how old the oldest is."""
    oldest_ns: Nanoseconds = 0
    waiting: Count = 0
    """Of those, the ones that wait for a connection of the client's own, and how long one has."""
    longest_wait_ns: Nanoseconds = 0
    connections: Count | None = None
    """Open to this host at the end of the span, whatever the method, …"""
    idle: Count | None = None
    """… those that nobody uses, …"""
    limit: Count | None = None
    """… and how many its clients may have, to all hosts together."""
    routes: dict[RouteLabel, Count] = {}
    """Calls by route; those outside any request under `(outside requests)`."""
    spent: dict[RouteLabel, Nanoseconds] = {}
    """By route, their times added up."""
    call_sites: dict[CodePlace, Count] = {}
    """Where calls came from, as often as somebody looked: not at each."""
    repeats: list[RepeatedCalls] = []


class CacheFrame(_Part):
    """What one cache did in a frame's span, and its size at the end of it."""

    name: str
    kind: str
    hits: Count = 0
    misses: Count = 0
    evictions: Count | None = None
    """None: it evicts unseen, as `functools.lru_cache` and a cache in another process do."""
    expirations: Count = 0
    stampedes: Count = 0
    """Misses of a key while another request was already at work on the same key."""
    errors: Count = 0
    filled: Count | None = None
    """Misses of keys that have been stored since by whoever missed them, as it is with a cache. None: what is
    asked is a cache in any case."""
    latency: LatencySketch | None = None
    """Of each command to a cache in another process, found or not; its count is that of the commands."""
    size: int | None = None
    maxsize: int | None = None


class Incident(_Value, frozen=True):
    """The event loop was held beyond the threshold."""

    kind: str
    at: Nanoseconds
    ns: Nanoseconds
    where: CodePlace
    route: RouteLabel | None = None
    stack: list[CodePlace] = []
    ongoing: bool = False
    verdict: str = ""
    """Of what `Evidence` tells of: what it was."""


class Evidence(_Value, frozen=True):
    """What an agent has seen of its own accord, and keeps for whoever comes later.

    It is told of in a frame, of the worker itself or of a sibling, and so lies in the black box of whoever
    tells of it. What becomes known later is told again under the same `id`: the latest is the whole of it.
    """

    id: str
    """Unlike any other of the service."""
    kind: str
    """`worker-silent`, `trigger`, or `plan-changed`."""
    at: Nanoseconds
    """When what it tells of began."""
    ns: Nanoseconds = 0
    """How long that lasted, or has so far."""
    worker: WorkerId = ""
    """Whose it is; empty: that of the frame it is in."""
    verdict: str = ""
    """Of `worker-silent`: `hung`, `starved` or `stopped`."""
    where: CodePlace = ""
    route: RouteLabel | None = None
    stack: list[CodePlace] = []
    """Innermost first."""
    in_flight: list[InFlight] = []
    """Requests that the worker had, the oldest first."""
    text: str = ""
    """What else there is to say, in a sentence."""
    taken_at: Nanoseconds | None = None
    """When `stack` and `result` were."""
    how: str = ""
    """By what and by whom: `py-spy by sibling 4122`."""
    outcome: str = ""
    """`went on`, `ended`, of a trigger `taken`, `refused`; empty as long as it is not known."""
    ended_by: str = ""
    """Which supervisor ended the worker, as far as that can be told: `uvicorn (pid 4100)`."""
    result: bytes = b""
    """What was taken, as a client that had asked would have got it: an encoded `Dump` or `Profile`."""
    trigger: str = ""
    """As it is written: `p95>1s for 10s: profile 20s, dump`."""


class Listener(_Value, frozen=True):
    """A listening socket of the worker at the end of the span."""

    address: str
    """`127.0.0.1:8000`, `[::]:8000`, or the path of a Unix socket."""
    waiting: Count | None = None
    """Connections that wait to be accepted; workers that share the socket tell of the same ones."""
    most: Count | None = None
    """The most that were seen to wait within the span."""
    limit: Count | None = None
    """How many may."""


class ProcessStats(_Value, frozen=True):
    """The worker's process at the end of the span, as the system tells it."""

    cpu_percent: float | None = None
    cpu_user_s: float | None = None
    cpu_system_s: float | None = None
    rss_bytes: Bytes | None = None
    threads: int | None = None
    open_files: int | None = None
    open_files_limit: int | None = None
    uptime_s: float | None = None
    cpu_limit: float | None = None
    """Cores the container may use."""
    memory_limit_bytes: Bytes | None = None
    memory_left_bytes: Bytes | None = None
    """How much more there is before something is ended for it: to the container's limit, for all that is in
    it together, or what the host has available, whichever is less."""
    memory_left_in: str = ""
    """Of which of the two that is: `container` or `host`."""


class LoopStats(_Part):
    """The app's event loop: how late it answered the beats of this span."""

    lag: LatencySketch = msgspec.field(default_factory=LatencySketch)
    blocked_ns: Nanoseconds = 0
    """For how long the loop has not turned, at the end of the span; 0 while it turns."""
    blocked_at: CodePlace | None = None
    blocked_route: RouteLabel | None = None
    kind: str = ""
    """`asyncio` or `uvloop`."""


class ThreadpoolStats(_Part):
    """The anyio threadpool that sync endpoints run in."""

    used: int
    total: int
    waiting: int
    wait: LatencySketch = msgspec.field(default_factory=LatencySketch)


class GcStats(_Part):
    """Garbage collections of this span."""

    pauses: LatencySketch = msgspec.field(default_factory=LatencySketch)
    collections: dict[int, Count] = {}
    """Collections by generation."""


class AgentStats(_Value, frozen=True):
    """What the agent itself costs, and what it could not keep up with."""

    cpu_percent: float = 0.0
    rss_bytes: Bytes | None = None
    """An estimate of its share of the process's: what importing it added, and the size of its tables."""
    records_dropped: Count = 0
    clients: Count = 0
    bytes_sent: Bytes = 0
    faults: dict[str, Count] = {}
    """Faults by the place in the agent that had them, since it started."""
    bounded: dict[str, Count] = {}
    """What each bound folded away in this span."""
    forgotten: dict[str, Count] = {}
    """How many names each table has forgotten since the agent started, so as to make room for others:
    `statements`, `routes`, `commands`, `caches`, `upstreams`; and how many executions had a text (`texts`)
    that nobody had the time to read. What comes back is known again."""
    sampled: Count = 1
    """One request in so many is followed in full; of the others there are exact counts and times."""
    degraded: str = ""


class Frame(_Part, tag="frame"):
    """One worker, one second."""

    seq: Count
    """1, 2, 3 … for this worker's life."""
    ended_at: Nanoseconds
    span_ns: Nanoseconds
    steady_ns: Nanoseconds = 0
    """When it ended on the clock that nobody sets, `wire.clock`; 0 from who has none."""
    thinned: bool = False
    """Whether a black box has made it of several. That of a worker that was silent is as long, and is one."""
    routes: list[RouteFrame] = []
    in_flight: Count = 0
    in_flight_rows: list[InFlight] = []
    """The oldest first, at most 50; `in_flight` is the true count."""
    open_websockets: Count = 0
    open_streams: Count = 0
    listeners: list[Listener] = []
    listen_overflows: Count | None = None
    """Connections that this host (its network namespace) refused in this span because a listening socket's
    queue was full; None where the system does not tell."""
    process: ProcessStats = msgspec.field(default_factory=ProcessStats)
    loop: LoopStats | None = None
    threadpool: ThreadpoolStats | None = None
    gc: GcStats | None = None
    gil: GilStats | None = None
    machine: Machine | None = None
    statements: list[StatementFrame] = []
    transactions: list[StatementFrame] = []
    """What begins, ends and divides transactions, and keeps up connections: `COMMIT`, `ROLLBACK`,
    `SAVEPOINT …`, `RESET` (as a connection goes back to its pool), `PING`, `CLOSE`."""
    pools: list[PoolFrame] = []
    caches: list[CacheFrame] = []
    upstreams: list[UpstreamFrame] = []
    channels: list[ChannelFrame] = []
    """What went over WebSockets and streams."""
    background: list[BackgroundFrame] = []
    """What functions did after the response."""
    slowest: list[SlowRequest] = []
    texts: dict[str, str] = {}
    """By fingerprint, those of statements that `slowest` tells of and `statements` does not."""
    incidents: list[Incident] = []
    evidence: list[Evidence] = []
    database: DatabaseNews | None = None
    """What a database itself said, while there is a reason to ask."""
    plans: list[PlanNote] = []
    """Of statements that were slow in this span, those whose plans are known."""
    agent: AgentStats = msgspec.field(default_factory=AgentStats)
    probes: dict[str, str] = {}
    """Each probe and `on`, or `off: why`."""

    @property
    def moment_ns(self) -> Nanoseconds:
        """When it ended, by the clock that is not set, if there is one: frames of one agent go by it."""
        return self.steady_ns or self.ended_at


class Hello(_Part, tag="hello"):
    """The first message of every agent on every connection."""

    wire: int
    worker: WorkerIdentity
    slo: list[SloTarget] = []
    actions: bool = True
    """Whether dumps and profiles are allowed here."""
    keeps: bool = False
    """Whether a `Keep` is understood, and there is a black box to keep anything in."""
    shares: bool = False
    """Whether a `Listen` is understood."""
    said_at: Nanoseconds = 0
    """The worker's wall clock as this was said: set before the next frame, it has been set from here."""
    steady_ns: Nanoseconds = 0
    """Its clock that nobody sets, in the same moment."""


class History(_Part, tag="history"):
    """Earlier frames of this worker, oldest first: sent in chunks after `Hello`, between live frames.

    The latest chunk comes first, so that a picture of the present need not wait for the past. Older frames
    are thinned: their `span_ns` is ten seconds instead of one.
    """

    frames: list[Frame] = []
    last: bool = False
    """Whether this chunk ends the history."""
    evidence: list[Evidence] = []
    """What was kept from before the oldest frame, and since: a message of its own, without frames."""


class DumpRequest(_Part, tag="dump"):
    """Asks for the stacks of every thread of a worker: the agent's own, or a sibling by pid."""

    id: str
    pid: int | None = None
    nonblocking: bool = False
    locals_of: str = ""
    """A function whose variables are asked for, `build_report` or `Reports.build`, or some of them:
    `build_report:rows,user`. Nobody's are told otherwise."""


class StackFrame(_Value, frozen=True):
    """One frame of a thread's stack."""

    function: str
    file: str
    line: int
    short_file: str = ""
    source: str = ""
    """The line of code itself, where the file could be read."""


class ThreadDump(_Value, frozen=True):
    """One thread; frames innermost first."""

    name: str | None
    thread_id: int
    os_thread_id: int | None = None
    active: bool = False
    holds_gil: bool = False
    is_main: bool = False
    frames: list[StackFrame] = []
    frames_cut: Count = 0
    """Frames left out of a deep stack, from between its innermost three quarters and its outermost."""
    route: RouteLabel = ""
    """Of the request that it works for, as far as that is known."""
    age_ns: Nanoseconds | None = None
    """How long ago that request arrived."""
    task: str = ""
    """The task that it runs, or that waits for what it does."""


class WaitingTasks(_Value, frozen=True):
    """Tasks of the app's loop that wait at the same place, by the same way through the app's own code."""

    frames: list[StackFrame] = []
    """Innermost first, of one of them: what it waits in, through every `await`."""
    frames_cut: Count = 0
    """As in a thread's stack."""
    count: Count = 1
    waits_for: str = ""
    """What is at the end: `Queue.get`, `sleep`, `a thread`, `2 tasks`, `its turn on the loop`."""
    names: list[str] = []
    """Of some of them."""
    routes: dict[RouteLabel, Count] = {}
    """How many of them work for requests of which route."""
    oldest_ns: Nanoseconds | None = None
    """How long ago the oldest of these requests arrived."""
    awaits: dict[CodePlace, Count] = {}
    """Where those tasks wait that these wait for."""


class FrameLocals(_Value, frozen=True):
    """The variables of one frame of a function, which was asked for by its name."""

    function: str
    file: str
    line: int
    short_file: str = ""
    at: str = ""
    """The thread that it runs in, or the task."""
    route: RouteLabel = ""
    values: dict[str, str] = {}
    values_cut: Count = 0


class Dump(_Part, tag="dump-result"):
    """The stacks of one worker at one moment."""

    id: str
    pid: int
    taken_at: Nanoseconds
    took_ns: Nanoseconds
    taken_by: int
    """The pid whose agent took it: the worker's own, or a sibling's; 0: the client itself, by a signal."""
    method: str = "py-spy"
    """`py-spy`, `py-spy --nonblocking` (not paused, so stacks may be torn), `python` (the process looked at
    itself) or `faulthandler` (it wrote its stacks when it got a signal). In the last two `active` and
    `holds_gil` are unknown."""
    threads: list[ThreadDump] = []
    threads_cut: Count = 0
    note: str = ""
    """What one must know to read it: why it is not a plain py-spy dump."""
    tasks: list[WaitingTasks] | None = None
    """What the tasks of the app's loop wait for, that do not run; None where nobody could tell: the worker
    itself alone knows them, and which request each thread serves."""
    tasks_count: Count = 0
    """How many there are."""
    tasks_cut: Count = 0
    """How many of them are in none of `tasks`."""
    locals_of: str = ""
    """Whose variables were asked for."""
    locals: list[FrameLocals] = []
    locals_cut: Count = 0
    """Further frames of that function."""


class Refusal(_Part, tag="refusal"):
    """The answer to a request that could not be carried out: one sentence and the mend."""

    id: str
    reason: str
    advice: str = ""
