"""Opening the dashboard as the user wants it: by the settings file, then by what the command line says."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from perftui import terminal
from perftui.config import Config, ConfigError, config_path, read_config
from perftui.keys import rebind
from perftui.sources.target import TargetError

if TYPE_CHECKING:
    from perftui.recording.reader import Recording
    from perftui.sources.dead import Dead

GARBAGE = (50_000, 10, 20)
"""When to look for garbage that refers to itself. What frames are decoded into never does; by Python's own
thresholds it was looked through ten times a second, with 16 workers and 200 routes an eighth of the CPU."""

Command = TypeVar("Command", bound=Callable[..., Any])


def dashboard_options(command: Command) -> Command:
    """Add the options of every verb that opens the dashboard."""
    command = click.option("--ascii", "ascii_only", is_flag=True, help="Draw with ASCII alone.")(command)
    return click.option("--slow", is_flag=True, help="Spare a thin line: repaint every 5 s.")(command)


def settled() -> Config:
    """Read the settings and let the keys be as they say. Raises `ConfigError`."""
    config = read_config(os.environ)
    try:
        rebind(config.keys)
    except ValueError as error:
        raise ConfigError(f"{config_path(os.environ)}, {error}") from None
    return config


def need_terminal(instead: str) -> None:
    """Raise `TargetError` where there is no terminal to draw on; `instead` is what works without one."""
    if not terminal.is_there():
        raise TargetError("the dashboard needs a terminal", f"without one: {instead}")


def open_dashboard(
    targets: Sequence[str], config: Config, *, slow: bool, ascii_only: bool, gone: Sequence[Dead] = ()
) -> int:
    """Open the dashboard as the settings want it, on `gone` workers until others come; return its exit
    code."""
    app = imported("perftui.app", config, ascii_only)
    light = config.theme == "light"
    code: int = app.run(
        targets, slow=slow, light=light, mouse=config.mouse, window_s=config.window_s, gone=gone
    )
    return code


def open_replay(
    recording: Recording,
    at: float | None,
    config: Config,
    *,
    slow: bool,
    ascii_only: bool,
    lives: Callable[[], str] = str,
) -> int:
    """Open the dashboard on a recording, which `lives` says runs again; return its exit code."""
    app = imported("perftui.replay_app", config, ascii_only)
    light = config.theme == "light"
    options = {
        "slow": slow,
        "light": light,
        "mouse": config.mouse,
        "window_s": config.window_s,
        "lives": lives,
    }
    code: int = app.replay(recording, at, **options)
    return code


def imported(name: str, config: Config, ascii_only: bool) -> ModuleType:
    """Import a module that draws, as the settings want it drawn."""
    if ascii_only or config.ascii:
        os.environ["PERFTUI_ASCII"] = "1"
    # What is imported stays: to look again and again for garbage among it would take a tenth of the start.
    gc.disable()
    # Textual takes its time to import, and errors need none; the screens take their keys from the table.
    app = importlib.import_module(name)

    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()
    return app
