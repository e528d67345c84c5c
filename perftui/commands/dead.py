"""What verbs do where nothing of a target runs any more, but has left its black boxes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace

import click
import psutil

from perftui.clock import now
from perftui.model.summary import Summary
from perftui.model.text import clean_text
from perftui.postmortem import ends_of, last_of, post_mortem
from perftui.recording.reader import Recording
from perftui.sources.absent import listens
from perftui.sources.dead import Dead, dead_workers, meant_by
from perftui.sources.discovery import discover, services
from perftui.sources.live import reachable
from perftui.sources.match import matches
from perftui.sources.target import (
    LiveTarget,
    PidTarget,
    PortTarget,
    TargetError,
    local_among,
    parse_live,
)

RESTARTS_WITHIN_S = 10.0
"""A service that is restarted is there again so soon after its last word, most often; a verb that prints once
waits no longer."""

LISTENED_S = 60.0
"""It waits so long while somebody listens on the port: a supervisor, whose workers import the app."""

JUST_S = 90.0
"""A dashboard that is opened so soon after the last word is for what comes next, as much as for what was."""

AGAIN_S = 0.5


def dead_instead(targets: Sequence[LiveTarget]) -> list[Dead]:
    """Return the dead that are meant, none of whose service lives; without a target the last there were."""
    local = local_among(targets)
    if targets and not local:
        return []
    dead = dead_workers()
    if not targets:
        found = discover()
        return last_of(dead) if not found.registrations and not found.unreadable else []
    return last_of(meant_by(local, dead))


def opened_instead(targets: Sequence[LiveTarget]) -> Recording | None:
    """Return the last minutes of the dead that are meant, and say that it is those; None where there are
    none."""
    dead = dead_instead(targets)
    if not dead:
        return None
    for sentence in fates(dead):
        click.echo(sentence, err=True)
    return post_mortem(dead, name_of(targets, dead))


def name_of(targets: Sequence[LiveTarget], dead: Sequence[Dead]) -> str:
    """Return what the last minutes of the dead are called."""
    return " ".join(map(str, targets)) or dead[0].hello.worker.service


def siblings_of(targets: Sequence[LiveTarget], living: Summary) -> list[Dead]:
    """Return the dead that `targets` mean beside those that live, in the time that is known of these."""
    known = {row.identity.id for row in living.workers}
    services = {row.identity.service for row in living.workers}
    return [
        each
        for each in meant_by(local_among(targets), dead_workers())
        if each.frames
        and each.last_at >= living.at - living.window_s
        and each.hello.worker.id not in known
        and each.hello.worker.service in services
    ]


def fates(dead: Sequence[Dead]) -> list[str]:
    """Return what became of each of the dead, one sentence each."""
    ends = ends_of(dead)
    told = []
    for one in dead:
        worker = one.hello.worker
        last = time.strftime("%H:%M:%S", time.localtime(one.last_at))
        ended = ends.get(worker.id)
        how = ended.text if ended is not None else "how it ended nobody has seen"
        told.append(clean_text(f"worker {worker.pid} of {worker.service} is gone since {last}: {how}"))
    return told


def targets_of(targets: Sequence[LiveTarget], dead: Sequence[Dead]) -> tuple[LiveTarget, ...]:
    """Return what to look for when the dead are to be followed by others; nothing where none can."""
    wanted = tuple(targets)
    if not wanted:
        (service, *_) = services([each.as_registered() for each in dead])
        wanted = parse_live([service.target])
    gone = [each for each in wanted if isinstance(each, PidTarget) and not psutil.pid_exists(each.pid)]
    return () if gone else wanted


def has_just_gone(targets: Sequence[LiveTarget], dead: Sequence[Dead]) -> bool:
    """Tell whether others may come any moment."""
    return _age_s(dead) <= JUST_S or _is_listened_for(targets)


async def returned(
    targets: Sequence[LiveTarget], dead: Sequence[Dead] | None = None
) -> tuple[LiveTarget, ...]:
    """Return what to look at, once those who have just gone are followed by others; nothing if they aren't.

    Says that it waits.
    """
    dead = dead_instead(targets) if dead is None else dead
    wanted = targets_of(targets, dead) if dead else ()
    told = False
    while wanted and _age_s(dead) < (LISTENED_S if _is_listened_for(wanted) else RESTARTS_WITHIN_S):
        try:
            return await reachable(wanted)
        except TargetError:
            if not told:
                click.echo(clean_text(f"{_gone(wanted, dead)}; waiting for it to come again"), err=True)
                told = True
        await asyncio.sleep(AGAIN_S)
    return ()


def living(targets: Sequence[LiveTarget]) -> str:
    """Return what of the targets runs, as one would type it; empty if nothing does."""
    known = discover().registrations
    return " ".join(str(each) for each in local_among(targets) if any(matches(each, one) for one in known))


def as_they_ended(dead: Sequence[Dead]) -> list[Dead]:
    """Return the dead with how each has ended among what is left of it."""
    ends = ends_of(dead)
    return [
        replace(one, evidence=(*one.evidence, end))
        if (end := ends.get(one.hello.worker.id)) is not None and end not in one.evidence
        else one
        for one in dead
    ]


def _gone(targets: Iterable[LiveTarget], dead: Sequence[Dead]) -> str:
    last = time.strftime("%H:%M:%S", time.localtime(max(one.last_at for one in dead)))
    return f"{' '.join(map(str, targets))} is gone since {last}"


def _age_s(dead: Sequence[Dead]) -> float:
    return now() - max(one.last_at for one in dead)


def _is_listened_for(targets: Iterable[LiveTarget]) -> bool:
    """Tell whether somebody holds a port that is meant: a supervisor, whose next workers are on their way."""
    return any(isinstance(each, PortTarget) and listens(each) for each in targets)
