"""`perftui record`: keep what is seen of a service in a file."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from perftui.clock import now
from perftui.commands.arguments import seconds, targets_argument
from perftui.commands.dead import as_they_ended, dead_instead, fates, returned
from perftui.findings.figures import plural
from perftui.model.text import clean_text
from perftui.postmortem import write_post_mortem
from perftui.present.text.units import size
from perftui.recorder import SUFFIX, Recorder, default_name
from perftui.recording.gaps import clock_time
from perftui.sources.dead import Dead
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live

TOLD_EVERY_S = 1.0


class _StoppedError(TargetError):
    """Why what had begun to be recorded could not go on."""


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

    The last fifteen minutes, as the agents remember them, are in it too; in a restart also those of the
    workers that have just gone. Whatever ends it, a kill as well, the file holds all but the last second.
    perftui replay FILE opens it.
    """
    wanted = parse_live(targets)
    if output is not None:
        check_output(output)
    try:
        asyncio.run(_record(wanted, output, for_s))
    except _StoppedError:
        raise  # the service is there: those that are no more are no answer
    except TargetError:
        dead = dead_instead(wanted)
        if not dead:
            raise
        if again := asyncio.run(returned(wanted, dead)):
            asyncio.run(_record(again, output, for_s, as_they_ended(dead)))
        else:
            _record_the_dead(dead, " ".join(map(str, wanted)), output)


def _record_the_dead(dead: Sequence[Dead], target: str, output: str | None) -> None:
    """Write what workers have left that are no more."""
    for sentence in fates(dead):
        click.echo(sentence, err=True)
    service = dead[0].hello.worker.service
    path = output or default_name(service)
    try:
        written = write_post_mortem(dead, target or service, Path(path))
    except OSError as error:
        said = error.strerror or str(error)
        raise TargetError(f"{path} can't be written: {said}", "name another file: -o FILE") from None
    click.echo(clean_text(f"wrote {path}: {plural(len(dead), 'worker')} gone, {size(written)}"), err=True)
    click.echo(clean_text(f"  to look at it: perftui replay {shlex.quote(path)}"), err=True)


def check_output(output: str) -> None:
    """Raise `click.BadParameter` where no recording can be made under this name."""
    path = Path(output)
    if not output.endswith(SUFFIX):
        raise click.BadParameter(f"{output}: a recording's name ends in {SUFFIX}", param_hint="-o")
    if path.exists() or path.is_symlink():
        raise click.BadParameter(f"{output} exists already: name another file", param_hint="-o")
    if not path.absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")


async def _record(
    targets: tuple[LiveTarget, ...], output: str | None, for_s: float | None, gone: Sequence[Dead] = ()
) -> None:
    async with LiveSource(targets, listens=True, gone=gone) as source:
        services = dict.fromkeys(each.worker.service for each in source.workers())
        recorder = Recorder(source, output or default_name("-".join(services)))
        told_at = 0.0

        def connected() -> None:
            how_long = "until ctrl+c" if for_s is None else f"for {for_s:g} s"
            whom = f"{source.name} ({plural(len(recorder.dashboard.alive), 'worker')})"
            click.echo(clean_text(f"recording {whom} into {recorder.path} {how_long}"), err=True)

        def written() -> None:
            nonlocal told_at
            if sys.stderr.isatty() and time.monotonic() - told_at >= TOLD_EVERY_S:
                told_at = time.monotonic()
                since = f"● {now() - recorder.began_at:.0f} s since {clock_time(recorder.began_at)}"
                how_much = f"{plural(len(recorder.dashboard.alive), 'worker')}, {size(recorder.size)}"
                click.echo(f"\r\x1b[K{since}, {how_much}  ctrl+c ends it", err=True, nl=False)

        with ended_by_signals(recorder.end):
            try:
                await recorder.run(for_s, connected=connected, written=written)
            except OSError as error:
                said = error.strerror or str(error)
                raise _StoppedError(
                    f"{recorder.path} can't be written any more: {said}",
                    f"what was written until then opens: perftui replay {shlex.quote(recorder.path)}",
                ) from None
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    told = f"{now() - recorder.began_at:.0f} s, {plural(len(recorder.dashboard.workers), 'worker')}"
    click.echo(clean_text(f"wrote {recorder.path}: {told}, {size(recorder.size)}"), err=True)
    click.echo(clean_text(f"  to look at it: perftui replay {shlex.quote(recorder.path)}"), err=True)


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` at the first signal that ends a program; the second ctrl+c interrupts as always."""
    loop = asyncio.get_running_loop()

    def told(number: int) -> None:
        end()
        loop.remove_signal_handler(number)

    for number in ENDING:
        loop.add_signal_handler(number, told, number)
    try:
        yield
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
