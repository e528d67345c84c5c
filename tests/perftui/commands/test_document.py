"""The snapshot document keeps its promise: every key is there, whatever is known."""

from __future__ import annotations

import json

from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.report import report
from perftui.present.documents.snapshot import document
from tests.support.frames import T, dashboard_of, frame, joined, received, route, worker

TOP = """schema target service at window_s coverage totals routes workers queries transactions pools
caches upstreams channels background machine in_flight slowest incidents evidence findings slo forgotten"""
TOTALS = """requests rps error_rate p50_ms p95_ms p99_ms max_ms queue_p95_ms queue_ms_per_request in_flight
open_websockets open_streams transaction_ms_per_request http_per_request http_ms_per_request"""
ROUTE = """route requests rps errors error_rate status p50_ms p95_ms p99_ms max_ms queue_p95_ms
queue_ms_per_request ttfb_p95_ms background_p95_ms bytes_p50 bytes_p95 sql_per_request sql_ms_per_request
transaction_ms_per_request cache_ms_per_request serialize_ms_per_request streaming slo"""
WORKER = """pid host state requests rps p95_ms cpu_percent rss_bytes threads open_files in_flight
loop_lag_p99_ms gc_pause_p99_ms threadpool uptime_s agent probes backlog queue_p95_ms throttled
cpu_wait_percent pressure gil"""


def test_every_promised_key_is_there() -> None:
    """What isn't measured is null or an empty list, and never left out."""
    sent = received(worker(1), frame(1, T + 1, [route("GET /", [5.0])]))
    whole = document(summarize(dashboard_of(joined(worker(1)), sent), T + 1.5))
    assert list(whole) == TOP.split()
    assert set(whole["totals"]) == set(TOTALS.split())
    assert set(ROUTE.split()) <= set(whole["routes"][0])
    assert set(WORKER.split()) <= set(whole["workers"][0])
    assert whole["routes"][0]["sql_per_request"] is None
    assert whole["totals"]["queue_p95_ms"] is whole["totals"]["queue_ms_per_request"] is None
    worker_told = whole["workers"][0]
    assert worker_told["backlog"] is None
    assert (worker_told["throttled"], worker_told["gil"]) == (None, None)
    assert (worker_told["pressure"], worker_told["cpu_wait_percent"]) == (None, None)
    assert whole["machine"] == []
    assert whole["routes"][0]["transaction_ms_per_request"] is None
    assert whole["totals"]["transaction_ms_per_request"] is None
    assert (whole["queries"], whole["findings"]) == ([], [])
    assert whole["at"] == "2023-11-14T22:14:01.500Z"
    assert json.loads(json.dumps(whole)) == whole


def test_a_picture_of_nothing_says_that_nothing_is_known() -> None:
    """Without a single frame all figures are null, and the text has dashes for them."""
    nothing = Summary(target="8000", service=None, at=float(T), window_s=0.0)
    totals = document(nothing)["totals"]
    assert (totals["requests"], totals["rps"], totals["p95_ms"]) == (0, None, None)
    assert "errors – · p50 – · p95 –" in report(nothing)[1]
