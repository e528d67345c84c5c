"""A worker's screen: its figures, its part of the traffic, its charts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui_agent.wire.process import ThreadpoolStats
from tests.perftui.screens.seen import HUGE, LARGE, SMALL, look
from tests.support.fake_evidence import ShopFeed
from tests.support.frames import sketch

FIGURES = ("cpu", "memory", "lag p99", "gc p99", "rps", "open", "threads", "p95")


@pytest.mark.parametrize("size", [SMALL, LARGE, HUGE], ids=["80x24", "120x40", "200x50"])
@pytest.mark.parametrize("keys", [("6",), ("6", "enter")], ids=["view", "detail"])
def test_every_figure_of_a_worker_has_its_chart(keys: tuple[str, ...], size: tuple[int, int]) -> None:
    """Two beside each other, with what they show now; all of them on the screen."""
    lines = look(ShopFeed(), *keys, size=size).splitlines()
    start = next(place for place, line in enumerate(lines) if "OVER TIME" in line)
    charts = [line for line in lines[start:] if any(char in line for char in "▁▂▃▄▅▆▇█") or "peak" in line]
    half = size[0] // 2
    heads = [line[side : side + 9].strip() for line in lines[start:] for side in (0, half)]
    assert set(FIGURES) <= set(heads)
    assert charts
    assert max(map(len, lines)) <= size[0]


def test_a_worker_that_serves_more_than_its_siblings_is_told_so() -> None:
    """Its share, and how many even shares that is."""
    assert "share 23%, 0.93 of an even one" in look(ShopFeed(), "6", "enter")
    text = look(ShopFeed(change=_one_serves_most), "6", "enter")
    assert "share 75%, 3.00 of an even one" in text


def _one_serves_most(summary: Summary) -> Summary:
    workers = [replace(worker, requests=100) for worker in summary.workers]
    return replace(summary, workers=(replace(workers[0], requests=900), *workers[1:]))


def test_a_worker_alone_has_no_share() -> None:
    """There is nothing to compare it with."""
    assert "of an even one" not in look(ShopFeed(workers=1), "6", "enter")


def test_waits_for_a_thread_are_told_with_those_who_wait_now() -> None:
    """The pool, who waits, and how long it took to get one."""

    def dry(worker: WorkerSummary) -> WorkerSummary:
        pool = ThreadpoolStats(used=40, total=40, waiting=7)
        return replace(worker, threadpool=pool, threadpool_wait=sketch([500.0] * 40))

    def all_dry(summary: Summary) -> Summary:
        return replace(summary, workers=tuple(map(dry, summary.workers)))

    text = look(ShopFeed(change=all_dry), "6", "enter", size=LARGE)
    assert "threadpool 40/40, 7 waiting" in text
    assert "wait for a thread p95 50" in text
    assert "40/40 +7" in text
