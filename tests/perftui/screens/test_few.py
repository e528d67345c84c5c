"""Percentiles of too few: a sign that needs no colour, in every table and every detail."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from perftui.model.measures import Latency
from perftui.model.summary import Summary
from perftui.widgets.palette import PALETTES, Depth
from tests.perftui.findings.pictures import a_route
from tests.perftui.screens.seen import HUGE, SMALL, look
from tests.support.fake_evidence import ShopFeed, a_pool, caches, queries

OF_FEW = Latency(5, 7.7, 77.7, 777.0, 777.0)


def few(summary: Summary) -> Summary:
    """Return the shop after its first five requests: whatever is 78 ms is a p95 of five, 777 ms a p99."""
    route = replace(
        a_route("GET /orders", [77.7] * 5),
        latency=replace(OF_FEW, max_ms=900.0),
        ttfb_p95_ms=77.7,
        first_bytes=5,
        background_p95_ms=77.7,
        backgrounds=5,
        bytes_p50=10,
        bytes_p95=77_700,
        bodies=5,
        shares=tuple(replace(share, latency=OF_FEW) for share in summary.routes[0].shares),
    )
    workers = [
        replace(worker, latency=OF_FEW, loop_lag_p99_ms=77.7, loop_lags=5) for worker in summary.workers
    ]
    statements = [replace(query, latency=replace(OF_FEW, max_ms=900.0), count=5) for query in queries()]
    return replace(
        summary,
        totals=replace(summary.totals, latency=OF_FEW),
        routes=(route,),
        workers=tuple(workers),
        queries=tuple(statements),
        pools=(replace(a_pool(), wait_p95_ms=77.7, waits=5),),
        caches=caches()[1:],
        slowest=(),
        incidents=(),
        in_flight=(),
    )


@pytest.mark.parametrize("size", [SMALL, HUGE], ids=["80x24", "200x50"])
@pytest.mark.parametrize(
    ("keys", "least"),
    [
        (("1",), 4),
        (("2",), 2),
        (("2", "enter"), 5),
        (("4",), 3),
        (("4", "enter"), 2),
        (("4", "tab", "enter"), 1),
        (("6",), 8),
        (("6", "enter"), 2),
    ],
    ids=["triage", "routes", "route", "sql", "statement", "pool", "workers", "worker"],
)
def test_percentiles_of_too_few_have_a_sign(keys: tuple[str, ...], least: int, size: tuple[int, int]) -> None:
    """None is without it, and there are some."""
    text = look(ShopFeed(change=few), *keys, size=size)
    shown = [line for line in text.splitlines() if not re.search("peak|AVERAGE|the rest", line)]
    figures = re.findall(r"(~?)(?:77\.7|78|777)(?:ms| kB)", "\n".join(shown))
    assert len(figures) >= least, text
    assert set(figures) == {"~"}, text


def test_commands_to_a_cache_far_away_have_it_too() -> None:
    """One command is no p95."""
    assert "~0.7ms" in look(ShopFeed(change=few), "5")
    assert "command p95 ~0.7ms" in look(ShopFeed(change=few), "5", "enter")


@pytest.mark.parametrize("depth", PALETTES)
def test_what_rests_on_too_few_is_dimmed_in_every_depth(depth: Depth) -> None:
    """Beside the sign: by a colour or by an attribute of its own."""
    styles = PALETTES[depth]
    assert styles["faint"] not in {styles["text"], styles["bright"]}
