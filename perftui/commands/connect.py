"""`perftui connect`: the dashboard on running services."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from perftui.commands.arguments import targets_argument
from perftui.sources.local import find
from perftui.sources.target import parse_local


@click.command()
@targets_argument
@click.option("--slow", is_flag=True, help="Spare a thin line: repaint every 2 s.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone.")
def connect(targets: tuple[str, ...], slow: bool, ascii_only: bool) -> None:
    """Open the dashboard on the services that TARGET names (see `perftui --help`).

    `q` leaves, `?` shows the keys. Nothing done in it stops or changes the service.
    """
    # Before the screen is taken over: whatever is wrong with the targets is told on a plain terminal.
    wanted, _ = asyncio.run(find(parse_local(targets)))
    from perftui.app import run  # noqa: PLC0415 - Textual takes its time to import, and errors need none

    if ascii_only:
        os.environ["PERFTUI_ASCII"] = "1"
    sys.exit(run([str(target) for target in wanted], slow=slow))
