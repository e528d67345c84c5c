"""`perftui connect`: the dashboard on running services."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

import click

from perftui.commands.arguments import targets_argument, warn_if_overheard
from perftui.commands.dead import (
    as_they_ended,
    dead_instead,
    fates,
    has_just_gone,
    living,
    name_of,
    targets_of,
)
from perftui.commands.opening import dashboard_options, need_terminal, open_dashboard, open_replay, settled
from perftui.commands.recordings import open_recording, recordings_among, tell_damage
from perftui.postmortem import post_mortem
from perftui.sources.live import reachable
from perftui.sources.target import TargetError, parse_live


@click.command()
@targets_argument
@dashboard_options
def connect(targets: tuple[str, ...], slow: bool, ascii_only: bool) -> None:
    """Open the dashboard on the services that TARGET names (see `perftui --help`).

    `q` leaves, `?` shows the keys. Nothing done in it stops or changes the service. A recording is opened as
    perftui replay opens it, and so are the last minutes of workers that are no more, until the service runs
    again; those of workers that have just gone, as in a restart, go on with the workers that come.
    """
    config = settled()
    if not targets and config.target:
        targets = (config.target,)
        warn_if_overheard(targets)
    if paths := recordings_among(targets):
        if len(targets) > 1:
            raise TargetError(f"{paths[0]}: a recording is looked at by itself", "name one target")
        with open_recording(paths[0]) as recording:
            need_terminal(instead=f"perftui snapshot {paths[0]}")
            code = open_replay(recording, None, config, slow=slow, ascii_only=ascii_only)
            tell_damage(recording)
        sys.exit(code)
    # Before the screen is taken over: whatever is wrong with the targets is told on a plain terminal.
    live = parse_live(targets)
    try:
        wanted = asyncio.run(reachable(live))
    except TargetError:
        dead = dead_instead(live)
        if not dead:
            raise
        for sentence in fates(dead):
            click.echo(sentence, err=True)
        wanted = targets_of(live, dead)
        name = name_of(wanted or live, dead)
        need_terminal(instead=f"perftui snapshot {name}")
        if wanted and has_just_gone(wanted, dead):
            gone = as_they_ended(dead)
        else:
            gone = []
            lives = partial(living, wanted)
            with post_mortem(dead, name) as last_minutes:
                code = open_replay(last_minutes, None, config, slow=slow, ascii_only=ascii_only, lives=lives)
            if code or not lives():
                sys.exit(code)
    else:
        gone = []
    names = [str(target) for target in wanted]
    need_terminal(instead=f"perftui snapshot {' '.join(names)}")
    sys.exit(open_dashboard(names, config, slow=slow, ascii_only=ascii_only, gone=gone))
