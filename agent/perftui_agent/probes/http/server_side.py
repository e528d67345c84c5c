"""Finds the server's own object for a request, however many wrappers stand between it and the app.

What an app is given as `send` is the server's own only while nobody wraps the app from outside. But who wraps
it keeps the `send` it was given: in a cell of its closure, as an argument of a partial, on an object whose
method it is; or the `receive`, from which the same way leads. So the search goes from one to the next, never
more than a few hundred steps, and the way that was found is remembered by the code it began with: the next
request walks it in a few lookups. Nothing of a request is kept. Servers are told by what their objects have,
since the agent imports none of them; whoever shows nothing is `None`.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import sys
from collections import deque
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Protocol, TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.wire.frames import Frame

MAX_DEPTH = 24
"""Steps of a way; each wrapper takes two or three."""

MAX_VISITED = 400
"""Objects that one search looks at: half a millisecond."""

MAX_WAYS = 4
"""Ways that begin with the same code, and lead through different wrappers."""

MAX_CODES = 64
"""Codes that ways begin with."""

MAX_ATTRIBUTES = 100
"""Of one object."""


class Side(Protocol):
    """The server's side of one request."""

    @property
    def disconnected(self) -> bool:
        """Whether the client has left before the whole answer was handed over."""

    @property
    def transport(self) -> Any:
        """The transport of its connection."""


class HypercornSide:
    """The stream of one request under hypercorn."""

    __slots__ = ("_stream",)

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def disconnected(self) -> bool:
        """A stream is closed after its last byte, too."""
        return bool(self._stream.closed) and not self.response_complete

    @property
    def response_complete(self) -> bool:
        """Whether the last byte has been handed over."""
        return bool(self._stream.state.name == "CLOSED")

    @property
    def transport(self) -> Any:
        """From the stream through the protocol to the connection's writer."""
        return self._protocol.send.__self__.writer.transport

    @property
    def more_body(self) -> bool:
        """Whether the protocol waits for more of the request."""
        return str(self._protocol.connection.their_state) not in {"DONE", "MUST_CLOSE", "CLOSED"}

    @property
    def _protocol(self) -> Any:
        return self._stream.send.__self__


class GunicornSide:
    """One request under gunicorn's own ASGI worker: what the closure that is its `send` holds."""

    __slots__ = ("_cells", "_names", "_protocol")

    def __init__(self, send: FunctionType) -> None:
        self._names = send.__code__.co_freevars
        self._cells = send.__closure__ or ()
        self._protocol = self._held("self")

    @property
    def disconnected(self) -> bool:
        """A connection is closed after its last byte, too; of HTTP/2, each stream by itself."""
        if "stream" in self._names:
            return bool(self._held("stream").disconnected)
        return bool(self._protocol._closed) and not self.response_complete

    @property
    def response_complete(self) -> bool:
        """Whether the last byte has been handed over; of HTTP/2, gunicorn says so of who has left as well."""
        left = "stream" in self._names and self._held("stream").disconnected
        return bool(self._held("response_complete")) and not left

    @property
    def transport(self) -> Any:
        """The connection's."""
        return self._protocol.transport

    @property
    def more_body(self) -> bool:
        """Whether the receiver of the body waits for more of it."""
        return not self._held("body_receiver")._complete

    def _held(self, name: str) -> Any:
        return self._cells[self._names.index(name)].cell_contents


Step: TypeAlias = tuple[str, Any]
"""One step of a way: its kind, and which cell, attribute or argument."""


class _Way:
    """The steps from a `send` or `receive` to the server's own, as they were found once."""

    __slots__ = ("_from_receive", "_is_end", "_side_of", "_steps")

    def __init__(self, steps: tuple[Step, ...], end: Any, side_of: Callable[[Any], Any]) -> None:
        (_, self._from_receive), *self._steps = steps
        self._is_end = _kind_of(end)
        self._side_of = side_of

    def walk(self, send: Any, receive: Any) -> Any:
        """Return the server's side; None where the way does not lead to one."""
        at = receive if self._from_receive else send
        try:
            for kind, which in self._steps:
                if kind == "cell":
                    at = at.__closure__[which].cell_contents
                elif kind == "attribute":
                    at = getattr(at, which)
                elif kind == "argument":
                    at = at.args[which]
                else:
                    at = at.keywords[which]
            return self._side_of(at) if _kind_of(at) is self._is_end else None
        except (AttributeError, LookupError, TypeError, ValueError):
            return None


class _Ways:
    """The ways that begin with one code."""

    __slots__ = ("failures", "found")

    def __init__(self) -> None:
        self.found: list[_Way] = []
        self.failures = 0


class ServerSides:
    """The servers' sides of an app's requests; a probe, whose status says whether they show anything."""

    name = "clients"

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._ways: dict[CodeType | type, _Ways] = {}
        self._status: ProbeStatus = "off: no request yet"

    def attach(self) -> ProbeStatus:
        """Say whether the server tells when a client leaves."""
        return self._status

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, frame: Frame) -> None:
        """There is nothing to read."""

    def find(self, send: Any, receive: Any) -> Any:
        """Return the server's side of the request that these were given for; None if it shows none."""
        try:
            return self._find(send, receive)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a response
            self._guard.fault("probes.clients", error)
            return None

    def _find(self, send: Any, receive: Any) -> Any:
        code = getattr(send, "__code__", None) or type(send)
        ways = self._ways.get(code)
        if ways is None:
            if len(self._ways) >= MAX_CODES:
                return None
            ways = self._ways[code] = _Ways()
        for way in ways.found:
            side = way.walk(send, receive)
            if side is not None:
                return side
        # Another wrapper, or a client that is no server (a test's): looked for again, ever more seldom.
        ways.failures += 1
        if len(ways.found) >= MAX_WAYS or ways.failures & (ways.failures - 1):
            return None
        new = _search(send, receive)
        if new is None:
            if self._status != ON:
                self._status = f"off: {_who_does_not()} when a client leaves"
            return None
        self._status = ON
        ways.found.append(new)
        ways.failures = 0
        return new.walk(send, receive)

    def shown(self) -> None:
        """Take note of a request whose side was seen at once."""
        self._status = ON


