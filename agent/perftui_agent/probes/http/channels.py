"""Follows the messages of WebSockets and of streams; passes each on as it is, and never asks for one itself.

How long a message takes is the time from when the app has it until the reply, or until it asks for the next
one where there was no reply, or where the next had to wait. A handler that waits for somebody else's news
(an event, a queue, a subscription) is not at work: so who has a message for longer than a beat is looked at
from the agent's thread, as requests in flight are, and what was news is no part of that time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from heapq import nsmallest
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

from perftui_agent.await_chain import chain_of
from perftui_agent.channels import EVENTS, STREAM, WEBSOCKET, Channel, SocketRecord, size_of
from perftui_agent.guard import Guard
from perftui_agent.probes.http.answers import Message
from perftui_agent.probes.http.news import wait_of
from perftui_agent.probes.probe import ON, ProbeStatus
from perftui_agent.records import EVENTS as EVENTS_BODY
from perftui_agent.records import Labels, RequestRecord, Scope, current_request
from perftui_agent.wire.frames import Frame

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOKED_AT_FROM_NS = 40_000_000
"""A message that takes less is quick, whatever its handler waits for."""

AT_ONCE = 20
"""Handlers that are looked at in one beat: half a millisecond. Where there are more they take turns."""

AWAKE_NS = 1_000_000_000
"""So long after a message on a WebSocket the next is looked at in time, also where nothing else goes on."""

_SUBSCRIPTION = "PubSub."
"""What redis-py's listeners are called."""


class Sockets(Protocol):
    """Who is told of connections: the window."""

    open_websockets: int
    touched: deque[Channel]
    """Those that have something new to tell."""

    def channel(self, kind: str, record: RequestRecord, opened_ns: int) -> Channel:
        """Return a new one."""

    @property
    def busy_channels(self) -> Iterable[Channel]:
        """Those whose app has a message right now; for the agent's thread."""


async def call(
    app: AsgiApp, scope: Scope, receive: Receive, send: Send, sink: Sockets, labels: Labels, guard: Guard
) -> None:
    """Serve a WebSocket. Named as what times a request is: its frame says whose the task is."""
    record = SocketRecord()
    record.ended_ns = 0
    record.started_ns = started_ns = perf_counter_ns()
    record.scope, record.labels = scope, labels
    record.task_id = _current_task_id()
    channel = record.channel = sink.channel(WEBSOCKET, record, started_ns)

    async def observed_receive() -> Message:
        before = channel.is_handled()
        message = await receive()
        kind = message["type"]
        if kind == "websocket.receive":
            channel.reader = _current_task()
            channel.took_in(size_of(message), before)
        elif kind == "websocket.disconnect":
            channel.code = message.get("code") or 0
        return message

    async def observed_send(message: Message) -> None:
        kind = message["type"]
        began_ns = channel.sending_since_ns = perf_counter_ns()
        try:
            await send(message)
        finally:
            channel.sending_since_ns = 0
        if kind == "websocket.send":
            channel.took_out(began_ns, size_of(message))
        elif kind == "websocket.accept":
            _accepted(channel, record, guard)
        elif kind == "websocket.close":
            channel.code = channel.code or message.get("code") or 1000
            _name(record, guard)

    current_request.set(record)
    sink.open_websockets += 1
    try:
        await app(scope, observed_receive, observed_send)
    except BaseException as error:
        if not isinstance(error, asyncio.CancelledError) and not channel.code:
            channel.error = type(error).__qualname__
        raise
    finally:
        sink.open_websockets -= 1
        _over(channel, record, guard)


def _accepted(channel: Channel, record: SocketRecord, guard: Guard) -> None:
    if not channel.received:
        channel.since_ns = perf_counter_ns()
    _name(record, guard)


def _name(record: SocketRecord, guard: Guard) -> None:
    """Take the route, known once the app has accepted or refused: later a copy of a scope is gone."""
    if record.route:
        return
    try:
        record.route = record.labels.label(record.scope or {}, 101)
    except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a connection
        guard.fault("probes.channels", error)


def _over(channel: Channel, record: SocketRecord, guard: Guard) -> None:
    _name(record, guard)
    record.scope = None
    record.ended_ns = record.left_ns = perf_counter_ns()
    channel.close()


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # another kind of loop
        return None


def _current_task_id() -> int:
    task = _current_task()
    return 0 if task is None else id(task)


def stream_of(record: RequestRecord, sink: Sockets, size: int) -> Channel:
    """Return a response that has turned out to be a stream, whose first part, of so many bytes, is sent."""
    kind = EVENTS if record.streaming == EVENTS_BODY else STREAM
    channel = sink.channel(kind, record, record.arrived_ns)
    channel.took_out(perf_counter_ns(), size)
    return channel


async def send_part(channel: Channel | None, send: Send, message: Message) -> None:
    """Hand over a further part of a stream."""
    if channel is None:
        await send(message)
        return
    began_ns = channel.sending_since_ns = perf_counter_ns()
    try:
        await send(message)
    finally:
        channel.sending_since_ns = 0
    body = message.get("body")
    if body:
        channel.took_out(began_ns, len(body))


class ChannelProbe:
    """Looks what those wait for that have had a message for long."""

    name = "channels"

    def __init__(self, sink: Sockets) -> None:
        self._sink = sink
        self._moved_ns = -AWAKE_NS
        """When a message was last seen to pass on a WebSocket."""

    @property
    def may_rest(self) -> bool:
        """Whether none has passed for a while, so that the next look may come later than at the next beat.

        A message that is over before anybody looked has nobody who could tell what it waited for.
        """
        return perf_counter_ns() - self._moved_ns >= AWAKE_NS

    def attach(self) -> ProbeStatus:
        """There is nothing to attach to: connections come by where requests do."""
        return ON

    def detach(self) -> None:
        """There is nothing to take back."""

    def fill(self, _frame: Frame) -> None:
        """Nothing is read: the window has it."""

    def look(self) -> None:
        """Look at the handlers that are busy; on the agent's thread, at every beat."""
        now_ns, touched = perf_counter_ns(), self._sink.touched
        if touched and any(channel.kind == WEBSOCKET for channel in list(touched)):
            self._moved_ns = now_ns
        busy = self._sink.busy_channels
        if not busy:
            return
        long = [
            (handling, channel)
            for channel in busy
            if (handling := channel.handling) is not None and now_ns - handling.taken_ns >= LOOKED_AT_FROM_NS
        ]
        if len(long) > AT_ONCE:
            long = nsmallest(AT_ONCE, long, key=lambda each: each[0].looked_ns)
        for handling, channel in long:
            handling.looked_at(now_ns, news=_waits_for_news(channel.reader))


def _waits_for_news(task: asyncio.Task[Any] | None) -> bool:
    """Tell whether a task waits for what others have to say; one that runs, or is done, does not."""
    if task is None or task.done():
        return False
    wait = wait_of([task])
    if wait is not None:
        return wait.kind == "news"
    frames, _ = chain_of(task)
    return any(frame.f_code.co_qualname.startswith(_SUBSCRIPTION) for frame in frames)
