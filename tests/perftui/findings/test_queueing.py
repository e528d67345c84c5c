"""What waits before the app: requests for the loop, connections to be accepted."""

from __future__ import annotations

from typing import Any

from perftui.findings.find import find
from perftui.model.happenings import Severity, SloVerdict
from perftui.model.measures import Totals
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.wire.process import Listener
from tests.perftui.findings.pictures import a_block, a_route, a_worker, found, only, picture, queued

QUEUEING, BACKLOG = "queueing", "backlog-overflow"


def late(pid: int = 4121, waited_ms: float = 250.0, share: float = 0.2, app_ms: float = 2.0) -> WorkerSummary:
    """Return a worker a part of whose 200 requests waited before the app."""
    waits = [waited_ms] * round(200 * share)
    latencies = [wait + app_ms for wait in waits] + [app_ms] * (200 - len(waits))
    return a_worker(pid, latencies_ms=latencies, queued=queued(waits, 200))


def test_requests_that_wait_longer_before_the_app_than_in_it_are_found() -> None:
    """How long before and how long in it, p95, and of how many."""
    finding = only(QUEUEING, picture(workers=(late(),)))
    assert finding.subject == "worker 4121"
    assert finding.sentence == (
        "requests wait 50 ms before the app and take 2.0 ms in it: queued p95 250 ms of 200 requests"
    )
    assert (finding.severity, finding.worker) == ("medium", late().identity.id)


def test_if_all_workers_are_late_it_is_one_finding() -> None:
    """More work comes in than they take together."""
    summary = picture(workers=(late(1), late(2)), totals=Totals(400, 7.0, queued=queued([250.0] * 80, 400)))
    finding = only(QUEUEING, summary)
    assert (finding.subject, finding.worker) == ("all", None)
    assert finding.workers == (late(1).identity.id, late(2).identity.id)


def test_the_one_of_several_that_is_late_is_named() -> None:
    """The others have been asked and are not."""
    well = a_worker(2, queued=queued([], 200))
    assert [each.subject for each in found(QUEUEING, picture(workers=(late(1), well)))] == ["worker 1"]


def test_short_waits_and_slow_apps_are_healthy() -> None:
    """2 ms before 1 ms of work hurts nobody; 60 ms before 200 ms of work is no queue to look at first."""
    assert not found(QUEUEING, picture(workers=(late(waited_ms=2.0, share=1.0, app_ms=1.0),)))
    assert not found(QUEUEING, picture(workers=(late(waited_ms=60.0, share=1.0, app_ms=200.0),)))


def test_a_rare_wait_is_healthy() -> None:
    """One in fifty waited: nineteen of twenty did not."""
    assert not found(QUEUEING, picture(workers=(late(share=0.02),)))


def test_what_cannot_be_asked_is_no_finding() -> None:
    """Without a kernel to ask there is nothing to judge by."""
    assert not found(QUEUEING, picture(workers=(a_worker(queued=queued([], 0)),)))


def test_queueing_stays_until_waits_are_short() -> None:
    """At 40 ms it stays if it stands."""
    summary = picture(workers=(late(waited_ms=40.0, share=1.0),))
    stands: dict[str, Severity] = {late().identity.id: "low"}
    assert not found(QUEUEING, summary)
    assert found(QUEUEING, summary, stands)


def test_a_missed_target_says_that_its_time_is_queued() -> None:
    """And with what to begin."""
    verdict = SloVerdict("p95<200ms", "all", 252.0, False, 200.0, 200)
    latency = late().latency
    totals = Totals(200, 3.3, latency=latency, queued=queued([250.0] * 40, 200))
    summary = picture(workers=(late(),), slo=(verdict,), totals=totals, incidents=[a_block(1900.0)] * 3)
    breach = next(each for each in find(summary) if each.kind == "slo-breach")
    assert "queued before the app p95 250 ms" in breach.sentence
    assert breach.evidence["cause"] == {"kind": "loop-blocked", "subject": "app/reports.py:42 build"}
    assert breach.advice.startswith("Begin with loop-blocked app/reports.py:42 build: held worker 4121")


def test_a_missed_target_of_a_route_names_what_is_about_that_route() -> None:
    """Its own failing endpoint, and not the worker's held loop that it hardly waits for."""
    verdict = SloVerdict("errors<1%", "POST /pay", 0.5, False, 0.01, 100)
    summary = picture(routes=[a_route("POST /pay", errors=50)], slo=(verdict,), incidents=[a_block(1900.0)])
    breach = next(each for each in find(summary) if each.kind == "slo-breach")
    assert breach.evidence["cause"]["kind"] == "error-burst"


def listening(most: int, limit: int = 2048, refused: int | None = 0, **more: Any) -> WorkerSummary:
    """Return a worker at whose socket so many connections waited at most."""
    socket = Listener(address="127.0.0.1:8000", waiting=0, limit=limit, most=most)
    return a_worker(backlogs=(socket,), listeners=(socket,), listen_overflows=refused, **more)


def test_a_queue_of_connections_near_its_limit_is_found() -> None:
    """How many, of how many, and at which socket."""
    finding = only(BACKLOG, picture(workers=(listening(1900),)))
    assert finding.subject == "127.0.0.1:8000"
    assert finding.sentence == "up to 1,900 of at most 2,048 connections waited to be accepted in 1 m"
    assert finding.severity == "medium"


def test_refused_connections_are_high() -> None:
    """Clients are left out; workers of one socket tell of the same ones, which count once."""
    workers = (listening(129, 128, 40, pid=1), listening(129, 128, 42, pid=2))
    finding = only(BACKLOG, picture(workers=workers))
    assert finding.severity == "high"
    assert finding.sentence.endswith("the host refused 42 connections in 1 m")
    assert "net.core.somaxconn (128 looks like it)" in finding.advice


def test_refusals_of_another_service_on_the_host_are_healthy_here() -> None:
    """The count is the host's; here the queue was never half full."""
    assert not found(BACKLOG, picture(workers=(listening(3, 128, 900),)))


def test_a_queue_that_is_used_is_healthy() -> None:
    """A burst of new connections; a short queue with one browser's; a socket that can't be asked."""
    assert not found(BACKLOG, picture(workers=(listening(300),)))
    assert not found(BACKLOG, picture(workers=(listening(3, 3),)))
    unknown = a_worker(backlogs=(Listener(address="/run/shop.sock"),), listen_overflows=None)
    assert not found(BACKLOG, picture(workers=(unknown,)))


def test_a_held_loop_is_what_to_begin_with() -> None:
    """It accepts nothing meanwhile; a longer queue is the last thing to do."""
    held = only(BACKLOG, picture(workers=(listening(1900, loop_lag_p99_ms=1900.0),)))
    assert held.advice.startswith("Begin with what holds the loop: it answers 1.9 s late (p99)")
    assert "add workers" in only(BACKLOG, picture(workers=(listening(1900),))).advice


def test_a_silenced_finding_is_told_by_its_cause() -> None:
    """The held loop says how long requests waited for it; queueing is no second finding."""
    summary: Summary = picture(workers=(late(),), incidents=[a_block(300.0)] * 4)
    (finding,) = find(summary)
    assert finding.kind == "loop-blocked"
    assert finding.sentence.endswith("requests waited for it before the app, p95 250 ms")
