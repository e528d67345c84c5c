"""The picture of what a target means over some time: watched from now on, or read from a recording."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import click

from perftui.commands.dead import opened_instead, returned
from perftui.commands.folding import Ending, as_planned, watched
from perftui.commands.recordings import recording_in, stretch, tell_damage
from perftui.model.dashboard import Dashboard
from perftui.model.summary import Summary
from perftui.recording.looking import summary_between
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live

Follow = Callable[[Dashboard], None]
"""Is told of everything that comes."""


def _nobody(_: Dashboard) -> None:
    pass


async def picture_of(
    targets: Sequence[str],
    for_s: float | None,
    *,
    usual_s: float,
    back_s: float = 0.0,
    follow: Follow = _nobody,
) -> Summary:
    """Return the state over `for_s`: of a recording its end, or all of it, else from now on, or `usual_s`.

    That of a recording goes by the file's name: two are often of one service.

    Of what runs no more, and has left its black boxes, it is that of a recording. `back_s` is how long before
    the end of a recording that ends. Raises `TargetError`.
    """
    recording = recording_in(targets)
    if recording is None:
        wanted = parse_live(targets)
        try:
            return await watch_for(wanted, for_s or usual_s, follow)
        except TargetError:
            if again := await returned(wanted):
                return await watch_for(again, for_s or usual_s, follow)
            recording = opened_instead(wanted)
            if recording is None:
                raise
    with recording:
        since, until = stretch(recording, for_s, recording.ended_at - back_s if back_s else None)
        # What is watched beside it goes on meanwhile.
        summary = await asyncio.to_thread(summary_between, recording, since, until, follow)
        tell_damage(recording)
        return replace(summary, target=recording.name)


async def watch_for(
    targets: Sequence[LiveTarget], for_s: float, follow: Follow = _nobody, ending: Ending = as_planned
) -> Summary:
    """Return what happened in `for_s`, of which `follow` sees all; `TargetError` if nobody told anything.

    `ending` may end it earlier.
    """

    def ready(dashboard: Dashboard) -> None:
        joined = sum(track.joined_at is not None for track in dashboard.alive)
        workers = f"{joined} of {len(dashboard.alive)} workers"
        click.echo(f"watching {source.name} for {for_s:g} s ({workers})", err=True)

    async with LiveSource(targets) as source:
        summary = await watched(source, for_s, ready, follow, ending)
    if not any(row.last_seen for row in summary.workers):
        raise TargetError(
            f"none of the workers of {source.name} answered", f"what they do: perftui dump {source.name}"
        )
    return summary
