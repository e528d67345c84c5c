"""A proxy's header tells of the time since it took a request, within bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from perftui_agent.instrumentation import the_agent
from perftui_agent.probes.http.queue_header import QueueHeader
from tests.support.timed import http_scope, timed

MS = 1_000_000
HEADER = QueueHeader("X-Request-Start")


def ago(ms: float) -> float:
    """Return a moment, in seconds since the epoch."""
    return time.time() - ms / 1000


@pytest.mark.parametrize("spelling", ["t={:.3f}", "{:.3f}", "{:.6f}", " t={:.3f} "])
def test_seconds_are_understood(spelling: str) -> None:
    """With and without `t=`."""
    waited_ns = HEADER.waited_ns([(b"x-request-start", spelling.format(ago(300)).encode())])
    assert waited_ns is not None
    assert 298 * MS < waited_ns < 2_000 * MS


@pytest.mark.parametrize("per_second", [1_000, 1_000_000, 1_000_000_000])
def test_smaller_units_are_told_by_their_size(per_second: int) -> None:
    """Milliseconds, microseconds and nanoseconds."""
    waited_ns = HEADER.waited_ns([(b"x-request-start", b"t=%d" % round(ago(300) * per_second))])
    assert waited_ns is not None
    assert 298 * MS < waited_ns < 2_000 * MS


@pytest.mark.parametrize("ago_ms", [-5_000, 3_600_000], ids=["a clock that is ahead", "hours"])
def test_what_cannot_be_so_long_ago_is_not_believed(ago_ms: float) -> None:
    """Never negative, never hours."""
    assert HEADER.waited_ns([(b"x-request-start", b"t=%.3f" % ago(ago_ms))]) is None


@pytest.mark.parametrize(
    "value", [b"", b"t=", b"now", b"nan", b"inf", b"-1", b"0", b"12345", b"1e300", b"\xff"]
)
def test_what_is_no_moment_is_not_believed(value: bytes) -> None:
    """It is no fault, either."""
    assert HEADER.waited_ns([(b"x-request-start", value)]) is None


def test_other_headers_are_none() -> None:
    """Only the one that was named."""
    assert HEADER.waited_ns([(b"x-other", b"t=%.3f" % ago(300)), (b"host", b"shop")]) is None


@pytest.fixture
def _believed() -> Iterator[None]:
    the_agent().own.arrivals.believe("X-Request-Start")
    yield
    the_agent().own.arrivals.believe(None)


@pytest.mark.usefixtures("_believed")
def test_it_is_part_of_the_latency_where_nobody_else_knows() -> None:
    """Of each request that has it; the others are as they were."""
    app = FastAPI()
    app.add_api_route("/", lambda: {"a": 1})
    with timed(app) as service:
        for headers in ([(b"x-request-start", b"t=%.3f" % ago(300))], []):
            service.call(http_scope(headers=headers))
        (route,) = service.seen.routes.values()
        assert (route.latency.count, route.queue_known, route.queue.count) == (2, 1, 1)
        assert 298 * MS < route.queue.max < route.latency.max < 3_000 * MS


def test_without_being_switched_on_it_is_not_looked_at() -> None:
    """Anybody may send a header."""
    app = FastAPI()
    app.add_api_route("/", lambda: {"a": 1})
    with timed(app) as service:
        service.call(http_scope(headers=[(b"x-request-start", b"t=%.3f" % ago(30_000))]))
        (route,) = service.seen.routes.values()
        assert (route.queue_known, route.queue.count) == (0, 0)
        assert route.latency.max < 20_000 * MS
