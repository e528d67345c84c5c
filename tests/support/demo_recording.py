"""Recordings of the demo shop under its faults: `python -m tests.support.demo_recording`, three minutes.

The pictures of the documents are drawn from them, to show what the dashboard shows of a real service.
They are the `perftui record` of a `perftui demo`: as it is, with a dump that was taken and a mark; and with
what is wrong around a shop, with its database, a PostgreSQL, and the services it calls. Ended at any time,
each is a recording.
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

DATA = Path(__file__).parents[1] / "data"
DEMO, AROUND = DATA / "demo.perftui", DATA / "around.perftui"

FAULTS = {
    DEMO: "",
    AROUND: "db-lock,idle-in-transaction,upstream-slow,upstream-errors,chatty-upstream,client-pool-exhausted",
}
"""Those chosen; by default the ones that the shop has of itself."""

WARM_S = 20.0
"""How long customers come before it is recorded: that much of the past is in it as well."""

LASTS_S = 45.0


@contextlib.contextmanager
def demo(faults: str) -> Iterator[str]:
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
        *(["--fault", faults] if faults else []),
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
    """Record those named anew, else all."""
    DATA.mkdir(exist_ok=True)
    for file, faults in FAULTS.items():
        if sys.argv[1:] and file.stem not in sys.argv[1:]:
            continue
        file.unlink(missing_ok=True)
        with demo(faults) as target:
            asyncio.run(recorded(target, file))


if __name__ == "__main__":
    main()
