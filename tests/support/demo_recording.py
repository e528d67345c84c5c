"""A recording of the demo shop under its faults: `python -m tests.support.demo_recording`, two minutes.

The pictures of the documents are drawn from it, so that they show what the dashboard shows of a real service.
It is the `perftui record` of a `perftui demo`, with a dump that was taken and a mark; ended at any
time, it is a recording.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from perftui.clock import now
from perftui.model.events import EvidenceKept
from perftui.model.summarize import summarize
from perftui.recorder import Recorder
from perftui.sources.actions import take_dump
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from perftui_agent.wire.asked import asked_evidence
from perftui_agent.wire.dumps import Dump

DEMO = Path(__file__).parents[1] / "data" / "demo.perftui"

WARM_S = 20.0
"""How long customers come before it is recorded: that much of the past is in it as well."""

LASTS_S = 45.0


@contextlib.contextmanager
def demo() -> Iterator[str]:
    """Run the demo shop; give its target."""
    command = [
        sys.executable,
        "-m",
        "perftui",
        "demo",
        "--headless",
        "--for",
        "3m",
        "--port",
        "8000",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def recorded(target: str, path: Path) -> None:
    """Record it, and dump a worker whose loop is held, as soon as one is."""
    await asyncio.sleep(WARM_S)
    async with LiveSource(parse_live([target])) as source:
        recorder = Recorder(source, str(path))
        writing = asyncio.create_task(recorder.run(LASTS_S))
        recorder.mark(now(), "deploy 1.4.2")
        while not writing.done():
            await asyncio.sleep(0.5)
            rows = summarize(recorder.dashboard, now(), 10.0).workers
            held = next((row for row in rows if (row.blocked_ms or 0) > 400), None)
            if held is not None:
                dump = await take_dump(source, held.identity.id)
                evidence = asked_evidence(held.identity.id, dump) if isinstance(dump, Dump) else None
                if evidence is not None:
                    recorder.asked(EvidenceKept(evidence.worker, (evidence,), now()))
                    break
        await writing


def main() -> None:
    """Record it anew."""
    DEMO.parent.mkdir(exist_ok=True)
    DEMO.unlink(missing_ok=True)
    with demo() as target:
        asyncio.run(recorded(target, DEMO))


if __name__ == "__main__":
    main()
