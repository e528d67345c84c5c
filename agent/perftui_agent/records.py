"""What the probes write down, and what the window folds.

A record is made and filled on the app's threads and read on the agent's. Nothing here takes a
lock: a record goes to the agent through one `deque.append`, and, a request in flight excepted, is not
written to afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol, TypeAlias

import msgspec

from perftui_agent.kept_run import KeptRun

Scope: TypeAlias = MutableMapping[str, Any]
"""An ASGI scope."""


Headers: TypeAlias = Iterable[tuple[bytes, bytes]]
"""ASGI headers."""


class Labels(Protocol):
    """Names the routes of one app."""

    def label(self, scope: Scope, status: int = 0) -> str:
        """Return the label of a request; with no `status`, of one that is still in flight."""


class OpenEnded(NamedTuple):
    """A route that takes whatever comes below it: what its paths have in common."""

    root: str
    """Of the server: stands before all paths, and is no part of the template."""
    prefix: str
    """What of the template comes before the rest of the path."""


MAX_PENDING = 65_536
"""Records that wait for the agent's thread: 10 s of a worker that does 6,000 requests a second."""

HEADERS_FROM_BYTES = 1024
"""Only of responses from this size on is it asked whether they are compressed."""

# How a request stands towards p95: see `RequestRecord.streaming`.
PLAIN, CHUNKED, EVENTS = 0, 1, 2


class RequestRecord:
    """One request, from the arrival of its bytes to its last body byte. Moments are `perf_counter_ns`.

    It goes to the agent as it begins and is written to until it ends; who sees `ended_ns` may read the rest.
    A plain class without `__init__`: what keeps its default and is not read costs a request nothing, and what
    is written costs a tenth of what it does in a Struct.
    """

    started_ns: int = 0
    """When the app was called."""
    queue_ns: int = 0
    """How long its bytes had been waiting for that; -1 if nobody knows."""
    scope: Scope | None = None
    """The live scope while the request is in flight, None afterwards: nothing of it is kept."""
    labels: Labels
    """Who can name its route: `route` is empty while it is in flight."""
    path: str = ""
    """As the server has it, without the query string; like `route` and `status`, known when it has ended."""
    route: str = ""
    status: int = 200
    first_byte_ns: int = 0
    """When the first of several parts of the body was sent; 0 if it went out in one, with the last byte."""
    ended_ns: int = 0
    """0 while it is in flight. Written last."""
    left_ns: int = 0
    """When the app was done with it, its background tasks included: what begins afterwards is not its own."""
    body_bytes: int = 0
    streaming: int | None = None
    """None until a part of the body says that more will come. Then PLAIN: of known length all the same;
    CHUNKED: of unknown length; EVENTS: `text/event-stream`."""
    channel: Any = None
    """Of a stream: what goes over it."""
    doubted: bool = False
    """Whether what it has started may outlive it: it streams, or is long under way. See `whose`."""
    task_id: int = 0
    """Of its own task, once somebody had to know."""
    disconnected: bool = False
    preflight: bool = False
    plain: bool = False
    """Whether it is like most: a success whose body went out in one, and nothing more to be said of it."""
    response_headers: Headers | None = None
    """Of a response that is large enough to be worth compressing, once it has ended."""
    head: MutableMapping[str, Any] | None = None
    """The message that has started the response, while it is under way."""
    had_left: bool = False
    """Whether the client was gone before that."""
    whole_at: int | None = None
    """After how many bytes of body the response is whole, once somebody had to know; -1 if it doesn't say."""
    returned_ns: int = 0
    """When its endpoint had returned what a response is to be made of."""
    serialize_started_ns: int = 0
    serialize_ns: int = 0
    """How long it took to make bytes of what the endpoint returned."""
    followed: bool = True
    """Whether it is told of in full. What others do is counted and timed, and no more is asked about it."""
    parts: list[RequestPart] | None = None
    """What it has done and nobody has folded yet; none of these knows its request. See `handover`."""
    runs: dict[Shape, int] | None = None
    """How many times more than once it has executed each of its selects: this is how the app's threads notice
    a repetition, whatever other requests run in between."""
    counted: dict[Shape, list[int]] | None = None
    """Of one that is not followed: how long its statements took, each in nanoseconds."""
    locks: Any = None
    """For which locks its statements were seen to wait, until that is folded. Of the agent's thread alone."""
    folded: bool = False
    """Whether it has gone to its route. Like what follows of the agent's thread alone."""
    called: Any = None
    """Its outgoing calls, as `executed` …"""
    executed: Any = None
    """… its statements, if it is so long under way that some had to be folded before it ended."""
    story: Any = None
    """What it has spent its time on, if it is so long under way."""

    @property
    def arrived_ns(self) -> int:
        """When its bytes had reached the machine; where that is not known, when the app was called."""
        return self.started_ns - max(0, self.queue_ns)


