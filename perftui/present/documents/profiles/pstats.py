"""The functions as Python's own `pstats` reads them: `python -m pstats x.pstats`, snakeviz, tuna.

Calls are samples here, since a sampling profile counts no calls; times are the seconds they stand for.
"""

from __future__ import annotations

import marshal
from collections import Counter, defaultdict
from typing import TypeAlias

from perftui.model.flame import Function, Samples

Key: TypeAlias = tuple[str, int, str]
Row: TypeAlias = tuple[int, int, float, float]


def pstats(samples: Samples, _title: str) -> bytes:
    """Return the file."""
    first_line: dict[Function, int] = {}
    own: Counter[Function] = Counter()
    own_count: Counter[Function] = Counter()
    total: Counter[Function] = Counter()
    count: Counter[Function] = Counter()
    callers: dict[Function, dict[Function, list[int]]] = defaultdict(dict)
    for stack in samples.stacks:
        seen: set[Function] = set()
        pairs: set[tuple[Function, Function]] = set()
        for at, (function, line) in enumerate(stack.frames):
            # Of a function one line is as good as another as its name, as long as it is always the same.
            first_line[function] = min(line, first_line.get(function, line))
            innermost = at == len(stack.frames) - 1
            if innermost:
                own[function] += stack.ns
                own_count[function] += stack.count
            if function not in seen:
                seen.add(function)
                total[function] += stack.ns
                count[function] += stack.count
            caller = stack.frames[at - 1].function if at else None
            if caller is not None and (caller, function) not in pairs:
                pairs.add((caller, function))
                row = callers[function].setdefault(caller, [0, 0, 0])
                row[0] += stack.count
                row[1] += stack.ns if innermost else 0
                row[2] += stack.ns

    def key(function: Function) -> Key:
        return function.file, first_line[function], function.name

    stats: dict[Key, tuple[int, int, float, float, dict[Key, Row]]] = {
        key(function): (
            count[function],
            count[function],
            own[function] / 1e9,
            ns / 1e9,
            {
                key(caller): (calls, calls, own_ns / 1e9, all_ns / 1e9)
                for caller, (calls, own_ns, all_ns) in callers[function].items()
            },
        )
        for function, ns in total.items()
    }
    return marshal.dumps(stats)
