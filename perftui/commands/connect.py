"""`perftui connect`: the dashboard on running services."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

import click

from perftui.commands.arguments import targets_argument
from perftui.config import Config, ConfigError, config_path, read_config
from perftui.keys import rebind
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
    config = read_config(os.environ)
    if not targets and config.target:
        targets = (config.target,)
    # Before the screen is taken over: whatever is wrong with the targets is told on a plain terminal.
    wanted, _ = asyncio.run(find(parse_local(targets)))
    sys.exit(open_dashboard([str(target) for target in wanted], config, slow=slow, ascii_only=ascii_only))


def open_dashboard(targets: Sequence[str], config: Config, *, slow: bool, ascii_only: bool) -> int:
    """Open the dashboard as the settings want it; return its exit code. Raises `ConfigError`."""
    try:
        rebind(config.keys)
    except ValueError as error:
        raise ConfigError(f"{config_path(os.environ)}, {error}") from None
    if ascii_only or config.ascii:
        os.environ["PERFTUI_ASCII"] = "1"
    # Textual takes its time to import, and errors need none; the screens take their keys from the table.
    from perftui.app import run  # noqa: PLC0415

    return run(targets, slow=slow, light=config.theme == "light", window_s=config.window_s)