class FailureRecord(msgspec.Struct, eq=False):
    """An exception that no handler took."""

    route: str
    type: str
    place: tuple[str, int, str]
    """File, line and function: the agent's thread makes text of it, which may have to ask the system."""
    answered: bool = False
    """Whether its request has an answer all the same, which is no 5xx."""


class BackgroundRecord(msgspec.Struct, eq=False):
    """How long the app went on after the last body byte."""

    route: str
    ns: int


class SpanRecord(msgspec.Struct, eq=False, gc=False):
    """A stretch of time, most often a part of a request; put when it is over.

    A request's spans are put before it ends, so by the time the window folds that, its whole story is there.
    """

    request: RequestRecord | None
    """None outside of any request."""
    kind: str
    """As in `wire.frames.Span`: `sql`, `transaction`, `lock`, `cache`, `pool`, `connect`, `threadpool`,
    `loop`, `http`, `serialize`."""
    name: str
    started_ns: int
    ended_ns: int
    failed: bool = False


class Shape(msgspec.Struct, eq=False, weakref=True):
    """What statements that differ in their values alone have in common. One object per shape and worker."""

    fingerprint: str
    """The same in every worker."""
    verb: str
    shown: str
    """What of it may leave the process."""
    kind: str = "sql"
    """`transaction` if it is no work of its own, but what begins, ends or keeps up a transaction or a
    connection."""
    example: str = ""
    """A statement as it went to the driver, for the database to explain. It never leaves the process."""
    database: str = ""
    engine: Any = None
    """A weak reference to the engine that ran the example."""
    call_site: str = ""
    """Where in the app's code it was last seen to come from."""
    call_site_wanted: bool = True
    """Set on the agent's thread, cleared on the app's by the next execution, which brings its call site."""
    slowest_ns: int = 0
    """How long its slowest run took …"""
    slowest: KeptRun | None = None
    """… and that run, if it could be kept. Written on either thread: each is one assignment."""


class StatementText(msgspec.Struct, eq=False, frozen=True):
    """One text of a statement, as the app sends it again and again."""

    shape: Shape
    compared: bool
    """Whether its values are compared from one execution to the next: of a SELECT, which a cache or a join
    could have saved."""
    many: bool
    """Whether it asks for many things at once (a list of several values): that is no N+1."""
    literals: int = 0
    """A hash of the values that are in the text itself; 0 if there are none, or nobody compares them."""


class StatementRecord(SpanRecord, eq=False, gc=False):
    """One execution of a statement, or a step of a transaction, whose text is its name. Its `name` is filled
    in on the agent's thread, which also tells the kinds apart."""

    known: StatementText | None = None
    """None when the text is met for the first time: then `text`, `engine` and `database` say what it is."""
    binds: int | None = None
    """A salted hash of the values; None if they are not compared."""
    call_site: str = ""
    slow: bool = False
    text: str = ""
    """What is kept of the statement: see `kept_of`."""
    text_hash: int = 0
    engine: Any = None
    database: str = ""
    parameters: Any = None
    """The values, where nobody knows yet whether it is its shape's slowest run …"""
    keeps_run: bool = False
    """… and whether anybody may want that."""


KEPT_CHARACTERS = 16_384
"""More of a statement is not kept while it waits for the agent's thread: inserts can have megabytes."""

KEPT_AT_THE_END = 4_096

CUT = "\0"
"""Stands where the middle of a long text was."""


def kept_of(text: str) -> str:
    """Return a text, or the beginning and end of a long one: in between it is a list."""
    if len(text) <= KEPT_CHARACTERS:
        return text
    return text[: KEPT_CHARACTERS - KEPT_AT_THE_END] + CUT + text[-KEPT_AT_THE_END:]


WAIT_SPAN_FROM_NS = 50_000
"""A shorter wait for a connection is no part of a request's story: an idle pool answers in 5 µs."""


class CheckoutRecord(SpanRecord, eq=False, gc=False):
    """One checkout from a connection pool: `name` is the pool's, the time what was spent waiting."""

    pool_kind: str = ""
    timed_out: bool = False
    waits: bool = True
    """False for pools in which nobody ever waits: they open a connection for each checkout, or share one."""


