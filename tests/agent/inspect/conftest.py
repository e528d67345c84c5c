"""What the tests of dumps share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.inspect.processes import StandIn, started


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    """Make programs that take the place of py-spy."""
    return StandIn(tmp_path)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Give the pid of a process that is no Python."""
    with started(["sleep", "600"], ready=False) as process:
        yield process.pid
