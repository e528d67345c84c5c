"""A pytest plugin that watches the outgoing calls of a suite which runs no app: `-p watched_calls`.

The agent begins with an app. Here its probes are attached by themselves, as they are in a worker, to whatever
the suite imports; what they see is folded after each test. The last line says what it came to.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.window.window import Window

_window, _guard = Window(), Guard()
_probes = (HttpxProbe(_window, _guard), AiohttpProbe(_window, _guard), Urllib3Probe(_window, _guard))
_seen = {"calls": 0, "errors": 0}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: Any) -> None:
    """Attach, once there is something to attach to."""
    _window.open = True
    for probe in _probes:
        probe.attach()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: Any) -> None:
    """Fold what the test has done."""
    _window.fold_pending()
    frame = _window.close(seq=1, ended_at_ns=1, span_ns=1_000_000_000)
    for probe in _probes:
        probe.fill(frame)
    for row in frame.upstreams:
        _seen["calls"] += row.latency.count
        _seen["errors"] += row.errors


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what was seen, and what failed of it."""
    terminalreporter.write_line(f"watched_calls: {_seen}, faults {dict(_guard.faults)}")
    file = os.environ.get("PERFTUI_FAULTS_FILE")
    if file is not None and _guard.faults:
        told = [f"{times} faults in {place}\n" for place, times in _guard.faults.items()]
        Path(file).write_text("".join(told), encoding="utf-8")
