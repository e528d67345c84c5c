"""Services with one planted limit each, ramped: what gave, and what the advised mend gives.

`python -m tests.benchmarks ramps [kind …]`. Where the advice names a size, the service is started again with
it, and its new knee is held against what was promised. A quota of CPU needs a control group that may be made.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.limited import LIMITED, UPSTREAM
from tests.support.postgres import postgres
from tests.support.servers import Service, running, write_app

STEP = "5s"

ACCEPTED: dict[str, frozenset[str]] = {"loop": frozenset({"loop", "cpu"})}
"""What else is right: on a machine of two cores one busy loop and its clients fill all of it."""


def main() -> None:
    """Print a line for each service."""
    kinds = sys.argv[2:] or [kind for kind in LIMITED if kind != "quota"]
    print(f"{'planted':13} {'named':13} {'knee':>8}  {'promised':>8}  {'after the mend':>14}")
    for kind in kinds:
        told = ramped(kind, {})
        if told is None:
            print(f"{kind:13} no knee was found")
            continue
        limit = told["limit"]
        right = limit["kind"] in ACCEPTED.get(kind, frozenset({kind}))
        line = f"{kind:13} {limit['kind']:13} {told['knee_rps'] or 0:8.1f}  {limit['then_rps'] or 0:8.1f}"
        if right and (size := re.search(r"→ (\d+)", limit["advice"])) and kind in {"threadpool", "pool"}:
            mended = ramped(kind, {"SIZE": size[1]})
            line += f"  {mended['knee_rps'] if mended else 0:14.1f}"
        print(line, "" if right else f"  WRONG: {limit['sentence']}", flush=True)


def ramped(kind: str, env: dict[str, str]) -> dict[str, Any] | None:
    """Return what `perftui ramp --json` says of a service."""
    with tempfile.TemporaryDirectory() as directory, serving(kind, Path(directory), env) as service:
        done = ramp(service, "--new-connections", "1" if kind == "accept-queue" else "0")
        return json.loads(done.stdout) if done.stdout else None


def ramp(service: Service, *options: str) -> subprocess.CompletedProcess[str]:
    """Ramp a service."""
    return service.perftui(
        "ramp", service.target, "GET /x", "--until", "p95<250ms,errors<2%",
        "--step", STEP, "--json", *options,
        timeout=900,
    )  # fmt: skip


@contextmanager
def serving(kind: str, directory: Path, env: dict[str, str]) -> Iterator[Service]:
    """Run one of the services, with what it depends on."""
    with ExitStack() as stack:
        env = dict(env)
        if kind == "lock":
            env["DATABASE"] = stack.enter_context(postgres())
            asyncio.run(_stocked(env["DATABASE"]))
        if kind == "upstream":
            other = directory / "other"
            other.mkdir()
            upstream = stack.enter_context(running(write_app(other, UPSTREAM, "upstream"), workers=1))
            env["UPSTREAM"] = upstream.url + "/"
        options = ("--backlog", "8") if kind == "accept-queue" else ()
        yield stack.enter_context(
            running(write_app(directory, LIMITED[kind]), workers=1, env=env, options=options)
        )


async def _stocked(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stock (id int PRIMARY KEY, left_over int)"))
        await connection.execute(text("INSERT INTO stock VALUES (1, 1000000)"))
    await engine.dispose()
