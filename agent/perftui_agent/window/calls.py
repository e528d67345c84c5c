"""What one request has asked of other services, all of it together.

For how long at least one call was under way (five at once take no longer than one), how often each upstream
was asked, and which calls repeat one that had failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter

from perftui_agent.records import CallDetails, CallRecord, Upstream

MAX_TARGETS = 500
"""Paths of one request that are told apart."""

MAX_MADE = 100
"""Clients that one request has made, of which it is told where."""

_began = attrgetter("started_ns")


def are_alike(records: list[CallRecord]) -> bool:
    """Say whether calls are as most are: of one upstream, one after the other, none with details."""
    upstream, until_ns = records[0].upstream, 0
    for record in records:
        if record.started_ns < until_ns or record.details is not None or record.upstream is not upstream:
            return False
        until_ns = record.ended_ns
    return True


class Busy:
    """For how long at least one of some calls was under way; they come in the order they began."""

    __slots__ = ("ns", "until_ns")

    def __init__(self) -> None:
        self.ns = 0
        self.until_ns = 0

    def add(self, records: Iterable[CallRecord]) -> None:
        """Add some more."""
        ns, until_ns = self.ns, self.until_ns
        for record in records:
            ended_ns = record.ended_ns
            if ended_ns > until_ns:
                began_ns = record.started_ns
                ns += ended_ns - (max(until_ns, began_ns))
                until_ns = ended_ns
        self.ns, self.until_ns = ns, until_ns


class Same:
    """One request's calls of one upstream."""

    __slots__ = ("busy", "call_site", "count", "made", "spent_ns", "targets")

    def __init__(self) -> None:
        self.count = 0
        self.spent_ns = 0
        self.busy = Busy()
        self.targets: dict[str | bytes, int] = {}
        """For how long each was asked."""
        self.call_site = ""
        self.made: list[CallDetails] | None = None
        """Of the first calls of clients that the request has made."""

    def spend(self, target: str | bytes, ns: int) -> None:
        """Add time for which a path was asked."""
        spent_ns = self.targets.get(target)
        if spent_ns is not None or len(self.targets) < MAX_TARGETS:
            self.targets[target] = (spent_ns or 0) + ns


class Calls:
    """All of one request's calls so far."""

    __slots__ = ("_busy", "count", "failed", "held_ns", "same")

    def __init__(self) -> None:
        self.count = 0
        self.held_ns = 0
        self._busy: Busy | None = None
        """Of all; as long as there is but one upstream, its own says that."""
        self.same: dict[Upstream, Same] = {}
        self.failed: set[tuple[Upstream, str | bytes]] = set()
        """What has failed and was not asked for again since."""

    @property
    def busy_ns(self) -> int:
        """For how long at least one was under way."""
        return sum(same.busy.ns for same in self.same.values()) if self._busy is None else self._busy.ns

    def add(self, records: list[CallRecord]) -> dict[Upstream, list[CallRecord]]:
        """Add some; return them by upstream, in the order they began."""
        self.count += len(records)
        if len(records) > 1:
            records.sort(key=_began)
        upstream = records[0].upstream
        if len({record.upstream for record in records}) == 1:
            of_each = {upstream: records}
        else:
            of_each = {}
            for record in records:
                of_each.setdefault(record.upstream, []).append(record)
        if self._busy is None and (len(of_each) > 1 or (self.same and upstream not in self.same)):
            self._busy = Busy()
            for same in self.same.values():  # there is one at most
                self._busy.ns, self._busy.until_ns = same.busy.ns, same.busy.until_ns
        if self._busy is not None:
            self._busy.add(records)
        for asked, mine in of_each.items():
            self._add(asked, mine)
        return of_each

    def _add(self, upstream: Upstream, records: list[CallRecord]) -> None:
        same = self.same.get(upstream)
        if same is None:
            same = self.same[upstream] = Same()
        same.count += len(records)
        spent_ns = sum([record.ended_ns - record.started_ns for record in records])
        same.spent_ns += spent_ns
        same.busy.add(records)
        if len({record.target for record in records}) == 1:
            same.spend(records[0].target, spent_ns)
        else:
            for record in records:
                same.spend(record.target, record.ended_ns - record.started_ns)

    def add_details(self, record: CallRecord, details: CallDetails | None) -> bool:
        """Add what is rare about a call, or that it has none of it; say whether it repeats a failed one."""
        asked = (record.upstream, record.target)
        again = asked in self.failed
        if details is not None:
            self.held_ns += max(0, details.held_ns)
            same = self.same[record.upstream]
            if details.call_site:
                same.call_site = details.call_site
            if details.new_client:
                same.made = [*(same.made or ()), details][:MAX_MADE]
        if details is not None and details.failed:
            self.failed.add(asked)
        elif again:
            self.failed.discard(asked)
        return again
