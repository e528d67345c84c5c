"""What holds for all tests."""

from __future__ import annotations

import os
import sys

import hypothesis
import pytest

# A busy machine is no defect: nothing here is judged by the clock.
hypothesis.settings.register_profile("perftui", deadline=None)
hypothesis.settings.load_profile("perftui")

# Nor is a developer's own terminal, language or settings: neither tests nor what they start see any of it.
for name in [name for name in os.environ if name.startswith("PERFTUI_")]:
    del os.environ[name]
# COLUMNS and LINES come from readline as well, which pytest imports: every lane of xdist inherits 80 by 24.
for name in ("TMUX", "NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)
# The last of them would have hundreds of servers compile all they import: 2 s of CPU each.
sys.dont_write_bytecode = False
os.environ |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

_LONG_FIRST = (
    "tests/agent/probes/sql/test_engines.py::test_promise_13",
    "tests/flow",
    "tests/demo_app",
    "tests/agent",
    "tests/perftui",
)
"""What takes longest begins first, so that in the end nobody waits for one test alone."""


@pytest.hookimpl(tryfirst=True)  # xdist looks at the groups right after
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the long tests first, and into one lane those that share something, a server of their module's."""
    items.sort(key=lambda item: [item.nodeid.startswith(each) for each in _LONG_FIRST], reverse=True)
    lanes = config.pluginmanager.hasplugin("xdist")
    for item in items:
        if lanes and isinstance(item, pytest.Function) and (shared := _shared(item)):
            item.add_marker(pytest.mark.xdist_group(" ".join([item.path.stem, *shared])))


def _shared(item: pytest.Function) -> list[str]:
    """Return the fixtures that a test shares with others of its module, each with its parameter."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    found = item._fixtureinfo.name2fixturedefs
    shared = [name for name, versions in found.items() if versions[-1].scope == "module"]
    return [f"{name}={params.get(name)}" for name in sorted(shared)]
