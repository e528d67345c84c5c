"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Generator
from pathlib import Path
from types import ModuleType

import hypothesis
import pytest

from tests.lanes import FILLS_IN

# A busy machine is no defect: nothing here is judged by the clock.
hypothesis.settings.register_profile("perftui", deadline=None)
hypothesis.settings.load_profile("perftui")

# Nor is a developer's own terminal, language or settings: neither tests nor what they start see any of it.
for name in [name for name in os.environ if name.startswith("PERFTUI_")]:
    del os.environ[name]
# COLUMNS and LINES come from readline as well, which pytest imports: what tests start inherits 80 by 24.
for name in ("TMUX", "NO_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)
# The last of them would have hundreds of servers compile all they import: 2 s of CPU each.
sys.dont_write_bytecode = False
os.environ |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}

# Nothing is let go of while tests are imported: looking for that took a tenth of the time.
gc.disable()

_WAITED_FOR = ("tests.support.servers", "tests.support.terminal")

_LONGEST = (
    "tests/flow/test_faults.py",
    "tests/flow/test_actions_end.py",
    "tests/demo_app/test_endpoints.py",
    "tests/flow/test_walks.py",
    "tests/flow/test_ten_places.py",
    "tests/flow/test_first_light.py::test_promise_7",
    "tests/flow/test_ramp.py",
    "tests/flow/test_watch.py",
    "tests/flow/test_dumps.py",
)
"""What takes longest begins first, so that in the end nobody waits for one test alone."""

_COMPUTE = (
    "tests/agent/probes/sql/test_engines.py::test_promise_13",
    *(
        f"tests/perftui/{room}/"
        for room in ("recording", "findings", "check", "screens", "widgets", "model", "present")
    ),
)
"""What only computes, and is about no time that passes: the longest begins first here as well."""

_SOON = 0.85
"""Of the tests that compute so many are begun by the last that waits: those that are left end evenly."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In lanes, put tests that wait between those that compute."""
    if getattr(config.option, "lanes", 0):
        items[:] = _in_order(items, _COMPUTE if config.option.filling else ())


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave what all tests are made of to itself: a million objects that stay, and that no test is about.

    Every full collection would go through them, 0.3 s of CPU each, and whatever counts a process's objects.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(
        50_000, 10, 20
    )  # as the dashboard's: by Python's own a fifth of its tests' CPU went there
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have a test that has failed be the only one to fail for what it has left.

    Its frames keep processes and sockets that nobody has closed, until the next test begins: found there as
    garbage, they are warnings that nobody could raise, and errors of a test that knows nothing of them.
    """
    failed_before = item.session.testsfailed
    done = yield
    if item.session.testsfailed > failed_before:
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            vars(sys).pop(name, None)
        told, sys.unraisablehook = sys.unraisablehook, lambda _: None
        try:
            gc.collect()
        finally:
            sys.unraisablehook = told
    return done


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have a run that did not begin be no run: nothing that is tried again makes up for it."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    errors = reporter.stats.get("error", ()) if reporter is not None else ()
    if any(isinstance(error, pytest.CollectReport) for error in errors):
        session.exitstatus = pytest.ExitCode.INTERRUPTED


def _in_order(items: list[pytest.Item], compute: tuple[str, ...]) -> list[pytest.Item]:
    """Return the longest first, then both kinds evenly mixed: all at once, one kind would idle.

    What fills in stands behind them: it is for lanes of its own, beside all others.
    """
    longest = [item for each in _LONGEST for item in items if item.nodeid.startswith(each)]
    filling = [item for each in compute for item in items if item.nodeid.startswith(each)]
    for item in filling:
        item.stash[FILLS_IN] = True
    rest = [item for item in items if not item.nodeid.startswith((*_LONGEST, *compute))]
    starters = {name for name, module in _modules(rest).items() if _starts_servers(module)}
    waiting = [item for item in rest if item.path in starters]
    computing = [item for item in rest if item.path not in starters]
    placed = [(_SOON * place / len(waiting), item) for place, item in enumerate(waiting)]
    placed += [(place / len(computing), item) for place, item in enumerate(computing)]
    return [*longest, *(item for _, item in sorted(placed, key=lambda each: each[0])), *filling]


def _modules(items: list[pytest.Item]) -> dict[Path, ModuleType]:
    return {item.path: item.module for item in items if isinstance(item, pytest.Function)}


def _starts_servers(module: ModuleType) -> bool:
    """Tell whether tests of a module start servers or terminals, and mostly wait for them."""
    return any(getattr(each, "__module__", "") in _WAITED_FOR for each in vars(module).values())
