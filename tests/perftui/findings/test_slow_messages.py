"""What is said of WebSocket endpoints: where they are slow, and next to where they are."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.model.after import ChannelSummary
from perftui.model.summary import Summary
from tests.perftui.findings.pictures import found, only, picture


def a_socket(p95_ms: float | None = 300.0, handled: int = 20, **more: Any) -> Summary:
    """Return a picture of a chat whose messages take so long."""
    values: dict[str, Any] = {
        "kind": "websocket",
        "open": 3,
        "received": handled,
        "handling_p50_ms": p95_ms,
        "handling_p95_ms": p95_ms,
        "handling_max_ms": p95_ms,
        "handling_ms": (p95_ms or 0.0) * handled,
    }
    return picture(channels=[ChannelSummary(route="WS /chat/{room}", handled=handled, **{**values, **more})])


def test_a_slow_endpoint_is_named_with_its_figures() -> None:
    """How long, of how many, and what keeps the next waiting."""
    finding = only("slow-messages", a_socket(queued=10))

    assert (finding.subject, finding.severity, finding.channel) == (
        "WS /chat/{room}",
        "low",
        "websocket WS /chat/{room}",
    )
    assert finding.sentence == (
        "p95 300 ms for a message, of 20 messages; after 50 % of them the next had been waiting"
    )


def test_what_most_of_it_goes_to_is_said() -> None:
    """A database, another service."""
    finding = only("slow-messages", a_socket(sql=40, sql_ms=4_800.0))

    assert "80 % of it SQL" in finding.sentence
    assert finding.evidence["sql_ms_per_message"] == 240.0


@pytest.mark.parametrize(
    "summary",
    [
        a_socket(80.0),
        a_socket(handled=4),
        a_socket(None, handled=0),
        a_socket(kind="events"),
        # The handler's own time is what is judged: these have little of it.
        a_socket(20.0, news_ms=60_000.0),
        a_socket(20.0, held_ms=60_000.0),
        a_socket(20.0, blocked=20, blocked_p95_ms=900.0),
    ],
    ids=[
        "quick",
        "few",
        "none",
        "a stream",
        "waits for news",
        "the loop was held",
        "the client reads slowly",
    ],
)
def test_a_healthy_endpoint_is_not(summary: Summary) -> None:
    """What looks like it and is no slowness of the endpoint's."""
    assert found("slow-messages", summary) == []


def test_it_stays_until_it_is_well_below() -> None:
    """And its severity follows how long a message takes."""
    assert found("slow-messages", a_socket(120.0)) == []
    assert only("slow-messages", a_socket(120.0), {"WS /chat/{room}": "low"}).severity == "low"
    assert only("slow-messages", a_socket(500.0)).severity == "medium"
    assert only("slow-messages", a_socket(2_500.0)).severity == "high"