class CacheRecord(SpanRecord, eq=False, gc=False):
    """One command to a cache in another process."""

    hits: int = 0
    misses: int = 0
    missed: tuple[int, ...] = ()
    """Hashes of the keys that a cache would have had …"""
    stored: tuple[int, ...] = ()
    """… and of those that are there from now on."""


class CachePart(msgspec.Struct, eq=False, gc=False):
    """One command of a pipeline."""

    name: str
    hits: int = 0
    misses: int = 0
    failed: bool = False
    missed: tuple[int, ...] = ()
    stored: tuple[int, ...] = ()
    """As of a single command."""


class CacheBatchRecord(SpanRecord, eq=False, gc=False):
    """The one round trip of several commands."""

    parts: list[CachePart] = []
    commands: int = 0
    """How many there were: not all of a long pipeline are parts."""


class Upstream:
    """One host, as it is asked by one method through one library. A plain class with slots: the app's threads
    write to it with each call, which in a Struct costs ten times as much."""

    __slots__ = (
        "call_site_wanted",
        "host",
        "key",
        "library",
        "method",
        "run",
        "run_of",
        "run_wanted",
    )

    def __init__(self, host: str, method: str, library: str) -> None:
        self.host = host
        self.method = method
        self.library = library
        self.key = (host, method, library)
        """Made once, since each call is told by it."""
        self.call_site_wanted = True
        """Set on the agent's thread, cleared on the app's by the next call, which brings its call site …"""
        self.run_wanted = True
        """… and by the next that goes on with a run of them; as long as it is set, runs are counted."""
        self.run_of = 0
        """Which request called it last (by when that began), and how many times more in a row."""
        self.run = 0


class CallDetails(msgspec.Struct, eq=False, gc=False):
    """What few calls have: that they failed, waited for a connection, opened one, brought their call site."""

    failed: bool = False
    error: str = ""
    """What it failed with: the exception's name."""
    timed_out: bool = False
    pool_timed_out: bool = False
    cancelled: bool = False
    pool_wait_ns: int = 0
    connect_ns: int = 0
    """Opening a connection, TLS included."""
    tls_ns: int = 0
    held_ns: int = 0
    """How long the answer had been lying there when it was read; -1 if nobody knows."""
    retries: int = 0
    opened: bool = False
    new_client: bool = False
    """Whether it is its client's first, and was made within a request."""
    call_site: str = ""


class CallRecord:
    """One outgoing HTTP exchange. It is filled while that goes on, and put when it is over.

    A part of its request as a `SpanRecord` is, with the same names. Of a plain class with slots, all of them
    written as it begins: what is rare is in its details, which most have none of, and so are asked for once.
    """

    __slots__ = (
        "answered_ns",
        "body_ns",
        "details",
        "ended_ns",
        "place",
        "ready_ns",
        "received_bytes",
        "request",
        "started_ns",
        "status",
        "target",
        "upstream",
    )

    kind = "http"
    request: RequestRecord | None
    """None outside of any request, and once it has been left with its request."""
    upstream: Upstream
    target: str | bytes
    """Path and query. It never leaves the process but as the shape of the path."""
    started_ns: int
    ready_ns: int
    """When it had a connection."""
    answered_ns: int
    """When the first byte of the answer was read; 0 without one."""
    body_ns: int
    """How long the app waited for parts of the body."""
    ended_ns: int
    received_bytes: int
    status: int
    """0 as long as there is no answer."""
    place: int
    """Where it is kept as long as there is none; of its probe alone."""
    details: CallDetails | None
    """An answer below 400, in time, on a connection that was there, has none: such a call is like most."""

    def in_detail(self) -> CallDetails:
        """Return its details, which it has from now on."""
        details = self.details
        if details is None:
            details = self.details = CallDetails()
        return details


Record: TypeAlias = (
    FailureRecord
    | BackgroundRecord
    | SpanRecord
    | StatementRecord
    | CheckoutRecord
    | CacheRecord
    | CacheBatchRecord
    | CallRecord
)
"""Anything a probe hands to the window, but for requests."""

RequestPart: TypeAlias = SpanRecord | CallRecord
"""What a request has done: it waits on the request's record."""

current_request: ContextVar[RequestRecord | None] = ContextVar("perftui_request", default=None)
"""The request this task or thread came from: whether it still works for it, `whose` tells.

Servers give each request a task, whose context ends with it: to take the request out of it again would be
work for nothing.
"""
