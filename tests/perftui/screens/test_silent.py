"""A worker that fell silent, on every screen: what it was, who ended it, and what the last stack was."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perftui.model.evidence import silences
from perftui.model.happenings import EvidenceRow
from perftui.model.summary import Summary
from perftui.model.timeline import with_silences
from perftui.model.worker_summary import WorkerState
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.requests import InFlight
from tests.perftui.screens.seen import LARGE, SMALL, look
from tests.support.fake_evidence import ShopFeed

SIZES = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x40"])

SECOND_NS = 1_000_000_000


def silent(summary: Summary, state: WorkerState, outcome: str, verdict: str = "hung") -> Summary:
    """Return the shop with its first worker silent, or ended for it ten seconds ago."""
    worker = summary.workers[0]
    ago_s = 15.2 if outcome else 3.4
    evidence = Evidence(
        id="1",
        kind="worker-silent",
        at=int((summary.at - ago_s) * 1e9),
        ns=int(5.2 * SECOND_NS) if outcome else int(3.4 * SECOND_NS),
        worker=worker.identity.id,
        verdict=verdict,
        where="app/coupons.py:31 matches",
        route="POST /coupons",
        stack=["app/coupons.py:31 matches", "app/coupons.py:12 redeem", "fastapi/routing.py:212 run"],
        in_flight=[InFlight(route="POST /coupons", method="POST", path="/coupons", age_ns=SECOND_NS)],
        how="py-spy by sibling 4122",
        text="it ran for 97% of the time and waited for a CPU for 3%",
        outcome=outcome,
        ended_by="uvicorn (pid 4120)" if outcome == "ended" else "",
    )
    row = EvidenceRow(worker.identity.id, worker.pid, evidence, "web-1/4122/0")
    changed = replace(
        worker,
        state=state,
        silence=evidence,
        gone_since=summary.at - 10.0 if state == "gone" else None,
        last_seen=summary.at - ago_s,
    )
    return replace(
        summary,
        workers=(changed, *summary.workers[1:]),
        evidence=(row,),
        incidents=(*summary.incidents, *silences([row], summary.at)),
        events=tuple(with_silences(list(summary.events), [row])),
    )


def shop(state: WorkerState = "gone", outcome: str = "ended", verdict: str = "hung") -> ShopFeed:
    return ShopFeed(change=lambda summary: silent(summary, state, outcome, verdict))


@SIZES
def test_triage_names_the_line_while_it_is_silent(size: tuple[int, int]) -> None:
    """The first thing one reads: which worker, for how long, and in which line it hangs."""
    text = look(shop("silent", ""), size=size)
    line = next(line for line in text.splitlines() if " silent " in line)
    assert "worker 4121" in line
    assert "hung in coupons.py:31 matches" in line


@SIZES
def test_triage_names_the_line_and_who_ended_it_afterwards(size: tuple[int, int]) -> None:
    """The worker is gone: the line is what to look at."""
    text = look(shop(), size=size)
    line = next(line for line in text.splitlines() if "worker-lost" in line)
    assert "hung in app/coupons.py:31" in line
    assert "coupons.py:31 matches" in text


@SIZES
def test_the_timeline_tells_when_it_fell_silent_and_which_supervisor_ended_it(size: tuple[int, int]) -> None:
    """Two lines, five seconds apart."""
    text = look(shop(), "7", size=size)
    lines = text.splitlines()
    fell = next(line for line in lines if "worker-silent" in line)
    ended = next(line for line in lines if "worker-lost" in line and "4121" in line)
    assert "coupons.py:31 matches" in fell
    assert "worker 4121" in fell
    assert "ended by uvicorn (pid 4120)" in ended
    assert lines.index(ended) < lines.index(fell)


@SIZES
def test_its_screen_tells_the_stack_the_request_and_by_whom_it_was_seen(size: tuple[int, int]) -> None:
    """Everything that its sibling has kept."""
    text = look(shop(), "6", "enter", size=size)
    if "worker 4121" not in text:
        text = look(shop(), "6", "G", "enter", size=size)
    assert "ended by uvicorn (pid 4120) after 5.2 s of silence" in text
    assert "SILENT" in text
    assert "called from app/coupons.py:12 redeem" in text
    assert "py-spy by sibling 4122" in text
    assert "it had POST /coupons in flight" in text


def test_one_that_is_starved_or_stopped_is_said_to_be() -> None:
    """Neither hangs in a line."""
    assert "starved in app/coupons.py" in look(shop("silent", "", "starved"), size=LARGE)
    assert "stopped by a signal or a debugger" in look(shop("silent", "", "stopped"), size=LARGE)
