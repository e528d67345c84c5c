"""`perftui record`: keep what is seen of a service in a file."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from perftui.clock import now
from perftui.commands.arguments import seconds, targets_argument
from perftui.commands.folding import LATE_S
from perftui.judging import Judging
from perftui.model.dashboard import Dashboard
from perftui.model.events import SourceEvent
from perftui.model.merge import merge
from perftui.model.text import clean_text
from perftui.present.text.units import size
from perftui.recording.reader import clock_time
from perftui.recording.writer import FLUSH_S, RecordingWriter
from perftui.sources.local import LocalSource
from perftui.sources.target import LocalTarget, TargetError, parse_local

SUFFIX = ".perftui"

TOLD_EVERY_S = 1.0

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@targets_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="The file, which ends in .perftui and is not there yet.  [default: the service and the time]",
)
@click.option(
    "--for", "for_s", type=seconds, metavar="TIME", help="How long: 30s, 10m, 24h.  [default: until ctrl+c]"
)
def record(targets: tuple[str, ...], output: str | None, for_s: float | None) -> None:
    """Write what is seen of the services that TARGET names into a file, until ctrl+c or for some time.

    The last fifteen minutes, as the agents remember them, are in it too. Whatever ends it, a kill as well,
    the file holds all but the last second. perftui replay FILE opens it.
    """
    wanted = parse_local(targets)
    if output is not None:
        check_output(output)
    asyncio.run(_record(wanted, output, for_s))


def check_output(output: str) -> None:
    """Raise `click.BadParameter` where no recording can be made under this name."""
    path = Path(output)
    if not output.endswith(SUFFIX):
        raise click.BadParameter(f"{output}: a recording's name ends in {SUFFIX}", param_hint="-o")
    if path.exists() or path.is_symlink():
        raise click.BadParameter(f"{output} exists already: name another file", param_hint="-o")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")


def default_name(service: str) -> str:
    """Return how a recording that begins now is called."""
    named = "".join(each if each.isalnum() or each in "._-" else "-" for each in service)[:60].strip(".-")
    return f"{named or 'service'}-{time.strftime('%Y%m%d-%H%M%S')}{SUFFIX}"


def opened(path: str, target: str) -> RecordingWriter:
    """Begin a recording; `TargetError` where the file can't be made."""
    try:
        return RecordingWriter(Path(path), target, now())
    except FileExistsError:
        raise TargetError(f"{path} exists already", "name another file: -o FILE") from None
    except OSError as error:
        raise TargetError(
            f"{path} can't be written: {error.strerror}", "name another file: -o FILE"
        ) from None


async def _record(targets: tuple[LocalTarget, ...], output: str | None, for_s: float | None) -> None:
    async with LocalSource(targets) as source:
        source.look_back()
        services = dict.fromkeys(each.worker.service for each in source.workers())
        path = output or default_name("-".join(services))
        taking = _Taking(source, opened(path, source.name), path)
        with ended_by_signals() as ending:
            await taking.run(ending, for_s)


class _Taking:
    """A recording under way."""

    def __init__(self, source: LocalSource, writer: RecordingWriter, path: str) -> None:
        self._source = source
        self._writer = writer
        self._path = path
        self._dashboard = Dashboard(source.name)
        self._judging = Judging()
        self._began = now()
        self._told_at = 0.0

    async def run(self, ending: asyncio.Event, for_s: float | None) -> None:
        """Write until it is to end, and what has been on its way by then."""
        try:
            await self._follow(ending, LATE_S, until_connected=True)
            for_text = "until ctrl+c" if for_s is None else f"for {for_s:g} s"
            workers = f"{len(self._dashboard.alive)} workers"
            click.echo(
                clean_text(f"recording {self._source.name} into {self._path} {for_text} ({workers})"),
                err=True,
            )
            await self._follow(ending, for_s)
            ended = now()
            if not ending.is_set():
                await self._follow(ending, LATE_S, until_covered=ended)
        finally:
            self._writer.close(now())
        self._say("")
        length_s = now() - self._began
        told = f"wrote {self._path}: {length_s:.0f} s, {len(self._dashboard.workers)} workers"
        click.echo(clean_text(f"{told}, {size(self._writer.size)}"), err=True)
        click.echo(clean_text(f"  to look at it: perftui replay {self._path}"), err=True)

    async def _follow(
        self,
        ending: asyncio.Event,
        longest_s: float | None,
        *,
        until_connected: bool = False,
        until_covered: float | None = None,
    ) -> None:
        deadline = None if longest_s is None else time.monotonic() + longest_s
        while not ending.is_set():
            if until_connected and self._is_connected():
                return
            if until_covered is not None and self._is_covered(until_covered):
                return
            left = FLUSH_S if deadline is None else min(FLUSH_S, deadline - time.monotonic())
            if left <= 0:
                return
            event = await _next_of(self._source, left)
            if event is not None:
                self._dashboard = merge(self._dashboard, event)
                self._writer.add(event)
            at = now()
            if (judged := self._judging.due(self._dashboard, at)) is not None:
                self._writer.add(judged)
            if self._writer.flush_due(at):
                self._tell(at)

    def _is_connected(self) -> bool:
        alive = self._dashboard.alive
        return bool(self._dashboard.workers) and all(track.joined_at is not None for track in alive)

    def _is_covered(self, end: float) -> bool:
        return all(
            track.joined_at is None
            or (track.last_frame is not None and track.last_frame.ended_at >= end * 1e9)
            for track in self._dashboard.alive
        )

    def _tell(self, at: float) -> None:
        if at - self._told_at >= TOLD_EVERY_S:
            self._told_at = at
            alive = len(self._dashboard.alive)
            written = f"{alive} workers, {size(self._writer.size)}"
            self._say(
                f"● {at - self._began:.0f} s since {clock_time(self._began)}, {written}  ctrl+c ends it"
            )

    def _say(self, text: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)


async def _next_of(source: LocalSource, longest_s: float) -> SourceEvent | None:
    try:
        async with asyncio.timeout(longest_s):
            return await anext(source)
    except TimeoutError:
        return None


@contextlib.contextmanager
def ended_by_signals() -> Iterator[asyncio.Event]:
    """Set an event at the first signal that ends a program; the second ctrl+c interrupts as always."""
    loop, ending = asyncio.get_running_loop(), asyncio.Event()

    def told(number: int) -> None:
        ending.set()
        loop.remove_signal_handler(number)

    for number in ENDING:
        loop.add_signal_handler(number, told, number)
    try:
        yield ending
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
