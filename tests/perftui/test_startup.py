"""What is loaded before the first picture, and what is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import perftui


def loaded_by(*names: str) -> set[str]:
    """Return the modules that a fresh process has loaded after importing `names`."""
    code = f"import sys, {', '.join(names)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_first_picture_waits_for_no_screen_but_its_own() -> None:
    """The other views and all details are loaded when the first numbers have been painted."""
    loaded = loaded_by("perftui.commands.connect", "perftui.app")
    assert "perftui.screens.triage" in loaded
    others = {"opening", "routes", "route", "requests", "sql", "caches", "workers", "worker", "timeline"}
    others |= {"dump", "export", "help", "palette", "confirm", "everything", "profile"}
    assert not loaded & {f"perftui.screens.{name}" for name in others}


def test_what_no_key_has_asked_for_yet_is_there_before_one_does() -> None:
    """Everything else is loaded in one go, which comes after the first numbers."""
    loaded = loaded_by("perftui.screens.everything")
    folder = Path(perftui.__file__).parent / "screens"
    by_key = {f"perftui.screens.{path.stem}" for path in folder.glob("[a-z]*.py")}
    assert by_key - {"perftui.screens.ramp"} <= loaded  # that one is there from the start, or never


def test_frozen_data_is_declared_without_compiling_anything() -> None:
    """Seventy dataclasses cost more than a hundred modules; a few do no harm."""
    code = """
import perftui.commands.connect, perftui.app, sys
ours = [module for name, module in sys.modules.items() if name.startswith("perftui.")]
kinds = {each for module in ours for each in vars(module).values() if isinstance(each, type)}
kinds = {each for each in kinds if each.__module__.startswith("perftui")}
print(*(kind.__qualname__ for kind in kinds if "__dataclass_params__" in vars(kind)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(done.stdout.split()) < 10, done.stdout


def test_the_dashboard_loads_neither_the_demo_nor_what_services_are_made_of() -> None:
    """No HTTP client, no framework, no database: a client needs none of them."""
    loaded = loaded_by("perftui.commands.connect", "perftui.app")
    assert not loaded & {"demo_app", "httpx", "fastapi", "starlette", "sqlalchemy", "uvicorn"}


def test_what_is_wrong_is_told_without_loading_the_dashboard() -> None:
    """An error on the command line is as quick as the command line."""
    assert not loaded_by("perftui.commands.connect") & {"textual", "rich", "perftui.app"}


def test_what_only_a_remote_door_needs_is_loaded_with_the_first_one() -> None:
    """Four milliseconds that those on this host need not wait for."""
    loaded = loaded_by("perftui.commands.connect", "perftui.app")
    assert "perftui.sources.live" in loaded
    assert not loaded & {"perftui.sources.door", "perftui.sources.remote", "perftui_agent.wire.door"}
