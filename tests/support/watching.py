"""`perftui snapshot` at work in the background, so that a test can act while it watches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.command import Forked
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


AT_MOST = "10m"
"""No block takes as long: each ends what it watches with."""


@contextmanager
def watching(service: Service) -> Iterator[Watched]:
    """Run `perftui snapshot --json` over the block, however long it takes; then it is told what was seen."""
    with Forked("snapshot", service.target, "--for", AT_MOST, "--json", env=service.env) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        first = process.stderr.readline()
        assert first.startswith("watching"), first + process.stderr.read()
        watched = Watched()
        try:
            yield watched
        finally:
            process.terminate()
        output = process.stdout.read()
        errors = process.stderr.read()
    assert process.returncode == 0, errors
    watched.document = json.loads(output)
