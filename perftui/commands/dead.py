"""What verbs do where nothing of a target runs any more, but has left its black boxes."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from perftui.model.text import clean_text
from perftui.postmortem import ends_of, last_of, post_mortem
from perftui.recording.reader import Recording
from perftui.sources.dead import Dead, dead_workers, meant_by
from perftui.sources.discovery import discover
from perftui.sources.target import LiveTarget, local_among


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
    return post_mortem(dead, " ".join(map(str, targets)) or dead[0].hello.worker.service)


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