def _search(send: Any, receive: Any) -> _Way | None:
    """Look for a server's own object from both ends; what is named like `send` or `receive` first."""
    waiting: deque[tuple[Any, tuple[Step, ...]]] = deque(
        [(send, (("from", False),)), (receive, (("from", True),))]
    )
    seen: set[int] = set()
    while waiting and len(seen) < MAX_VISITED:
        at, steps = waiting.popleft()
        if id(at) in seen:
            continue
        seen.add(id(at))
        with contextlib.suppress(Exception):  # others' objects may be proxies of nothing
            side_of = _server_of(at)
            if side_of is not None:
                return _Way(steps, at, side_of)
            if len(steps) <= MAX_DEPTH:
                _follow(at, steps, waiting)
    return None


def _follow(at: Any, steps: tuple[Step, ...], waiting: deque[tuple[Any, tuple[Step, ...]]]) -> None:
    """Add what can be reached from here to what waits to be looked at."""
    likely: list[tuple[Any, tuple[Step, ...]]] = []
    for step, name, there in _next(at):
        if _passes_on(name):
            likely.append((there, (*steps, step)))
        elif isinstance(there, FunctionType | MethodType | functools.partial) or step[0] != "attribute":
            waiting.append((there, (*steps, step)))
    waiting.extendleft(reversed(likely))


def _server_of(at: Any) -> Callable[[Any], Any] | None:
    """Return how to read the server's own object; None for anything else."""
    if isinstance(at, FunctionType):
        is_gunicorns = str(at.__module__).startswith("gunicorn.") and "self" in at.__code__.co_freevars
        return GunicornSide if is_gunicorns and at.__name__ == "send" else None
    if str(type(at).__module__).startswith("hypercorn."):
        return HypercornSide if hasattr(at, "app_send") and hasattr(at, "closed") else None
    held = getattr(at, "__dict__", None)
    if isinstance(held, dict) and isinstance(held.get("disconnected"), bool) and "transport" in held:
        return _itself
    return None


def _itself(at: Any) -> Any:
    return at


def _kind_of(at: Any) -> CodeType | type:
    return at.__code__ if isinstance(at, FunctionType) else type(at)


_LEAVES = (type, ModuleType, CodeType, str, bytes, int, float, list, tuple, dict, set, frozenset)
"""What no way leads through."""


def _next(at: Any) -> Iterator[tuple[Step, str, Any]]:
    """Yield what can be reached from here in one step, and by which name."""
    for step, name, there in _all_next(at):
        if there is not None and not isinstance(there, _LEAVES):
            yield step, name, there


def _all_next(at: Any) -> Iterator[tuple[Step, str, Any]]:
    if isinstance(at, FunctionType):
        for number, name in enumerate(at.__code__.co_freevars):
            try:
                yield ("cell", number), name, (at.__closure__ or ())[number].cell_contents
            except (ValueError, IndexError):  # it is empty so far
                continue
    elif isinstance(at, MethodType):
        yield ("attribute", "__self__"), "__self__", at.__self__
        yield ("attribute", "__func__"), "__func__", at.__func__
    elif isinstance(at, functools.partial):
        yield ("attribute", "func"), "func", at.func
        for number, argument in enumerate(at.args):
            yield ("argument", number), "", argument
        for name, argument in at.keywords.items():
            yield ("keyword", name), name, argument
    else:
        # Looked up where they lie: a property of somebody's is not to be run for us.
        for name, there in itertools.islice(_attributes(at), MAX_ATTRIBUTES):
            yield ("attribute", name), name, there


def _attributes(at: Any) -> Iterator[tuple[str, Any]]:
    held = getattr(at, "__dict__", None)
    if isinstance(held, dict):
        yield from list(held.items())
    for cls in type(at).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            member = vars(cls).get(name)
            if member is not None and hasattr(type(member), "__get__"):
                try:
                    yield name, member.__get__(at)
                except AttributeError:  # it is empty so far
                    continue


def _passes_on(name: str) -> bool:
    return "send" in name or "receive" in name or name in {"__self__", "__func__", "__wrapped__", "func"}


def server_name() -> str:
    """Return the server that this process runs, as far as it can be told; empty for one nobody knows."""
    # gunicorn first: its workers may run uvicorn's protocol inside. uvicorn last: other libraries import it.
    return next((name for name in ("gunicorn", *_SILENT, *_SHOWING) if name in sys.modules), "")


_SHOWING = ("hypercorn", "uvicorn")
_SILENT = ("granian", "daphne")
"""Servers by whether a request's own object can be found."""


def _who_does_not() -> str:
    name = server_name()
    if name and name not in _SILENT:
        return "something around the app keeps us from knowing"
    return f"{name or 'the server'} does not tell"
