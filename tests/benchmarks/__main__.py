"""Run the benchmarks: `python -m tests.benchmarks [name …]`."""

from __future__ import annotations

import sys

from tests.benchmarks import (
    actions,
    caches,
    calls,
    connections,
    felt,
    generators,
    healthy,
    judgements,
    memory,
    model,
    overhead,
    ramps,
    recordings,
    runtime,
    servers,
    statements,
    terminal,
)

BENCHMARKS = {
    "overhead": overhead.main,
    "felt": felt.main,
    "statements": statements.main,
    "caches": caches.main,
    "calls": calls.main,
    "runtime": runtime.main,
    "memory": memory.main,
    "connections": connections.main,
    "servers": servers.main,
    "actions": actions.main,
    "ramps": ramps.main,
    "generators": generators.main,
    "model": model.main,
    "recordings": recordings.main,
    "judgements": judgements.main,
    "healthy": healthy.main,
    "terminal": terminal.main,
}


def main() -> int:
    """Run those named, or all."""
    # `ramps` takes the names of services behind its own.
    for name in ["ramps"] if sys.argv[1:2] == ["ramps"] else sys.argv[1:] or BENCHMARKS:
        if name not in BENCHMARKS:
            print(f"no benchmark {name!r}: there are {', '.join(BENCHMARKS)}", file=sys.stderr)
            return 2
        print(f"\n── {name} ──")
        BENCHMARKS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
