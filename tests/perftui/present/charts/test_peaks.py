"""What there was at most includes what there is now."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perftui.model.summary import Summary
from perftui.present.details.route_blocks import over_time as route_over_time
from perftui.present.details.worker_charts import over_time
from perftui.present.text.cells import Line, text_of
from perftui.present.triage.vitals import vitals_lines
from tests.support.fake_feed import FakeFeed


def after(lines: list[Line], label: str) -> tuple[str, str]:
    """Return a figure and its peak."""
    texts = [text_of(line) for line in lines]
    place = next(place for place, text in enumerate(texts) if f" {label} " in f" {text}")
    column = f" {texts[place]}".index(f" {label} ")
    now = texts[place][column:].split(label)[1].split()[0]
    return now, texts[place + 1][column:].split("peak")[1].split()[0]


def low_in_the_past(summary: Summary) -> Summary:
    """Return a picture of which the present is not in the charts yet."""
    points = tuple(replace(point, p95_ms=1.0, in_flight=1) for point in summary.points)
    routes = tuple(replace(route, trend=(1.0,) * len(points)) for route in summary.routes)
    return replace(summary, points=points, routes=routes)


def test_a_peak_of_the_service_is_no_less_than_the_present() -> None:
    """The charts tell of whole steps, the figures of the window."""
    lines = vitals_lines(low_in_the_past(FakeFeed().summary(60.0)), 120, 2)
    for label in ("p95", "open"):
        now, peak = after(lines, label)
        assert now == peak != "1.0ms"


def test_a_loop_that_is_held_has_its_peak_now() -> None:
    """Its history has not been that late before it is let go."""
    summary = FakeFeed(troubles=("blocked",)).summary(60.0)
    lines = over_time(summary, summary.workers[0], 120, 2)
    assert after(lines, "lag p99") == ("1.90s", "1.90s")
    assert after(lines, "cpu") == ("98%", "98%")


def test_a_peak_of_a_route_is_no_less_than_the_present() -> None:
    """As for the service."""
    summary = low_in_the_past(FakeFeed().summary(60.0))
    assert after(route_over_time(summary, summary.routes[0], 120, 2), "p95")[1] != "1.0ms"


@pytest.mark.parametrize("troubles", [(), ("blocked",), ("errors", "slo")])
def test_made_up_pictures_can_be_true(troubles: tuple[str, ...]) -> None:
    """Those in the documents: a mean lies within its chart, a verdict is about the figure beside it."""
    summary = FakeFeed(troubles=troubles).summary(60.0)
    for figure, told in (
        (summary.totals.rps, [point.rps for point in summary.points]),
        (summary.totals.latency.p95_ms, [point.p95_ms for point in summary.points]),
        (summary.totals.latency.p50_ms, [point.p50_ms for point in summary.points]),
        *((route.latency.p95_ms, list(route.trend)) for route in summary.routes),
    ):
        known = [value for value in told if value is not None]
        assert figure is not None
        assert min(known) * 0.999 <= figure <= max(known) * 1.001
    assert all(each.value == summary.totals.latency.p95_ms for each in summary.slo if each.slo == "p95<200ms")
