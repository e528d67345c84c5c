"""`perftui connect`: the dashboard on running services."""

from __future__ import annotations

import asyncio
import sys

import click

from perftui.commands.arguments import targets_argument
from perftui.commands.opening import dashboard_options, need_terminal, open_dashboard, settled
from perftui.sources.local import find
from perftui.sources.target import parse_local


@click.command()
@targets_argument
@dashboard_options
def connect(targets: tuple[str, ...], slow: bool, ascii_only: bool) -> None:
    """Open the dashboard on the services that TARGET names (see `perftui --help`).

    `q` leaves, `?` shows the keys. Nothing done in it stops or changes the service.
    """
    config = settled()
    if not targets and config.target:
        targets = (config.target,)
    # Before the screen is taken over: whatever is wrong with the targets is told on a plain terminal.
    wanted, _ = asyncio.run(find(parse_local(targets)))
    names = [str(target) for target in wanted]
    need_terminal(instead=f"perftui snapshot {' '.join(names)}")
    sys.exit(open_dashboard(names, config, slow=slow, ascii_only=ascii_only))
