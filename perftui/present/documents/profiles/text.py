"""A profile as plain text: what `perftui profile` prints for people, the hottest line first."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.model.flame import NO_REQUEST, Cost, Node, Samples, costs, error, tree
from perftui.present.text.cells import clean, fit
from perftui.present.text.units import percent
from perftui_agent.wire.actions import Profile

MOST_LINES = 20
MOST_TREE = 40


def profile_text(samples: Samples, profiles: Sequence[Profile], width: int) -> list[str]:
    """Return the lines: where the time goes by route, by own time, and by which way."""
    if not samples.stacks:
        return ["nothing was at work while it was sampled"]
    seconds = samples.wall_ns / 1e9
    workers = "worker" if len(profiles) == 1 else "workers"
    lines = [f"{samples.count:,} samples · {seconds:.1f} s of {len(profiles)} {workers} · {profiles[0].mode}"]
    if samples.idle_ns:
        lines[0] += " · idle threads left out"
    routes = samples.routes()
    if any(route != NO_REQUEST for route, _ in routes):
        shares = [f"{percent(ns / samples.ns)} {clean(route)}" for route, ns in routes[:6]]
        lines.append("  ".join(shares))
    lines += ["", "   OWN  IN ALL  ± SAMPLING     LINE"]
    lines += [_cost(cost, samples, width) for cost in costs(samples)[:MOST_LINES] if cost.own_ns]
    lines += ["", "BY WHICH WAY"]
    ways: list[str] = []
    _ways(tree(samples), 0, samples, width, ways)
    lines += ways[:MOST_TREE]
    if len(ways) > MOST_TREE:
        lines.append(f"  … {len(ways) - MOST_TREE} more: write a file with -o")
    return [line.rstrip() for line in lines]


def place(samples: Samples, file: str, line: int, name: str) -> str:
    """Return a function with the line it mostly was at."""
    short = samples.names.get(file, file)
    return clean(f"{short}:{line} {name}" if short else name)


def _cost(cost: Cost, samples: Samples, width: int) -> str:
    low, high = error(cost.own_count, samples.count)
    bounds = f"{100 * low:.0f}–{100 * high:.0f} %"
    head = (
        f"{percent(cost.own_ns / samples.ns):>6}  {percent(cost.total_ns / samples.ns):>6}  {bounds:>10}     "
    )
    return head + fit(place(samples, cost.function.file, cost.line, cost.function.name), max(width - 31, 20))


def _ways(nodes: Sequence[Node], depth: int, samples: Samples, width: int, lines: list[str]) -> None:
    for node in sorted(nodes, key=lambda node: -node.total_ns):
        chain = [node]
        while len(node.children) == 1 and not node.own_ns and not node.folded_ns:
            node = node.children[0]
            chain.append(node)
        # A chain of calls is one line: where it begins, and where it leads to.
        first = f"{clean(chain[0].function.name)} ▸ " if len(chain) > 1 else ""
        hidden = f"({len(chain) - 2}) ▸ " if len(chain) > 2 else ""
        head = f"{percent(node.total_ns / samples.ns):>6}  {'  ' * min(depth, 20)}"
        text = head + first + hidden + place(samples, node.function.file, node.line, node.function.name)
        lines.append(text if len(text) <= width else text[: width - 1] + "…")
        _ways(node.children, depth + 1, samples, width, lines)
