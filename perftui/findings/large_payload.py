"""`large-payload`: a route's bodies are big as a habit: not compressed, not paginated, or neither."""

from __future__ import annotations

from collections.abc import Iterator

from perftui.findings.criteria import At, Criteria, graded_by, written
from perftui.findings.figures import percent, rate, size
from perftui.findings.rule import Bar, Standing, graded
from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary

KIND = "large-payload"

MIN_BODIES = 3
"""How big a route's bodies are hardly varies: when the median of three is big, two of three are."""

MIN_BODIES_P95 = 20

P50_BYTES = Bar(512_000, 400_000)
"""Half a megabyte takes a phone on a fair network a second, and this process some 10 ms of JSON."""

P95_BYTES = Bar(1_000_000, 800_000)

COMPRESSED = 0.5
"""From this share on, a route counts as compressed."""

FILES = 0.5
"""From this share on, a route hands out files: they are meant to be large."""

COMPRESSED_FACTOR = 4.0
"""JSON shrinks four times and more: a compressed body is as big as this much of plain."""

MEDIUM_BYTES = Bar(1_000_000, 800_000)
HIGH_BYTES = Bar(10_000_000, 8_000_000)


def check(summary: Summary, standing: Standing) -> Iterator[Finding]:
    """Yield each route that sends too much at once. Streams, exports and files are meant to be large."""
    for route in summary.routes:
        if route.streaming or route.bodies < MIN_BODIES or route.files >= FILES * route.bodies:
            continue
        stands = route.route in standing
        factor = COMPRESSED_FACTOR if route.compressed >= COMPRESSED * route.bodies else 1.0
        usual = P50_BYTES.reached((route.bytes_p50 or 0) / factor, stands)
        often = route.bodies >= MIN_BODIES_P95 and P95_BYTES.reached((route.bytes_p95 or 0) / factor, stands)
        if usual or often:
            yield _finding(route, factor, standing)


def _finding(route: RouteSummary, factor: float, standing: Standing) -> Finding:
    p50, p95 = route.bytes_p50 or 0, route.bytes_p95 or 0
    bytes_per_s = p50 * route.rps
    if route.compressed:
        compressed = f"{percent(route.compressed / route.bodies)} of them compressed"
    else:
        compressed = "none compressed"
    return Finding(
        kind=KIND,
        severity=graded(max(p50, p95) / factor, MEDIUM_BYTES, HIGH_BYTES, standing.get(route.route)),
        subject=route.route,
        sentence=f"bodies of {size(p50)} (p50), {size(p95)} (p95), {compressed}, {rate(route.rps)} a second",
        evidence={
            "bodies": route.bodies,
            "bytes_p50": p50,
            "bytes_p95": p95,
            "compressed": route.compressed,
            "rps": round(route.rps, 3),
            "bytes_per_second": round(bytes_per_s),
            "serialize_ms_per_request": route.serialize_ms_per_request,
            "p95_ms": route.latency.p95_ms,
        },
        advice="Send pages (a limit and a cursor), and only the fields that are used"
        + ("; compress what remains." if factor == 1.0 else ": it is compressed and still big."),
        impact=bytes_per_s / 100_000,  # at the 10 ms per megabyte that JSON costs
        route=route.route,
    )


CRITERIA = Criteria(
    kind=KIND,
    means="a route's bodies are big as a habit: not compressed, not paginated, or neither",
    subject="route",
    when=(
        At("median of its bodies", P50_BYTES, "bytes", lambda row, _: row.bytes_p50),
        f"or a p95 of {written(P95_BYTES.enter, 'bytes')} and more, of {MIN_BODIES_P95} bodies and more",
        f"compressed bodies count for {COMPRESSED_FACTOR:g} times as little",
    ),
    medium=graded_by(MEDIUM_BYTES, "bytes"),
    high=graded_by(HIGH_BYTES, "bytes"),
    never="streams, exports and files, which are meant to be large",
)
