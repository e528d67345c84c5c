"""Services with one planted limit each, ramped: what gave, and what the advised mend gives.

`python -m tests.benchmarks ramps [--mended] [--times N] [kind …]`. With `--mended` each is started again as
it was advised, word by word, and its new knee held against what was promised; `--times 3` ramps each so
often, and holds the knees against each other. A quota of CPU needs a control group that may be made: where
none may, it is said, and the others go on.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.limited import LIMITED, UPSTREAM
from tests.support.postgres import postgres
from tests.support.quota import limited, why_not
from tests.support.servers import Service, running, write_app

STEP = "2.5s"

ACCEPTED: Mapping[str, frozenset[str]] = {"loop": frozenset({"loop", "cpu"})}
"""What else is right: on a machine of two cores one busy loop and its clients fill all of it."""

FRESH = frozenset({"accept-queue", "loop", "gil"})
"""Whose clients open a connection for each request: a queue of connections fills up, and what was mended by
more workers reaches them all. Before the mend as after it: such a request costs more."""

WITHIN = 0.25
"""Of what was promised."""

ALIKE = 0.10
"""Knees of the same service."""

_SIZE = re.compile(r"→ (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Shape:
    """How a service is started."""

    workers: int = 1
    backlog: int | None = None
    cores: float | None = None
    env: Mapping[str, str] = field(default_factory=dict)


PLANTED: Mapping[str, Shape] = {
    **{kind: Shape() for kind in LIMITED},
    "accept-queue": Shape(backlog=8),
    "quota": Shape(cores=0.3),
}


def mended(kind: str, advice: str) -> Shape | None:
    """Return how a service is started that does what was advised; None where the advice has no figure."""
    if (found := _SIZE.search(advice)) is None:
        return None
    size = found[1]
    match kind:
        case "loop" | "gil":
            return Shape(workers=int(size))
        case "accept-queue":
            return Shape(backlog=int(size))
        case "quota":
            return Shape(cores=float(size))
        case "threadpool" | "pool":
            return Shape(env={"SIZE": size})
        case "upstream":
            return Shape(env={"SERVES": size})
        case "lock":
            return Shape(env={"HOLD_MS": size})
    return None


def main() -> None:
    """Print a line for each service."""
    words = sys.argv[2:]
    with_mend = "--mended" in words
    times = int(words[words.index("--times") + 1]) if "--times" in words else 1
    kinds = [word for word in words if word in LIMITED] or list(LIMITED)
    if "quota" in kinds and (why := why_not()):
        print(f"quota: {why}")
        kinds.remove("quota")
    heads = f"{'planted':13} {'named':13} {'knee':>7} {'promised':>8} {'mended':>7} {'off':>6}"
    print(f"{heads}   what gave, what to do")
    for kind in kinds:
        knees = [_line(kind, with_mend=with_mend) for _ in range(times)]
        if len(knees) > 1:
            spread = (max(knees) - min(knees)) / max(min(knees), 0.1)
            alike = "alike" if spread <= ALIKE else f"MORE THAN {ALIKE:.0%}"
            told = f"{len(knees)} times: {min(knees):.1f} … {max(knees):.1f}, {spread:.1%} apart, {alike}"
            print(f"{kind:13} {told}", flush=True)


def _line(kind: str, *, with_mend: bool) -> float:
    told = ramped(kind, PLANTED[kind])
    if told is None:
        print(f"{kind:13} no knee was found", flush=True)
        return 0.0
    limit, knee = told["limit"], told["knee_rps"] or 0.0
    promise = limit["then_rps"]
    line = f"{kind:13} {limit['kind']:13} {knee:7.1f} {promise or 0:8.1f}"
    shape = mended(kind, limit["advice"]) if with_mend else None
    if shape is not None and promise:
        again = ramped(kind, shape)
        after = (again and again["knee_rps"]) or 0.0
        line += f" {after:7.1f} {(after - promise) / promise:+6.0%}"
        line += "  " if abs(after - promise) <= WITHIN * promise else " ✗"
        line += f" then {again['limit']['kind']}," if again else ""
    else:
        line += f" {'':7} {'':6}  "
    right = limit["kind"] in ACCEPTED.get(kind, frozenset({kind}))
    following = f"; next {told['next']['kind']}: {told['next']['sentence']}" if told["next"] else ""
    print(f"{line} {'' if right else 'WRONG: '}{limit['sentence']}; {limit['advice']}{following}", flush=True)
    return float(knee)


def ramped(kind: str, shape: Shape) -> dict[str, Any] | None:
    """Return what `perftui ramp --json` says of a service."""
    with tempfile.TemporaryDirectory() as directory, serving(kind, Path(directory), shape) as service:
        return ramp(service, ("--new-connections", "1" if kind in FRESH else "0"))


def ramp(service: Service, options: Sequence[str]) -> dict[str, Any] | None:
    """Ramp a service."""
    done = service.perftui(
        "ramp", service.target, "GET /x", "--until", "p95<250ms,errors<2%",
        "--from", "10", "--max", "1000", "--step", STEP, "--json", *options,
        timeout=900,
    )  # fmt: skip
    if not done.stdout:
        print(done.stderr, file=sys.stderr)
    return json.loads(done.stdout) if done.stdout else None


@contextmanager
def serving(kind: str, directory: Path, shape: Shape) -> Iterator[Service]:
    """Run one of the services, with what it depends on."""
    with ExitStack() as stack:
        env = dict(shape.env)
        if kind == "lock":
            env["DATABASE"] = stack.enter_context(postgres())
            asyncio.run(_stocked(env["DATABASE"]))
        if kind == "upstream":
            other = directory / "other"
            other.mkdir()
            app = write_app(other, UPSTREAM, "upstream")
            env["UPSTREAM"] = stack.enter_context(running(app, workers=1, env=shape.env)).url + "/"
        options = () if shape.backlog is None else ("--backlog", str(shape.backlog))
        app = write_app(directory, LIMITED[kind])
        service = stack.enter_context(running(app, workers=shape.workers, env=env, options=options))
        if shape.cores is not None:
            stack.enter_context(limited(shape.cores, *service.wait_registered()))
        yield service


async def _stocked(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE stock (id int PRIMARY KEY, left_over int)"))
        await connection.execute(text("INSERT INTO stock VALUES (1, 1000000)"))
    await engine.dispose()
