"""The second that is being filled.

The app's threads only append: requests to `begun` as they begin, statements to their request, everything
else to `pending` when it is over. All the rest runs on the agent's thread, so nothing needs a lock and a
request pays for one append. The agent's thread looks which requests have ended, and folds them after what
they have put before.
Each ledger folds its kind of record straight into the structs that travel: closing a frame hands them
over and starts anew.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from time import perf_counter_ns, thread_time_ns
from typing import Any

from perftui_agent.channels import Channel
from perftui_agent.records import (
    HEADERS_FROM_BYTES,
    MAX_PENDING,
    BackgroundRecord,
    CacheBatchRecord,
    CacheRecord,
    CallRecord,
    CheckoutRecord,
    FailureRecord,
    OpenEnded,
    Record,
    RequestRecord,
    SpanRecord,
    StatementRecord,
    StatementText,
)
from perftui_agent.window.background import BackgroundLedger
from perftui_agent.window.bodies import fold_bodies
from perftui_agent.window.caches import CacheLedger
from perftui_agent.window.channels import ChannelLedger
from perftui_agent.window.gathered import SETTLED_AT_ONCE
from perftui_agent.window.parts import PIECE, PartLedger
from perftui_agent.window.pools import PoolLedger
from perftui_agent.window.routes import RouteLedger
from perftui_agent.window.shapes import ShapeTable
from perftui_agent.window.statements import StatementLedger
from perftui_agent.window.stories import StoryLedger
from perftui_agent.window.targets import TargetTable
from perftui_agent.window.upstreams import UpstreamLedger
from perftui_agent.wire.frames import Frame
from perftui_agent.work import WorkRecord

DOUBTED_FROM_NS = 5_000_000_000
"""A request that is so long under way may be one that waits for news: see `whose`."""

LOOKED_AT_FOR_ONE = 2
"""Requests in flight that are looked at for each record that may be folded: thousands of open streams take
turns."""


class Window:
    """Takes records from any thread; gives frames to the agent's."""

    def __init__(self) -> None:
        self.open = False
        """Whether the agent has been woken: until then each request wakes it."""
        self.begun: deque[RequestRecord] = deque()
        self.pending: deque[Record | WorkRecord] = deque()
        self.records_dropped = 0
        self._open: deque[RequestRecord] = deque()
        """Requests that had not ended when they were looked at."""
        self._ended: deque[RequestRecord] = deque()
        """Those that had, to be folded after their parts."""
        self._parts_first = 0
        """How many of the pending records come before them."""
        self._followed: deque[tuple[RequestRecord, int]] = deque()
        """Those that have been counted and have more to tell; and their latency."""
        self._busy: deque[RequestRecord] = deque()
        """Those that go on, and have done enough to be folded before they end."""
        self.one_in = 1
        """One request in so many is followed in full."""
        self._following_ns = 0
        """CPU that went into those alone, in this span."""
        # Not the app's: that may have been seeded.
        self._draw = random.Random().random  # noqa: S311 - no secret
        self.open_websockets = 0
        self._begun_taken = 0
        self.touched: deque[Channel] = deque()
        """Connections that have something new to tell; written on the app's threads."""
        self.works: dict[int, WorkRecord] = {}
        """What goes on that requests have given away, by id; written on the app's threads."""
        self.queue_is_known = False
        """Whether anybody can tell how long requests have waited before the app was called."""
        self.bounded: dict[str, int] = {}
        """What each bound has folded away in this span."""
        self.forgotten: dict[str, int] = {}
        """How many names each table has forgotten so far, to make room."""
        self.shapes = ShapeTable()
        self.open_ended: dict[str, OpenEnded] = {}
        """By label: the routes that take whatever comes below them; written on the app's threads."""
        self._folds: dict[type, Callable[[Any], None]] = {}
        self._start_ledgers()

    @property
    def known_texts(self) -> dict[int, StatementText]:
        """What is known of a statement's text, by its hash; only the agent's thread writes to it."""
        return self.shapes.texts

    @property
    def begun_so_far(self) -> int:
        """How many requests have begun; for the agent's thread."""
        return self._begun_taken + len(self.begun)

    @property
    def may_be_in_flight(self) -> bool:
        """Whether any request may be; on any thread. One that has just ended is so until note was taken."""
        return bool(self.begun or self._open)

    @property
    def unfolded(self) -> list[RequestRecord]:
        """Requests in flight, and those that have ended and are not folded yet; for the agent's thread."""
        self._take_begun()
        return [*self._ended, *self._open]

    @property
    def in_flight(self) -> list[RequestRecord]:
        """Requests that have not ended; for the agent's thread."""
        return [record for record in self.unfolded if not record.ended_ns]

    def take(self) -> None:
        """Begin to take records: there is a thread now to fold them."""
        self.begun, self.pending = deque(self.begun), deque()

    def let_go(self) -> None:
        """Keep nothing from now on: nobody folds it.

        What has ended and was not told of is no affair of whoever folds next, which may be hours later; what
        goes on is.
        """
        self.find_ended()
        while self.fold_pending():
            pass
        self.close(seq=0, ended_at_ns=0, span_ns=0)
        self._take_nothing()

    def _take_nothing(self) -> None:
        self.begun, self.pending = deque(maxlen=0), deque(maxlen=0)

    def follows(self) -> bool:
        """Decide, by lot, whether the request that begins is followed in full; on the app's threads.

        What alternates with the requests, as a health check between two others, would fool any counting.
        """
        return self._draw() * self.one_in < 1.0

    def channel(self, kind: str, record: RequestRecord, opened_ns: int) -> Channel:
        """Return a new connection that messages go over."""
        channel = Channel(kind, record, self.touched, opened_ns)
        channel.touch()
        return channel

    @property
    def busy_channels(self) -> list[Channel]:
        """Connections whose app has a message right now; for the agent's thread."""
        return self._channels.busy()

    def put(self, record: Record | WorkRecord) -> None:
        """Hand a record over, which is not written to afterwards; called on the app's threads."""
        if len(self.pending) < MAX_PENDING:
            self.pending.append(record)
        else:
            self.records_dropped += 1

    def fold_pending(self, limit: int = MAX_PENDING) -> int:
        """Fold some `limit` waiting records, those of one request together; return how many were folded."""
        if not (self._ended or self._parts_first or self._busy):
            if not (self.begun or self._open or self.pending):
                return 0
            self.find_ended(limit * LOOKED_AT_FOR_ONE)
        pending, folds = self.pending, self._folds
        waiting = min(self._parts_first, len(pending))
        folded = min(waiting, limit)
        for _ in range(folded):
            record = pending.popleft()
            folds[type(record)](record)
        self._parts_first = waiting - folded
        if self._parts_first:
            return folded
        while self._busy and folded < limit:
            folded += self._parts.fold_piece(self._busy.popleft())
        return folded + self._fold_requests(limit - folded)

    def find_ended(self, at_most: int = MAX_PENDING, piece: int = PIECE) -> None:
        """Look which requests have ended, at most so many: they are folded next.

        Of those that go on, what they have done so far is folded as well, if that is at least a `piece`.
        """
        begun, requests, ended, busy = self.begun, self._open, self._ended, self._busy
        self._begun_taken += min(len(begun), at_most)
        for _ in range(min(len(begun), at_most)):
            record = begun.popleft()
            if record.ended_ns:
                ended.append(record)
            else:
                requests.append(record)
        for _ in range(min(len(requests), at_most)):
            record = requests.popleft()
            if record.ended_ns:
                ended.append(record)
                continue
            requests.append(record)
            if (record.parts and len(record.parts) >= piece) or (record.counted and piece < PIECE):
                busy.append(record)
        # What belongs to them has been put before they ended. Nobody else takes it out.
        self._parts_first = len(self.pending)

    def _take_begun(self) -> None:
        begun, requests = self.begun, self._open
        self._begun_taken += len(begun)
        for _ in range(len(begun)):
            requests.append(begun.popleft())

    def close(self, *, seq: int, ended_at_ns: int, span_ns: int) -> Frame:
        """Return the frame of everything folded since the last one, and start the next."""
        in_flight = self.in_flight
        long_ago_ns = perf_counter_ns() - DOUBTED_FROM_NS
        for record in in_flight:
            if record.started_ns < long_ago_ns:
                record.doubted = True
            if record.parts or record.counted:
                self._parts.fold_piece(record)
        streams = sum(1 for record in in_flight if record.streaming)
        frame = Frame(
            seq=seq,
            ended_at=ended_at_ns,
            span_ns=span_ns,
            in_flight=len(in_flight) - streams,
            open_streams=streams,
            open_websockets=self.open_websockets,
        )
        self._parts.settle()
        self._background.close(frame)
        self._channels.close(frame)
        self._statements.close(frame)
        self._pools.close(frame)
        self._caches.close(frame)
        self._routes.close(frame, queue_is_known=self.queue_is_known)
        self._stories.close(frame, in_flight)
        # After the stories: it forgets paths.
        self._upstreams.close(frame)
        self.forgotten |= {
            "statements": self.shapes.costs.forgotten,
            "texts": self.shapes.unread,
            "routes": self._routes.costs.forgotten,
            "paths": self._routes.paths_forgotten,
            "commands": self._caches.costs.forgotten,
            "upstreams": self._upstreams.costs.forgotten,
            "background": self._background.costs.forgotten,
            "channels": self._channels.costs.forgotten,
        }
        return frame

    def loop_was_held(self, name: str, began_ns: int, ended_ns: int, by: RequestRecord | None) -> None:
        """Take a stretch in which no other request could go on; on the agent's thread."""
        self._stories.fold_block(name, began_ns, ended_ns, by)

    def take_following_ns(self) -> int:
        """Return how much CPU went since the last call into requests that are followed, for that alone."""
        following_ns, self._following_ns = self._following_ns, 0
        return following_ns

    def take_bounded(self) -> dict[str, int]:
        """Return what the bounds have folded away since the last call."""
        bounded = dict(self.bounded)
        self.bounded.clear()
        return bounded

    def empty(self) -> None:
        """Forget everything: in a forked child it is the parent's."""
        self.open = self.queue_is_known = False
        self._take_nothing()
        self._open.clear()
        self._ended.clear()
        self._busy.clear()
        self._followed.clear()
        self._parts_first = 0
        self.one_in = 1
        self.bounded.clear()
        self.forgotten.clear()
        self.works.clear()
        self.touched.clear()
        self.records_dropped = self.open_websockets = 0
        self.shapes.clear()
        self._start_ledgers()

    def _start_ledgers(self) -> None:
        self._routes = RouteLedger(self.bounded, self.open_ended)
        self._statements = StatementLedger(self.shapes, self.bounded)
        self._pools = PoolLedger()
        self._caches = CacheLedger(self.bounded)
        targets = TargetTable()
        self._upstreams = UpstreamLedger(self.bounded, targets)
        self._stories = StoryLedger(self.bounded, targets)
        self._parts = PartLedger(self._routes, self._statements, self._upstreams, self._stories)
        self._background = BackgroundLedger(self.bounded, self._parts, self.works)
        self._channels = ChannelLedger(self.bounded, self._parts, self._stories, self.touched)
        self._folds = {
            WorkRecord: self._background.fold,
            FailureRecord: self._routes.fold_failure,
            BackgroundRecord: self._routes.fold_background,
            SpanRecord: self._parts.leave,
            StatementRecord: self._fold_statement,
            CheckoutRecord: self._fold_checkout,
            CacheRecord: self._fold_command,
            CacheBatchRecord: self._fold_batch,
            CallRecord: self._fold_call,
        }

    def _fold_requests(self, limit: int) -> int:
        """Fold requests that have ended until they and their parts come to `limit`; return to how many."""
        routes, parts, stories = self._routes, self._parts, self._stories
        ended, tallies = self._ended, routes.tallies
        followed, held_until_ns = self._followed, stories.held_until_ns
        folded = 0
        while ended and folded < limit:
            # Whether there is anything to do is asked here: most requests then cost no call.
            record = ended.popleft()
            record.folded = True
            done = record.parts
            folded += 1 if done is None else 1 + len(done)
            tally = tallies.get(record.route) or routes.tally(record.route)
            started_ns, queue_ns = record.started_ns, record.queue_ns
            ns = record.ended_ns - started_ns
            if queue_ns > 0:
                ns += queue_ns
            if record.plain:
                plain = tally.plain
                plain.append((ns, record.body_bytes, record.serialize_ns, queue_ns))
                if len(plain) >= SETTLED_AT_ONCE:
                    tally.settle()
            else:
                tally.fold_odd(record)
            if record.body_bytes >= HEADERS_FROM_BYTES and record.response_headers is not None:
                fold_bodies(record.response_headers, tally.frame)
            if tally.paths is not None:
                tally.paths.fold(record, ns)
            if record.followed:
                # Of one that is followed all that is told of came as parts, those long folded too.
                if done is not None:
                    followed.append((record, ns))
                elif ns > tally.floor_ns or started_ns < held_until_ns:
                    stories.fold_request(record, tally)
            else:
                tally.frame.unfollowed += 1
                if record.parts or record.counted or record.story or record.executed:
                    parts.fold_ended(record, tally)
                if started_ns < held_until_ns:
                    stories.fold_request(record, tally)
        if followed:
            before_ns = thread_time_ns()
            while followed:
                record, ns = followed.popleft()
                # Asked for again: in between, its tally may have had to make room for another's.
                tally = tallies.get(record.route) or routes.tally(record.route)
                parts.fold_ended(record, tally)
                if ns > tally.floor_ns or record.started_ns < held_until_ns:
                    stories.fold_request(record, tally)
            self._following_ns += thread_time_ns() - before_ns
        return folded

    def _fold_statement(self, record: StatementRecord) -> None:
        if not self._statements.fold_rest(record):
            self._parts.leave(record)

    def _fold_checkout(self, record: CheckoutRecord) -> None:
        if self._pools.fold(record):
            self._parts.leave(record)

    def _fold_command(self, record: CacheRecord) -> None:
        self._caches.fold(record)
        self._parts.leave(record)

    def _fold_batch(self, record: CacheBatchRecord) -> None:
        self._caches.fold_batch(record)
        self._parts.leave(record)

    def _fold_call(self, record: CallRecord) -> None:
        if not self._upstreams.fold_rest(record):
            self._parts.leave(record)
