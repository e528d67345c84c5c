"""Which keys of a cache several requests fetch at once: each has missed it, and each makes it anew.

That several requests miss one key says nothing yet: many an app asks for keys that nobody ever stores. So
misses that come while another request is at work on the key wait until somebody stores it; if the requests
end without that, they are forgotten.
"""

from __future__ import annotations

from perftui_agent.records import CacheRecord, RequestRecord

MAX_KEYS = 1_000
"""Keys whose misses wait; beyond them the oldest are forgotten."""

MAX_REQUESTS = 50
"""Requests at work on one key that are told apart."""


class _Missed:
    """One key that has been missed and not stored since."""

    __slots__ = ("late", "requests")

    def __init__(self) -> None:
        self.requests: list[RequestRecord] = []
        """Those that missed it."""
        self.late: dict[str, int] = {}
        """Misses while another request was at work on it, by the name of the command."""


class MissedKeys:
    """Keys that requests in flight have missed and that nobody has stored since."""

    def __init__(self) -> None:
        self._keys: dict[int, _Missed] = {}

    def missed(self, record: CacheRecord) -> None:
        """Note a miss; outside of requests nobody is known to be at work."""
        request = record.request
        if record.key is None or request is None:
            return
        missed = self._keys.get(record.key)
        if missed is None:
            if len(self._keys) >= MAX_KEYS:
                del self._keys[next(iter(self._keys))]
            missed = self._keys[record.key] = _Missed()
        moment_ns = record.ended_ns
        if any(other is not request and not 0 < other.ended_ns <= moment_ns for other in missed.requests):
            missed.late[record.name] = missed.late.get(record.name, 0) + 1
        if request not in missed.requests and len(missed.requests) < MAX_REQUESTS:
            missed.requests.append(request)

    def stored(self, key: int | None) -> dict[str, int]:
        """Return the stampedes, by the name of the command that missed, now that the key is there."""
        missed = self._keys.pop(key, None) if key is not None else None
        return missed.late if missed is not None else {}

    def close(self) -> None:
        """Forget the keys whose requests have all ended: who has not stored one by then never will."""
        for key, missed in list(self._keys.items()):
            missed.requests = [request for request in missed.requests if not request.ended_ns]
            if not missed.requests:
                del self._keys[key]
