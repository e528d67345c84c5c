"""The channels section of a frame: what goes over WebSockets and streams, by route and kind.

A message is counted a little after it was handled: what held the loop meanwhile is known only when that is
over, and is no slowness of its handler. Of one that took long and that nobody came to look at meanwhile,
because there were too many or the machine was too busy, nobody knows whether it only waited for news: it is
counted, and not judged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from time import perf_counter_ns

from perftui_agent.await_chain import route_of
from perftui_agent.channels import WEBSOCKET, Channel, Handling
from perftui_agent.records import RequestRecord
from perftui_agent.window.costs import Costs
from perftui_agent.window.parts import PartLedger
from perftui_agent.window.routes import RouteTally
from perftui_agent.window.stories import StoryLedger
from perftui_agent.wire.adding import bounded_counts
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.merging import merge_channel

Key = tuple[str, str]
"""Kind, route."""

MAX_ROWS = 200
"""Routes in a frame, the busiest; the others share `(other)`."""

NEWCOMERS = 300

MAX_DETAILS = 20
"""Errors and codes of one route."""

SETTLED_AFTER_NS = 120_000_000
"""So long after a message was handled it is known what held the loop meanwhile: two beats."""

UNSEEN_NS = 120_000_000
"""A message that takes longer has been looked at, or nobody knows what it waited for: looks begin after 40 ms
and come at every beat."""

OTHER = "(other)"
_OTHER_KEY: Key = ("", OTHER)

COST_OF_A_MESSAGE_NS = 100_000
COST_OF_A_CONNECTION_NS = 1_000_000

_SUMS = ("sql_count", "sql_ns", "transaction_ns", "cache_count", "cache_ns", "http_count", "http_ns")


class _Told:
    """What has been told of a connection so far."""

    __slots__ = ("blocked_ns", "first", "key", "received", "received_bytes", "sent", "sent_bytes", "untold")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.received = self.received_bytes = self.sent = self.sent_bytes = 0
        self.blocked_ns = self.untold = 0
        self.first = False


class ChannelLedger:
    """What has gone over connections in the span that is being filled."""

    def __init__(
        self,
        bounded: dict[str, int],
        parts: PartLedger,
        stories: StoryLedger,
        touched: deque[Channel],
    ) -> None:
        self._bounded = bounded
        self._parts = parts
        self._stories = stories
        self._touched = touched
        self._fresh: dict[Channel, None] = {}
        """Those that have something to tell."""
        self._busy: dict[Channel, None] = {}
        """Those whose app has a message, or that send one."""
        self._open: dict[Key, int] = {}
        self.costs: Costs[Key] = Costs(MAX_ROWS, NEWCOMERS)
        self._rows: dict[Key, ChannelFrame] = {}

    def take_touched(self) -> None:
        """Take note of those that have something new to tell."""
        touched = self._touched
        for _ in range(len(touched)):
            channel = touched.popleft()
            channel.listed = False
            self._fresh[channel] = None
            if channel.handling is not None or channel.sending_since_ns:
                self._busy[channel] = None

    def busy(self) -> list[Channel]:
        """Return those whose app has a message right now."""
        if self._touched:
            self.take_touched()
        if not self._busy:
            return []
        for channel in [each for each in self._busy if each.closed_ns or each.handling is None]:
            if not channel.sending_since_ns or channel.closed_ns:
                del self._busy[channel]
        return list(self._busy)

    def close(self, frame: Frame) -> None:
        """Hand the span's connections over to `frame`."""
        self.take_touched()
        now_ns = perf_counter_ns()
        fresh, self._fresh = self._fresh, {}
        for channel in fresh:
            if self._fold(channel, now_ns):
                self._fresh[channel] = None  # there is more to tell the next time
        for channel in self.busy():
            self._fold_under_way(channel, now_ns)
        for key, number in self._open.items():
            if number:
                self._row(key).open = number
        untold, _ = self.costs.close(self._spent(), frame.span_ns)
        self._fold_away(untold)
        for row in self._rows.values():
            row.failures = bounded_counts(row.failures, MAX_DETAILS)
            row.codes = bounded_counts(row.codes, MAX_DETAILS)
        frame.channels = list(self._rows.values())
        self._rows = {}

    def _fold(self, channel: Channel, now_ns: int) -> bool:
        """Count what has gone over a connection since the last time; say whether there is more to come."""
        told: _Told | None = channel.told
        if told is None:
            if channel.kind == WEBSOCKET and not channel.record.route:
                return True  # its handshake is under way: nobody knows where it leads
            key = (channel.kind, route_of(channel.record))
            told = channel.told = _Told(key)
            self._row(key).opened += 1
            self._open[key] = self._open.get(key, 0) + 1
        row = self._row(told.key)
        _count(row, channel, told)
        waiting = self._fold_handled(row, channel, now_ns)
        record = channel.record
        if channel.kind == WEBSOCKET and (record.parts or record.executed or record.story or record.called):
            self._take_in(record, row)
        if not channel.closed_ns:
            return waiting or bool(record.parts)
        if waiting:
            return True
        self._count_end(told.key, row, channel)
        return False

    def _fold_handled(self, row: ChannelFrame, channel: Channel, now_ns: int) -> bool:
        """Count the messages that have been handled; say whether one is too fresh for that."""
        handled = channel.handled
        while handled:
            handling = handled[0]
            if now_ns - handling.called_ns < SETTLED_AFTER_NS:
                return True
            handled.popleft()
            self._fold_one(row, channel, handling)
        return False

    def _fold_one(self, row: ChannelFrame, channel: Channel, handling: Handling) -> None:
        until_ns, by = handling.until_ns, channel.record
        whole_ns = until_ns - handling.taken_ns
        held_ns = self._stories.held_between(handling.taken_ns, until_ns, by)
        news_ns = min(handling.waited_for_news_ns, whole_ns)
        own_ns = max(0, whole_ns - held_ns - news_ns - min(handling.sending_ns, whole_ns))
        unseen = not handling.looked_ns and own_ns >= UNSEEN_NS
        if unseen and self._stories.held_by(handling.taken_ns, until_ns, by) < own_ns / 2:
            row.unjudged += 1
            return
        row.handling.add(own_ns)
        row.held_ns += held_ns
        row.news_ns += news_ns
        row.queued += handling.queued
        if handling.replied_ns:
            row.replies += 1

    def _fold_under_way(self, channel: Channel, now_ns: int) -> None:
        """Tell of a message that the app has, and of one that can't be sent."""
        if channel.told is None:
            return
        row = self._row(channel.told.key)
        handling, since_ns = channel.handling, channel.sending_since_ns
        if since_ns and now_ns > since_ns:
            row.sending += 1
            row.sending_longest_ns = max(row.sending_longest_ns, now_ns - since_ns)
        if handling is not None and not handling.replied_ns:
            age_ns = now_ns - handling.taken_ns
            own_ns = (
                age_ns
                - handling.news_ns
                - self._stories.held_between(handling.taken_ns, now_ns, channel.record)
            )
            if not handling.news and not since_ns:
                row.under_way += 1
                row.longest_ns = max(row.longest_ns, own_ns, 0)

    def _count_end(self, key: Key, row: ChannelFrame, channel: Channel) -> None:
        self._open[key] = max(0, self._open.get(key, 0) - 1)
        row.closed += 1
        row.lasted.add(channel.closed_ns - channel.opened_ns)
        if channel.code:
            code = str(channel.code)
            row.codes[code] = row.codes.get(code, 0) + 1
        if channel.error:
            row.errors += 1
            row.failures[channel.error] = row.failures.get(channel.error, 0) + 1
        if not self._open[key]:
            del self._open[key]
        self._busy.pop(channel, None)

    def _take_in(self, record: RequestRecord, row: ChannelFrame) -> None:
        tally = RouteTally(row.route)
        self._parts.fold_apart(record, tally)
        for field in _SUMS:
            setattr(row, field, getattr(row, field) + getattr(tally.frame, field))

    def _row(self, key: Key) -> ChannelFrame:
        row = self._rows.get(key)
        if row is None:
            while key != _OTHER_KEY and not self.costs.admit(key):
                self._fold_away(self.costs.shed(self._spent()))
            kind, route = key
            row = self._rows[key] = ChannelFrame(kind=kind, route=route)
        return row

    def _spent(self) -> dict[Key, int]:
        return {key: cost_of(row) for key, row in self._rows.items() if key != _OTHER_KEY}

    def _fold_away(self, keys: Iterable[Key]) -> None:
        """Count what these did in this span as `(other)`."""
        for key in keys:
            row = self._rows.pop(key)
            self._bounded["channels"] = self._bounded.get("channels", 0) + row.received + row.sent
            other = self._row(_OTHER_KEY)
            row.open += other.open
            merge_channel(other, row)


def cost_of(row: ChannelFrame) -> int:
    """Return how much a row matters, in nanoseconds."""
    messages = row.received + row.sent
    return row.handling.total + messages * COST_OF_A_MESSAGE_NS + row.open * COST_OF_A_CONNECTION_NS


def _count(row: ChannelFrame, channel: Channel, told: _Told) -> None:
    """Count what has passed since it was told of last."""
    for field in ("received", "received_bytes", "sent", "sent_bytes", "blocked_ns"):
        now = getattr(channel, field)
        setattr(row, field, getattr(row, field) + now - getattr(told, field))
        setattr(told, field, now)
    row.unjudged += channel.untold - told.untold
    told.untold = channel.untold
    if not told.first and channel.first_ns >= 0:
        told.first = True
        row.first.add(channel.first_ns)
    blocked = channel.blocked
    if blocked:
        taken = blocked[: len(blocked)]
        del blocked[: len(taken)]
        row.blocked.add_all(taken)
