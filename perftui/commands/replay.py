"""`perftui replay`: the dashboard over a recording."""

from __future__ import annotations

import sys

import click

from perftui.commands.moments import moment_in
from perftui.commands.opening import dashboard_options, need_terminal, open_replay, settled
from perftui.commands.recordings import open_recording, tell_damage


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
@click.option(
    "--at", "moment", metavar="MOMENT", help="Where to stand first, 14:02:31 or +5m.  [default: the end]"
)
@dashboard_options
def replay(file: str, moment: str | None, slow: bool, ascii_only: bool) -> None:
    """Open the dashboard on a recording: the same views, with a clock.

    `space` plays, `[` `]` step, `n` goes to what happened next, `?` shows the keys.
    """
    config = settled()
    with open_recording(file) as recording:
        at = moment_in(recording, moment, "--at") if moment is not None else None
        need_terminal(instead=f"perftui snapshot {file}")
        code = open_replay(recording, at, config, slow=slow, ascii_only=ascii_only)
        tell_damage(recording)
    sys.exit(code)
