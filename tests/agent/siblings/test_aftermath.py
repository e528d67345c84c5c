"""What a worker tells of its own silence, once it goes on."""

from __future__ import annotations

import asyncio
import os
import selectors
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from perftui_agent.evidence import EvidenceTray
from perftui_agent.guard import Guard
from perftui_agent.probes.loop.gap import Gap, gap
from perftui_agent.siblings import claim
from perftui_agent.siblings.aftermath import Aftermath
from perftui_agent.siblings.pulse import Sign
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.registration import StacksOnSignal

SILENT_NS = 3_000_000_000

WRITTEN = 'Thread 0x1 (most recent call first):\n  File "/srv/app.py", line 7 in match\n'

SLEPT = Gap(SILENT_NS, switches=2, ticks=1)
LOOP_TURNED = Gap(SILENT_NS, switches=2, ticks=58)


def asked_for_the_gil() -> Gap:
    """Return what there was before now, as another thread has seen it: its own is none to look at."""
    with ThreadPoolExecutor(1) as agent:
        return agent.submit(gap, SILENT_NS, 600, 1).result()


def told(folder: Path, between: Gap | None, *, written: str = "", is_claimed: bool = False) -> list[Evidence]:
    """Return what is told after three silent seconds, at the end of which something may have been written."""
    own = WorkerIdentity(
        host="box", pid=os.getpid(), started_at=1.0, service="shop", supervisor_pid=1, start_ticks=1
    )
    stacks = StacksOnSignal(path=str(folder / "x.stacks"), signal=39, main_thread=1)
    Path(stacks.path).write_text(written)
    tray, guard = EvidenceTray(), Guard()
    now_ns = time.monotonic_ns()
    sign = Sign(now_ns - SILENT_NS, [])
    if is_claimed:
        assert claim.take(claim.claim_of(folder, "x", sign.beat_ns))

    async def route_of(lines: Sequence[tuple[str, int]]) -> str:
        return "GET /rx" if lines else ""

    async def test() -> None:
        aftermath = Aftermath(own, "x", tray=tray, route_of=route_of, supervisor=lambda: None, guard=guard)
        aftermath.note()
        aftermath.tell_own(sign, stacks, folder, now_ns, between)
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(test())
    assert guard.faults == {}
    assert Path(stacks.path).read_bytes() == b"", "the next silence is told by what was written in it"
    return tray.take()


def test_what_it_has_written_says_where_it_hung(tmp_path: Path) -> None:
    """In the thread that computed, while the agent's asked for the GIL."""
    [evidence] = told(tmp_path, asked_for_the_gil(), written=WRITTEN)
    assert (evidence.verdict, evidence.where, evidence.route) == ("hung", "srv/app.py:7 match", "GET /rx")
    assert (evidence.outcome, evidence.how) == ("went on", "faulthandler by itself")


def test_one_that_held_the_gil_and_waited_has_written_nothing_and_is_where_it_was(tmp_path: Path) -> None:
    """The agent's thread sees it as the first thing it does."""
    [evidence] = told(tmp_path, asked_for_the_gil())
    assert (evidence.verdict, evidence.how) == ("hung", "python by itself")
    places = [line.rpartition(" ")[2] for line in evidence.stack if "test_aftermath.py" in line]
    assert places[0] == "asked_for_the_gil", "and not what it did later"


def test_one_that_had_gone_on_before_it_was_looked_at_hung_in_no_line_that_is_known(tmp_path: Path) -> None:
    """What waits for events by then did not hold the GIL."""
    main = threading.main_thread().ident
    assert main is not None
    waits = selectors.SelectSelector.select.__code__
    [evidence] = told(tmp_path, asked_for_the_gil()._replace(stacks={main: [(waits, 5)]}))
    assert (evidence.verdict, evidence.where, evidence.stack) == ("hung", "", [])
    assert "it had gone on before it was looked at" in evidence.text


def test_one_that_did_not_run_at_all_was_stopped_and_no_line_is_to_blame(tmp_path: Path) -> None:
    """Its threads waited for neither the GIL nor a CPU."""
    [evidence] = told(tmp_path, SLEPT)
    assert (evidence.verdict, evidence.where, evidence.stack) == ("stopped", "", [])
    assert "no stack: it did not run" in evidence.text


@pytest.mark.parametrize("written", ["", WRITTEN], ids=["idle", "busy"])
def test_a_silence_of_the_agent_alone_is_none_of_the_apps(tmp_path: Path, written: str) -> None:
    """A slow disk has held it up, while the app's loop turned: whatever line it was in hung nowhere."""
    assert told(tmp_path, LOOP_TURNED, written=written) == []


def test_what_a_sibling_has_looked_at_is_its_to_tell(tmp_path: Path) -> None:
    """And what was written meanwhile is not left for the next silence."""
    assert told(tmp_path, asked_for_the_gil(), written=WRITTEN, is_claimed=True) == []


def test_without_a_loop_to_tell_by_it_goes_by_what_is_written(tmp_path: Path) -> None:
    """Nothing is told of a silence without it."""
    assert told(tmp_path, None) == []
    [evidence] = told(tmp_path, None, written=WRITTEN)
    assert evidence.where == "srv/app.py:7 match"
