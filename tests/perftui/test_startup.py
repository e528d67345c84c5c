"""What is loaded before the first picture, and what is not."""

from __future__ import annotations

import subprocess
import sys


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
    assert not loaded & {f"perftui.screens.{name}" for name in others}


def test_the_dashboard_loads_neither_the_demo_nor_what_services_are_made_of() -> None:
    """No HTTP client, no framework, no database: a client needs none of them."""
    loaded = loaded_by("perftui.commands.connect", "perftui.app")
    assert not loaded & {"demo_app", "httpx", "fastapi", "starlette", "sqlalchemy", "uvicorn"}


def test_what_is_wrong_is_told_without_loading_the_dashboard() -> None:
    """An error on the command line is as quick as the command line."""
    assert not loaded_by("perftui.commands.connect") & {"textual", "rich", "perftui.app"}
