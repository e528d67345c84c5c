"""The snapshot of what happens in a block: `with snapshot_of(service) as told:`, then `told["routes"]`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.support.command import Forked
from tests.support.servers import Service


@contextlib.contextmanager
def snapshot_of(service: Service, for_s: float = 5.0) -> Iterator[dict[str, Any]]:
    """Watch a service by the real command for so long; the block begins when it watches."""
    told: dict[str, Any] = {}
    with Forked("snapshot", service.target, "--for", f"{for_s:g}s", "--json", env=service.env) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            assert said.startswith("watching"), said + process.stderr.read()
            yield told
            out, errors = process.communicate(timeout=60 + for_s)
        finally:
            process.kill()
    assert process.returncode == 0, errors
    told.update(json.loads(out))
