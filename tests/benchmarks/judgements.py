"""How often `perftui check` and `compare` are wrong: simulated from sketches of a real shop.

`recorded/` holds what two services did second by second, each with two workers on a machine of two cores:
`crowded` the demo shop without its faults for 200 seconds, while others used the machine as well (medians of
all routes from 20 ms to 3 s, one second to the next); `quiet` a small shop with SQLite for a minute, with the
machine to itself. Splits of these seconds are unchanged code, with all that differs between seconds; draws
from a route's sketch are unchanged code whose requests do not depend on each other; the same draws, each 15 %
longer, are a regression.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from perftui.check.against import held_against
from perftui.check.grammar import Objective, parse_objective
from perftui.check.judge import Verdict, judge_all, overall
from perftui.model.comparison import Comparison, compare
from perftui.model.measures import Step, Totals
from perftui.model.quantiles import latency_of, quantile_ms, together
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui_agent.sketch import LatencySketch, bucket_bounds

RECORDED = Path(__file__).with_name("recorded")
CROWDED, QUIET = "crowded", "quiet"

REGRESSION = 1.15
REQUESTS = 2000
ENOUGH = 500
"""Requests of a route from which on its recorded sketch is a distribution to draw from."""

STRETCHES = 12
"""Of a window, as the model has them."""

TRIALS, SPLITS = 200, 100


@dataclass(frozen=True, slots=True)
class Second:
    """What one route did in one second."""

    at: int
    route: str
    requests: int
    errors: int
    statements: int
    calls: int
    latency: LatencySketch


@cache
def recorded(name: str) -> tuple[Second, ...]:
    """Return what was recorded, in order of time."""
    with gzip.open(RECORDED / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        said = json.load(file)
    return tuple(_second(said["routes"], *row) for row in said["seconds"])


def _second(routes: Sequence[str], at: int, route: int, *rest: object) -> Second:
    requests, errors, statements, calls, total, largest, flat = rest
    assert isinstance(flat, list)
    buckets = dict(zip(flat[::2], flat[1::2], strict=True))
    latency = LatencySketch(sum(buckets.values()), total, largest, buckets)  # type: ignore[arg-type]
    return Second(at, routes[route], requests, errors, statements, calls, latency)  # type: ignore[arg-type]


def picture(seconds: Iterable[Second], name: str = "shop") -> Summary:
    """Return the picture of these seconds, as if they had followed each other in this order."""
    known = list(seconds)
    order = {at: place for place, at in enumerate(dict.fromkeys(each.at for each in known))}
    length = max(1, -(-len(order) // STRETCHES))
    by_route: dict[str, list[Second]] = {}
    for each in known:
        by_route.setdefault(each.route, []).append(each)
    rows = [_row(route, several, order, length) for route, several in by_route.items()]
    return _summary(rows, float(len(order)), name)


def _summary(rows: Sequence[RouteSummary], seconds: float, name: str) -> Summary:
    requests, errors = sum(row.requests for row in rows), sum(row.errors for row in rows)
    totals = Totals(requests, requests / seconds, errors, errors / requests if requests else None)
    return Summary(name, name, 0.0, seconds, totals=totals, routes=tuple(rows))


def _row(route: str, seconds: Sequence[Second], order: Mapping[int, int], length: int) -> RouteSummary:
    stretches: dict[int, list[Second]] = {}
    for each in seconds:
        stretches.setdefault(order[each.at] // length, []).append(each)
    steps = [
        Step(
            float(place),
            together(each.latency for each in several),
            requests=sum(each.requests for each in several),
            errors=sum(each.errors for each in several),
            statements=sum(each.statements for each in several),
            calls=sum(each.calls for each in several),
        )
        for place, several in sorted(stretches.items())
    ]
    requests = sum(step.requests for step in steps)
    errors = sum(step.errors for step in steps)
    statements = sum(step.statements for step in steps) / requests if requests else None
    return a_row(route, together(step.latency for step in steps).unpacked(), errors, steps, statements)


def a_row(
    route: str,
    latency: LatencySketch,
    errors: int = 0,
    steps: Sequence[Step] = (),
    statements: float | None = None,
) -> RouteSummary:
    """Return the row of a route."""
    requests = latency.count
    return RouteSummary(
        route=route,
        requests=requests,
        rps=0.0,
        errors=errors,
        error_rate=errors / requests if requests else 0.0,
        status={},
        latency=latency_of(latency),
        sketch=latency,
        total_ms=latency.total / 1e6,
        steps=steps,
        sql_per_request=statements,
    )


def drawn(rng: random.Random, latency: LatencySketch, number: int, times: float = 1.0) -> LatencySketch:
    """Return the sketch of so many draws from another, each of them `times` as long."""
    result = LatencySketch()
    buckets = list(latency.buckets)
    for bucket in rng.choices(buckets, [latency.buckets[each] for each in buckets], k=number):
        low, high = bucket_bounds(bucket)
        result.add(round(times * rng.uniform(low, high)))
    return result


def halves(rng: random.Random, name: str, block_s: int = 1) -> tuple[Summary, Summary]:
    """Return two pictures of a recording, of its seconds in blocks as chance has dealt them out."""
    seconds = recorded(name)
    moments = sorted({each.at for each in seconds})
    blocks = [moments[at : at + block_s] for at in range(0, len(moments), block_s)]
    rng.shuffle(blocks)
    first = {at for block in blocks[: len(blocks) // 2] for at in block}
    return (
        picture(each for each in seconds if each.at in first),
        picture(each for each in seconds if each.at not in first),
    )


def marked(comparison: Comparison) -> list[str]:
    """Return the routes that are said to have changed."""
    return [row.route for row in comparison.routes if row.is_worse or row.is_better]


@cache
def well_known() -> dict[str, LatencySketch]:
    """Return the latencies of each route of the quiet shop that has enough of them."""
    whole = picture(recorded(QUIET))
    return {row.route: together([row.sketch]).unpacked() for row in whole.routes if row.requests >= ENOUGH}


def versions(rng: random.Random, slower: str, times: float) -> tuple[Summary, Summary]:
    """Return two pictures of a shop with 2,000 requests of each route; in the second one route is slower."""
    routes = well_known()
    return tuple(  # type: ignore[return-value]  # two of two
        _summary(
            [
                a_row(route, drawn(rng, each, REQUESTS, times if second and route == slower else 1.0))
                for route, each in routes.items()
            ],
            60.0,
            "shop",
        )
        for second in (False, True)
    )


def own_p95(route: str) -> Objective:
    """Return the promise of a route to stay at the p95 that was recorded: the worst bound there can be."""
    return parse_objective(f"{route}: p95<={quantile_ms(well_known()[route], 0.95)}ms")


def against_itself(rng: random.Random, route: str, times: float) -> Verdict:
    """Return what a check says of 2,000 requests of a route against the p95 that was recorded of it."""
    row = a_row(route, drawn(rng, well_known()[route], REQUESTS, times))
    return judge_all([own_p95(route)], _summary([row], 60.0, "shop"), (), {})[0].verdict


def main() -> None:
    """Print how often unchanged code is marked, and how often a regression is caught."""
    rng = random.Random(17)
    for name in (CROWDED, QUIET):
        for block_s in (1, 5):
            wrong = sum(bool(marked(compare(*halves(rng, name, block_s)))) for _ in range(SPLITS))
            print(f"  {name}, seconds dealt out in blocks of {block_s} s: {wrong} of {SPLITS} mark a route")
    for name, times in (("unchanged", 1.0), ("15 % slower", REGRESSION)):
        _print_versions(rng, name, times)


def _print_versions(rng: random.Random, name: str, times: float) -> None:
    routes = list(well_known())
    failed = caught = p95 = missed = 0
    for trial in range(TRIALS):
        route = routes[trial % len(routes)]
        before, after = versions(rng, route, times)
        comparison = compare(before, after)
        failed += overall(held_against(comparison, before)) == "missed"
        row = comparison.route(route)
        caught += row is not None and row.is_worse
        p95 += row is not None and row.p95.verdict == "up"
        missed += against_itself(rng, route, times) == "missed"
    print(f"  {name}, {len(routes)} routes of {REQUESTS:,} requests, {TRIALS} trials:")
    print(
        f"    --against fails {failed}, by that route {caught}, by its p95 {p95}; --slo at its p95 {missed}"
    )
