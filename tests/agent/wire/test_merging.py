"""Older history in larger pieces: nothing that counts gets lost."""

from __future__ import annotations

import msgspec

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.merging import merge_into
from perftui_agent.wire.outside import CacheFrame, PoolFrame
from perftui_agent.wire.process import Listener
from perftui_agent.wire.requests import RepeatedShape, RouteFrame, StatusCounts

POOL_GAUGES = {"size", "checked_out", "overflow", "max", "waiting", "longest_wait_ns"}


def sketch(*values: int) -> LatencySketch:
    result = LatencySketch()
    for value in values:
        result.add(value)
    return result


def a_frame(seq: int, most: int) -> Frame:
    """Return a frame in which every count is 1 and every sketch holds one value."""
    route = RouteFrame(route="GET /", status=StatusCounts(success=1), latency=sketch(5))
    for field in msgspec.structs.fields(RouteFrame):
        if field.default == 0:
            setattr(route, field.name, 1)
        elif field.name in {"queue", "ttfb", "body_bytes", "background"}:
            setattr(route, field.name, sketch(5))
    cache = CacheFrame(name="c", kind="k")
    for field in msgspec.structs.fields(CacheFrame):
        if field.default == 0:
            setattr(cache, field.name, 1)
    return Frame(
        seq=seq,
        ended_at=seq * 1_000_000_000,
        span_ns=1_000_000_000,
        routes=[route],
        caches=[cache],
        pools=[PoolFrame(name="p", kind="k", checkouts=1, timeouts=1, wait=sketch(5))],
        listeners=[Listener(address="127.0.0.1:8000", waiting=seq, limit=9, most=most)],
        listen_overflows=1,
    )


def test_every_count_of_a_route_and_a_cache_adds_up() -> None:
    """A field that is added to the wire and forgotten here would be lost after two minutes."""
    older = a_frame(1, 7)
    merge_into(older, a_frame(2, 3))
    for part in (older.routes[0], older.caches[0]):
        for field in msgspec.structs.fields(type(part)):
            value = getattr(part, field.name)
            if isinstance(value, int):
                assert value == 2, field.name
            elif isinstance(value, LatencySketch):
                assert value.count == 2, field.name


def test_what_is_repeated_is_added_up_place_by_place() -> None:
    """One statement that two lines repeat are two rows, as they are for whoever has each second."""
    older, newer = a_frame(1, 7), a_frame(2, 3)
    for one, executions in ((older, 10), (newer, 1)):
        one.routes[0].repeats = [
            RepeatedShape(fingerprint="f", call_site=site, requests=1, executions=executions, most=executions)
            for site in ("a.py:1 list", "b.py:2 show")
        ]
    merge_into(older, newer)
    assert [
        (each.call_site, each.requests, each.executions, each.most) for each in older.routes[0].repeats
    ] == [
        ("a.py:1 list", 2, 11, 10),
        ("b.py:2 show", 2, 11, 10),
    ]


def test_a_pool_is_as_it_is_now() -> None:
    """What has waited in an older second waits no longer."""
    older, newer = a_frame(1, 7), a_frame(2, 3)
    gauges = [field for field in msgspec.structs.fields(PoolFrame) if field.name in POOL_GAUGES]
    assert len(gauges) == len(POOL_GAUGES)
    for number, field in enumerate(gauges):
        setattr(older.pools[0], field.name, 100)
        setattr(newer.pools[0], field.name, number)
    merge_into(older, newer)
    assert [getattr(older.pools[0], field.name) for field in gauges] == list(range(len(gauges)))
    assert older.pools[0].checkouts == 2


def test_an_accept_queue_keeps_its_fullest_moment() -> None:
    """The socket is as it is now, and `most` is that of the whole span; refusals add up."""
    older = a_frame(1, 7)
    merge_into(older, a_frame(2, 3))
    assert older.listeners == [Listener(address="127.0.0.1:8000", waiting=2, limit=9, most=7)]
    assert older.listen_overflows == 2


def test_evidence_that_is_told_again_is_kept_once_as_it_was_told_last() -> None:
    """A silence of which the end is known by now must not stand beside the same one without."""
    older, newer = a_frame(1, 7), a_frame(2, 3)
    silent = Evidence(id="a", kind="worker-silent", at=5)
    older.evidence = [silent, Evidence(id="b", kind="worker-silent", at=6)]
    newer.evidence = [msgspec.structs.replace(silent, outcome="ended")]
    merge_into(older, newer)
    assert [(each.id, each.outcome) for each in older.evidence] == [("b", ""), ("a", "ended")]
