"""What findings rest on beyond what is shown: repeats, waits, CPU and memory over time."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from perftui.model.events import FrameReceived
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.documents.snapshot import document
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.outside import PoolFrame, StatementFrame
from perftui_agent.wire.process import AgentStats, GcStats, ProcessStats, ThreadpoolStats
from perftui_agent.wire.requests import RepeatedShape
from tests.support.frames import T, dashboard_of, frame, gone, joined, received, route, sketch, worker

A, B = worker(1), worker(2)


def seen(*frames: Frame, window_s: float = 60.0, slo: tuple[SloTarget, ...] = ()) -> Summary:
    """Return the picture of one worker that has sent these frames."""
    events = [received(A, each) for each in frames]
    at = max(each.ended_at for each in frames) / 1e9
    return summarize(dashboard_of(joined(A, slo=slo), *events), at + 0.5, window_s)


def with_process(seq: int, **stats: float) -> Frame:
    """Return a frame of the second `seq` with these figures of the process."""
    process = msgspec.convert(stats, ProcessStats)
    return msgspec.structs.replace(frame(seq, T + seq), process=process)


def only_worker(summary: Summary) -> WorkerSummary:
    """Return the one worker there is."""
    (row,) = summary.workers
    return row


def test_repeats_of_a_route_add_up_over_frames() -> None:
    """How many requests repeated a shape, how often, and the most in one of them."""
    frames = []
    for seq, most in ((1, 50), (2, 20)):
        one = route("GET /orders", [600.0])
        one.repeats = [
            RepeatedShape(
                fingerprint="f1", call_site="crud.py:88 lines", requests=1, executions=most, most=most
            )
        ]
        frames.append(frame(seq, T + seq, [one]))
    (shape,) = seen(*frames).routes[0].repeats
    assert (shape.requests, shape.executions, shape.most) == (2, 70, 50)


def test_bodies_tell_how_many_were_compressed_and_how_many_were_files() -> None:
    """Of those that were measured."""
    one = route("GET /catalog", [10.0] * 3)
    one.body_bytes.add(2_000_000)
    one.body_bytes.add(2_000_000)
    one.compressed, one.files = 1, 2
    row = seen(frame(1, T + 1, [one])).routes[0]
    assert (row.bodies, row.compressed, row.files) == (2, 1, 2)


def test_statements_tell_how_many_were_slow_or_repeated() -> None:
    """Summed over frames, with the database they went to."""
    statement = StatementFrame(
        fingerprint="f1", latency=sketch([120.0] * 3), slow=2, same_binds=1, database="shop"
    )
    frames = [msgspec.structs.replace(frame(seq, T + seq), statements=[statement]) for seq in (1, 2)]
    (query,) = seen(*frames).queries
    assert (query.slow, query.same_binds, query.database) == (4, 2, "shop")


def test_what_rests_on_some_requests_says_on_how_many() -> None:
    """Binds that came again are estimated from those that were compared; all else is exact."""
    statement = StatementFrame(
        fingerprint="f1", latency=sketch([2.0] * 80), same_binds=9, unfollowed=70, routes={"GET /": 80}
    )
    one = route("GET /", [10.0] * 40)
    one.unfollowed = 35
    sampled = msgspec.structs.replace(
        frame(1, T + 1, [one]), statements=[statement], agent=AgentStats(sampled=8)
    )
    picture = seen(sampled)
    (query,) = picture.queries
    assert (query.count, query.total_ms, query.followed, query.same_binds) == (80, 160.0, 10, 72)
    assert (picture.routes[0].requests, picture.routes[0].followed) == (40, 5)
    told = document(picture)
    assert told["workers"][0]["agent"]["sampled"] == 8
    assert (told["routes"][0]["followed"], told["queries"][0]["followed"]) == (5, 10)


def test_pools_tell_how_many_waited_and_who_waits_now() -> None:
    """Checkouts of the window, and the gauges of the last moment."""
    pool = PoolFrame(
        name="main", kind="QueuePool", checkouts=5, wait=sketch([40.0] * 4), waiting=3, longest_wait_ns=10**9
    )
    frames = [msgspec.structs.replace(frame(seq, T + seq), pools=[pool]) for seq in (1, 2)]
    (row,) = seen(*frames).pools
    assert (row.checkouts, row.waits, row.waiting, row.longest_wait_ms) == (10, 8, 3, 1000.0)


def test_cpu_is_a_mean_over_the_window() -> None:
    """The last second alone is what `cpu_percent` says."""
    row = only_worker(seen(with_process(1, cpu_percent=90.0), with_process(2, cpu_percent=10.0)))
    assert (row.cpu_percent, row.cpu_mean_percent) == (10.0, 50.0)


def test_cpu_that_nobody_measured_is_unknown() -> None:
    """None, and not 0."""
    assert only_worker(seen(with_process(1))).cpu_mean_percent is None


def test_memory_is_told_by_the_second_while_little_is_known() -> None:
    """Moments and sizes."""
    row = only_worker(seen(*(with_process(seq, rss_bytes=seq * 1000) for seq in (1, 2, 3))))
    assert row.memory[-3:] == ((T + 1.0, 1000), (T + 2.0, 2000), (T + 3.0, 3000))


def test_memory_is_told_for_longer_than_the_window() -> None:
    """A leak shows over many minutes, whatever the window: by then in steps of ten seconds."""
    frames = [with_process(seq, rss_bytes=seq * 1000) for seq in range(1, 301)]
    row = only_worker(seen(*frames, window_s=10.0))
    moments = [at for at, _ in row.memory]
    assert moments[0] <= T + 20
    assert moments[-1] >= T + 280
    assert {after - before for before, after in pairwise(moments)} == {10.0}
    assert [size for _, size in row.memory] == sorted(size for _, size in row.memory)


def test_collections_and_waits_for_threads_are_kept_whole() -> None:
    """As sketches, of which a rule can ask what it wants to know."""
    stats = GcStats(pauses=sketch([5.0, 80.0]))
    threads = ThreadpoolStats(used=40, total=40, waiting=1, wait=sketch([30.0]))
    sent = [msgspec.structs.replace(frame(seq, T + seq), gc=stats, threadpool=threads) for seq in (1, 2)]
    row = only_worker(seen(*sent))
    assert row.gc_pauses is not None
    assert row.threadpool_wait is not None
    assert (row.gc_pauses.count, row.threadpool_wait.count) == (4, 2)
    assert only_worker(seen(frame(1, T + 1))).gc_pauses is None


def test_a_worker_that_is_gone_tells_what_it_took_along() -> None:
    """The requests in flight when it was last heard."""
    events: list[FrameReceived] = [received(A, frame(1, T + 1, in_flight=9)), received(B, frame(1, T + 1))]
    summary = summarize(dashboard_of(joined(A), joined(B), *events, gone(A, T + 2)), T + 2.5)
    assert [row.lost_in_flight for row in summary.workers] == [None, 9]


def test_a_verdict_tells_its_bound_and_how_many_requests_it_rests_on() -> None:
    """So that nobody has to read the target's name."""
    target = SloTarget(p95_ms=200, error_rate=0.01, rps=5)
    summary = seen(frame(1, T + 1, [route("GET /", [20.0] * 4)]), slo=(target,))
    assert [(each.bound, each.requests) for each in summary.slo] == [(200, 4), (0.01, 4), (5, 4)]
