"""`perftui report`: one page of what happened, for who was not there."""

from __future__ import annotations

import asyncio
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

import click

from perftui.clock import now
from perftui.commands.arguments import seconds, targets_argument
from perftui.commands.dead import opened_instead, returned, siblings_of
from perftui.commands.moments import moment_in
from perftui.commands.recordings import recording_in, stretch, tell_damage
from perftui.commands.snapshot import averaged
from perftui.feed import LiveFeed
from perftui.findings.figures import plural
from perftui.findings.over_time import stood
from perftui.model.history import KEPT_S
from perftui.model.ramp import RampCourse
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.postmortem import left_by
from perftui.recording.looking import dashboard_at
from perftui.recording.reader import Recording
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live

PICTURE_S = 60.0
"""Over how long findings are judged, as on the screen …"""

STEP_S = 10.0
"""… and how often: what stood for less was no more than a moment."""

SETTLED_S = 1.0
"""The past has been told when no older second has come for so long."""

ENDINGS = (".html", ".md")


@click.command()
@targets_argument
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), metavar="FILE",
    help="Where to write it, as .html or .md; by default a name with the service and the time.",
)  # fmt: skip
@click.option(
    "--for", "for_s", type=seconds, default="5s", show_default=True, metavar="TIME",
    help="How long to go on watching.",
)  # fmt: skip
@click.option(
    "--last", "last_s", type=seconds, default="15m", show_default=True, metavar="TIME",
    help="How far to look back, as far as the workers remember.",
)  # fmt: skip
@click.option("--at", "moment", metavar="MOMENT", help="Of a recording: when the time ends, 14:02:31.")
def report(
    targets: tuple[str, ...], output: str | None, for_s: float, last_s: float, moment: str | None
) -> None:
    """Write one page about what TARGET did: what was wrong, since when, whom it hurt, why, and what was done.

    The page needs no network and no script to be read; what it shows is what the dashboard shows, and no
    value of a statement, no header, no query string is in it. Of workers that are no more it tells what their
    black boxes hold.
    """
    if output is not None and not output.endswith(ENDINGS):
        raise click.BadParameter(f"{output}: its name ends in none of {', '.join(ENDINGS)}", param_hint="-o")
    if output is not None and not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")
    ramps: Sequence[RampCourse] = ()
    recording = recording_in(targets)
    if recording is not None:
        with recording:
            at = moment_in(recording, moment, "--at") if moment is not None else None
            summary, pictures = _of_recording(recording, last_s, at)
            ramps = [each.course for each in recording.ramps() if each.at >= summary.at - summary.window_s]
            tell_damage(recording)
    elif moment is not None:
        raise click.BadParameter("only a recording has other moments than this one", param_hint="--at")
    else:
        summary, pictures = _of_service(parse_live(targets), for_s, last_s)
    # The templates take 60 ms to import, which errors should not have to wait for.
    from perftui.present.documents.page.render import html, markdown  # noqa: PLC0415
    from perftui.present.documents.page.taken import taken_by_triggers  # noqa: PLC0415

    path = output or _name(summary)
    write = markdown if path.endswith(".md") else html
    found, taken = stood(pictures), tuple(taken_by_triggers(summary.evidence))
    text = write(summary, found, taken, ramps, made_at=time.time(), version=version("perftui"))
    _put(Path(path), text.encode("utf-8", "replace"))
    click.echo(path)
    click.echo(f"{plural(len(found), 'finding')}, {len(text.encode()) / 1000:.0f} kB", err=True)


def _of_service(
    targets: tuple[LiveTarget, ...], for_s: float, last_s: float
) -> tuple[Summary, list[Summary]]:
    """Return the same of a service, or of the last minutes of one that is no more."""
    try:
        return asyncio.run(_watch(targets, for_s, last_s))
    except TargetError:
        if again := asyncio.run(returned(targets)):
            return asyncio.run(_watch(again, for_s, last_s))
        recording = opened_instead(targets)
        if recording is None:
            raise
        with recording:
            return _of_recording(recording, last_s, None)


def _of_recording(recording: Recording, last_s: float, moment: float | None) -> tuple[Summary, list[Summary]]:
    """Return the same of a recording, as of a moment of it, else of its end."""
    since, until = stretch(recording, last_s, moment)
    dashboard = dashboard_at(recording, until)
    since = max(since, recording.first_at)
    whole = averaged(summarize(dashboard, until, until - since, until))
    moments = [*_moments(since, until), until]
    return whole, [summarize(dashboard, until, PICTURE_S, at) for at in moments]


async def _watch(
    targets: tuple[LiveTarget, ...], for_s: float, last_s: float
) -> tuple[Summary, list[Summary]]:
    """Return the whole span, and pictures of it in order."""
    async with LiveSource(targets) as source:
        feed = LiveFeed(source)
        source.look_back()
        click.echo(f"watching {source.name} for {for_s:g} s, and asking for the past", err=True)
        following = asyncio.create_task(feed.run(lambda _: None))
        try:
            await asyncio.sleep(for_s)
            await _until_settled(feed)
            # Who has ended before is no part of what the living remember.
            wanted = targets or parse_live([source.name])
            gone = await asyncio.to_thread(siblings_of, wanted, feed.summary(KEPT_S))
            last = now()
            feed.settle_at(last, left_by(gone))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        first, _ = feed.reach()
        if first is None:
            raise TargetError(
                f"none of the workers of {source.name} answered", f"what they do: perftui dump {source.name}"
            )
        first = max(first, last - min(last_s, KEPT_S))
        whole = feed.summary(last - first)
        pictures = [feed.summary(PICTURE_S, at) for at in _moments(first, last)]
        return averaged(whole), [*pictures, feed.summary(PICTURE_S)]


async def _until_settled(feed: LiveFeed) -> None:
    first, since = feed.reach()[0], now()
    while now() - since < SETTLED_S:
        await asyncio.sleep(SETTLED_S / 10)
        if (earlier := feed.reach()[0]) != first:
            first, since = earlier, now()


def _moments(first: float, last: float) -> Iterator[float]:
    """Yield the moments between at which to look, on whole steps of the clock."""
    at = (math.floor(first / STEP_S) + 1) * STEP_S
    while at < last - 1:
        yield at
        at += STEP_S


def _name(summary: Summary) -> str:
    service = re.sub(r"[^A-Za-z0-9._-]+", "-", summary.service or "service").strip("-.") or "service"
    return f"perftui-{service}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(summary.at))}.html"


def _put(path: Path, data: bytes) -> None:
    """Write a file as a whole: one that was there before is lost only to a complete one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
