"""The functions of a route, as text, as a document and as Python's own tool opens them."""

from __future__ import annotations

import io
import pstats
from pathlib import Path

import msgspec
import pytest

from perftui.present.documents.functions import functions_document, functions_pstats, functions_text
from tests.support.fake_profile import called_by

FUNCTIONS = called_by(4121, "GET /reports", 20, 20)


def test_the_document_has_the_keys_of_the_contract() -> None:
    """Route, requests, worker, and of each function where it is, its calls and its times."""
    document = functions_document(FUNCTIONS)
    assert (document["route"], document["requests"], document["pid"]) == ("GET /reports", 20, 4121)
    assert document["functions"][0] == {
        "where": "shop/reports.py:53 rolling_medians",
        "calls": 20,
        "own_ms": 360.0,
        "total_ms": 520.0,
    }
    assert document["functions"][1]["where"] == "<built-in method builtins.sorted>"


def test_the_text_tells_what_the_requests_took_and_names_the_dearest_first() -> None:
    """In a terminal's width, with the share of what they were at work."""
    lines = functions_text(FUNCTIONS, 80)
    whole = "20 requests, 60ms each: 27ms on the loop, 3.0ms in threads, 30ms waiting"
    assert lines[0] == f"GET /reports · worker 4121 · {whole}"
    assert lines[2].split() == ["OWN", "TOTAL", "CALLS", "FUNCTION"]
    assert lines[3].split() == ["360ms", "60%", "520ms", "20", "shop/reports.py:53", "rolling_medians"]
    assert all(len(line) <= 80 for line in lines[2:])


def test_what_was_too_much_is_counted() -> None:
    """Of thousands of functions thirty are printed, and the rest is not passed over."""
    many = msgspec.structs.replace(FUNCTIONS, functions=FUNCTIONS.functions * 20, functions_cut=7)
    assert functions_text(many, 100)[-1].strip().startswith("57 more: --json has them")


def test_pstats_opens_the_file(tmp_path: Path) -> None:
    """Calls, times and callers are what they were."""
    path = tmp_path / "x.pstats"
    path.write_bytes(functions_pstats(FUNCTIONS))
    out = io.StringIO()
    stats = pstats.Stats(str(path), stream=out).sort_stats("tottime")
    stats.print_stats().print_callers("sorted")
    assert stats.total_tt == pytest.approx(0.6)  # type: ignore[attr-defined]
    told = out.getvalue()
    assert "/srv/shop/reports.py:53(rolling_medians)" in told
    assert "{built-in method builtins.sorted}" in told
    key = ("/srv/shop/reports.py", 53, "rolling_medians")
    calls, primitive, own_s, total_s, callers = stats.stats[key]  # type: ignore[attr-defined]
    assert (calls, primitive, own_s, total_s) == (20, 20, 0.36, 0.52)
    assert callers == {("/srv/shop/reports.py", 42, "build"): (20, 20, 0.36, 0.52)}
