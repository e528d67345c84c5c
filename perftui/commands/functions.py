"""`perftui functions`: what the next requests of a route call in one worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from perftui.commands.acting import ProgressBar, ended_by_ctrl_c, tell_refusals, wanted_workers
from perftui.commands.arguments import WholeNumber, json_option, seconds, targets_argument
from perftui.model.events import FrameReceived, HistoryReceived
from perftui.present.documents.functions import functions_document, functions_pstats, functions_text
from perftui.sources.actions import take_functions
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live
from perftui_agent.wire.actions import LONGEST_WAIT_S, MOST_REQUESTS, Functions, Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.parts import RouteLabel, WorkerId

HEARD_S = 0.3
"""For so long the past is listened to: which of several workers has the route's requests."""

ENDING = ".pstats"


@click.command()
@targets_argument
@click.option(
    "--route", required=True, metavar="'GET /x'", help="Whose requests: its label, as the dashboard shows it."
)
@click.option(
    "--requests",
    type=WholeNumber(1, MOST_REQUESTS),
    default=20,
    show_default=True,
    metavar="N",
    help="How many.",
)
@click.option(
    "--worker", "pid", type=WholeNumber(1), metavar="PID", help="In this worker; else where they go."
)
@click.option(
    "--for",
    "for_s",
    type=seconds,
    default="60s",
    show_default=True,
    metavar="TIME",
    help="How long to wait for them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help=f"Write a file that ends in {ENDING}.",
)
@json_option
def functions(
    targets: tuple[str, ...],
    route: str,
    requests: int,
    pid: int | None,
    for_s: float,
    output: str | None,
    as_json: bool,
) -> None:
    """Tell which functions the next requests of a route of TARGET call, how often, and how long they take.

    Only requests of this route in one worker are measured, and take three to four times as long; what they
    wait for on the event loop is in no function's time. ctrl+c ends it early and keeps what there is.
    """
    if for_s > LONGEST_WAIT_S:
        raise click.BadParameter(f"at most {LONGEST_WAIT_S / 60:g}m", param_hint="--for")
    if output and not output.lower().endswith(ENDING):
        raise click.BadParameter(f"{output}: its name does not end in {ENDING}", param_hint="-o")
    if output and not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")
    method, _, template = route.strip().partition(" ")
    label = f"{method.upper() if method.isascii() else method} {template.strip()}".strip()
    answers = asyncio.run(_take(parse_live(targets), pid, label, requests, for_s))
    refused = tell_refusals(answers)
    for answer in answers.values():
        if not isinstance(answer, Functions):
            continue
        if output:
            Path(output).write_bytes(functions_pstats(answer))
            click.echo(f"wrote {output}: python -m pstats {output}", err=True)
        if as_json:
            click.echo(json.dumps(functions_document(answer), ensure_ascii=False, indent=2))
        elif not output:
            width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
            click.echo("\n".join(functions_text(answer, width)))
    if refused:
        click.get_current_context().exit(2)


async def _take(
    targets: Sequence[LiveTarget], pid: int | None, route: RouteLabel, requests: int, for_s: float
) -> dict[int, Functions | Refusal]:
    """Return the answer of the worker that was chosen, by its pid."""
    async with LiveSource(targets) as source:
        wanted = await wanted_workers(source, pid)
        heard = _Heard(source, route)
        listening = asyncio.create_task(heard.listen())
        try:
            if len(wanted) > 1:
                await asyncio.sleep(HEARD_S)
            finish = asyncio.Event()
            with ended_by_ctrl_c(finish):
                return await _measured(source, wanted, heard, route, requests, for_s, finish)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


class _Heard:
    """Which workers have had requests of a route; what nobody takes would stop the streams."""

    def __init__(self, source: LiveSource, route: RouteLabel) -> None:
        self._source = source
        self._route = route
        self._requests: Counter[WorkerId] = Counter()
        self.live: Counter[WorkerId] = Counter()
        """Of these, since it is listened."""

    async def listen(self) -> None:
        """Follow the source."""
        async for event in self._source:
            if not isinstance(event, FrameReceived | HistoryReceived):
                continue
            live = isinstance(event, FrameReceived)
            for frame in [event.frame] if isinstance(event, FrameReceived) else event.frames:
                number = sum(row.status.total() for row in frame.routes if row.route == self._route)
                self._requests[event.worker] += number
                if live:
                    self.live[event.worker] += number

    def busiest(self, among: Sequence[WorkerIdentity]) -> WorkerIdentity:
        """Return the worker that has had most of them, of late if there were any."""
        return max(among, key=lambda each: (self.live[each.id], self._requests[each.id]))


async def _measured(
    source: LiveSource,
    wanted: Sequence[WorkerIdentity],
    heard: _Heard,
    route: RouteLabel,
    requests: int,
    for_s: float,
    finish: asyncio.Event,
) -> dict[int, Functions | Refusal]:
    """Measure where the requests go: while none has come, in the next worker that is seen to have some."""
    until = time.monotonic() + for_s
    partly: dict[int, Functions | Refusal] = {}
    while True:
        worker = heard.busiest(wanted)
        moved = asyncio.Event()
        begun = f"worker {worker.pid}: its next {requests} requests of {route} take longer"
        bar = ProgressBar([worker], None, begun)
        watching = asyncio.create_task(_watch(heard, wanted, worker, bar, finish, moved))
        try:
            answer = await take_functions(
                source,
                worker.id,
                route=route,
                requests=requests,
                for_s=max(until - time.monotonic(), 1.0),
                told=lambda news, bar=bar, pid=worker.pid: bar.told(pid, news),  # type: ignore[misc]
                finish=moved,
            )
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            bar.end()
        to_move = moved.is_set() and not finish.is_set() and time.monotonic() < until
        if isinstance(answer, Functions):
            if not to_move or answer.requests >= answer.asked:
                return {worker.pid: answer}
            # The first had just come as it was left for another: fewer than were asked for.
            partly = {worker.pid: answer}
        elif not to_move or heard.busiest(wanted) == worker:
            return partly or {worker.pid: answer}


async def _watch(
    heard: _Heard,
    wanted: Sequence[WorkerIdentity],
    worker: WorkerIdentity,
    bar: ProgressBar,
    finish: asyncio.Event,
    moved: asyncio.Event,
) -> None:
    """Set `moved` once it is to end: by ctrl+c, or as none has come here and some have come elsewhere."""
    while not finish.is_set():
        begun: Progress | None = bar.last(worker.pid)
        if (begun is None or not begun.done) and heard.live[worker.id] < heard.live[heard.busiest(wanted).id]:
            break
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(finish.wait(), 0.25)
    moved.set()
