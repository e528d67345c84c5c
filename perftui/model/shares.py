"""How each route's requests of the last minute are spread over the workers.

With many workers and routes this is by far the largest of what frames tell, and the least often looked
at. So each worker's track keeps it for the last minute alone and as the bytes it came in, a tenth of the
size of the objects; and it is decoded and added up for the one route that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from perftui.model.measures import Share
from perftui.model.packed import packed
from perftui.model.parts import pid_of
from perftui.model.quantiles import latency_of
from perftui.model.tally import Second
from perftui.record import Record
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.parts import RouteLabel, WorkerId

SHARES_S = 60
"""How far back shares are known."""


class Split(msgspec.Struct, array_like=True, frozen=True):
    """One worker's part of one route in one second."""

    requests: int
    errors: int
    latency: LatencySketch


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Split).decode


class Recent(Record, frozen=True):
    """What one worker did for each route in the last minute."""

    seconds: tuple[tuple[Second, Mapping[RouteLabel, bytes]], ...] = ()
    """Each a `Split`, encoded."""

    def with_frame(self, frame: Frame) -> Recent:
        """Return it with the worker's next frame."""
        second = frame.ended_at // 1_000_000_000
        splits = {
            route.route: _encode(Split(route.status.total(), route.status.server_error, route.latency))
            for route in frame.routes
        }
        return Recent((*self.seconds[-SHARES_S + 1 :], (second, splits)))

    def share(self, worker: WorkerId, route: RouteLabel, first: Second, last: Second) -> Share | None:
        """Return what it did for `route` in the bins `first` to `last`; None if nothing."""
        encoded = [splits.get(route) for second, splits in self.seconds if first <= second <= last]
        found = [_decode(each) for each in encoded if each is not None]
        requests = sum([each.requests for each in found])
        if not requests:
            return None
        latency = latency_of(packed([each.latency for each in found]))
        return Share(worker, pid_of(worker), requests, sum([each.errors for each in found]), latency)


NO_RECENT = Recent()


def shares_of(
    recents: Iterable[tuple[WorkerId, Recent]], route: RouteLabel, first: Second, last: Second
) -> tuple[Share, ...]:
    """Return the workers' shares of a route in the bins `first` to `last`, by pid."""
    shares = [recent.share(worker, route, first, last) for worker, recent in recents]
    known = [share for share in shares if share is not None]
    return tuple(sorted(known, key=lambda share: (share.pid, share.worker)))
