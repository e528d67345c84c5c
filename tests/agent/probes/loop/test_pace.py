"""Whether a request may have waited is told by what the loop has shown last."""

from __future__ import annotations

import threading

from perftui_agent.probes.loop.pace import GRACE_NS, LATE_FOR_NS, LoopPace

MS = 1_000_000
NOW = 1_000_000_000


def following() -> LoopPace:
    pace = LoopPace()
    pace.follow_this_thread()
    return pace


def test_at_first_everybody_asks() -> None:
    """Nothing is known of the loop."""
    assert following().ask_from_ns == 0


def test_who_comes_soon_after_a_turn_need_not_ask() -> None:
    """It can't have waited longer than since then: a tick that was on time, or a request that just came."""
    pace = following()
    pace.turned(NOW - 1 * MS, NOW)
    assert pace.ask_from_ns == NOW - 1 * MS + GRACE_NS
    pace.called(NOW + 60 * MS, NOW + 60 * MS)
    assert pace.ask_from_ns == NOW + 60 * MS + GRACE_NS


def test_after_a_late_turn_everybody_asks_for_a_while() -> None:
    """Many wait behind each other: a tick on time, or one that had just come, does not end it."""
    pace = following()
    pace.turned(NOW - 300 * MS, NOW)
    over = NOW + LATE_FOR_NS + 300 * MS
    pace.turned(NOW + 50 * MS, NOW + 50 * MS)
    pace.called(over - 1, over - 1)
    assert pace.ask_from_ns == 0
    pace.turned(over, over)
    assert pace.ask_from_ns == over + GRACE_NS


def test_a_request_that_had_waited_makes_the_others_ask() -> None:
    """It knows better than a clock that ticks twenty times a second."""
    pace = following()
    pace.turned(NOW, NOW)
    pace.called(NOW - 20 * MS, NOW)
    assert pace.ask_from_ns == 0


def test_of_two_loops_neither_speaks_for_the_other() -> None:
    """Once a request has come on another thread, each asks for itself."""
    pace = following()
    thread = threading.Thread(target=pace.called, args=(NOW, NOW))
    thread.start()
    thread.join()
    pace.turned(NOW, NOW)
    pace.called(NOW, NOW)
    assert pace.ask_from_ns == 0
    pace.follow_this_thread()
    pace.turned(NOW, NOW)
    assert pace.ask_from_ns == NOW + GRACE_NS


def test_where_nobody_knows_it_is_seldom_asked() -> None:
    """There may be somebody later: once a second it is tried."""
    pace = following()
    pace.rest(NOW)
    assert pace.ask_from_ns == NOW + 1_000 * MS
