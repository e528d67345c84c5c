"""`perftui snapshot` at work in the background, so that a test can act while it watches."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.servers import Service


@dataclass(slots=True)
class Watched:
    """What a snapshot said; empty until it has ended."""

    document: dict[str, Any] = field(default_factory=dict)

    @property
    def routes(self) -> dict[str, dict[str, Any]]:
        """The routes by label."""
        return {route["route"]: route for route in self.document["routes"]}

    @property
    def totals(self) -> dict[str, Any]:
        """All routes together."""
        totals: dict[str, Any] = self.document["totals"]
        return totals


@contextmanager
def watching(service: Service, seconds: float = 5) -> Iterator[Watched]:
    """Run `perftui snapshot --json` over the block; what it has seen is there after it.

    The block begins when it watches, and takes at most `seconds`, or twice as long on a busy machine.
    """
    for_s = f"{2 * seconds}s"
    command = [sys.executable, "-m", "perftui", "snapshot", service.target, "--for", for_s, "--json"]
    with subprocess.Popen(
        command, env=service.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        first = process.stderr.readline()
        assert first.startswith("watching"), first + process.stderr.read()
        watched = Watched()
        yield watched
        still_watching = process.poll() is None
        output = process.stdout.read()
        errors = process.stderr.read()
    assert still_watching, "the snapshot ended before the test had done what it should see"
    assert process.returncode == 0, errors
    watched.document = json.loads(output)
