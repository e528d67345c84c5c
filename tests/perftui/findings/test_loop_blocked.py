"""Code that holds the event loop."""

from __future__ import annotations

import pytest

from tests.perftui.findings.pictures import a_block, a_silence, a_worker, found, only, picture
from tests.support.frames import T

KIND = "loop-blocked"


def test_repeated_blocks_of_one_place_are_one_finding() -> None:
    """The sentence reads as an engineer would say it."""
    blocks = [a_block(1900.0), *[a_block(300.0, ago_s=20.0 + place) for place in range(13)]]
    finding = only(KIND, picture(incidents=blocks))
    assert finding.subject == "app/reports.py:42 build"
    assert finding.sentence == "held worker 4121 up to 1.9 s, 14× in 1 m"
    assert finding.severity == "high"
    assert finding.evidence["blocks"] == 14
    assert finding.evidence["total_ms"] == 1900.0 + 13 * 300.0
    assert finding.route == "GET /reports"
    assert finding.since == T - 32.0


def test_lines_of_one_function_count_together() -> None:
    """Samples catch a function at several lines; the one that held longest speaks for it."""
    blocks = [a_block(200.0, f"app/reports.py:{line} build") for line in (40, 42, 44)]
    finding = only(KIND, picture(incidents=[*blocks, a_block(150.0, "app/reports.py:44 build")]))
    assert finding.subject == "app/reports.py:44 build"
    assert finding.evidence["blocks"] == 4


def test_a_function_and_what_it_computes_with_count_together() -> None:
    """A sort's key or a comprehension is a frame of its own: which of them was met is chance."""
    places = ("build", "build.<locals>.<lambda>", "build.<locals>.<listcomp>.<locals>.<genexpr>")
    blocks = [a_block(150.0 + place, f"app/reports.py:42 {name}") for place, name in enumerate(places)]
    assert only(KIND, picture(incidents=blocks)).evidence["blocks"] == 3
    other = [a_block(150.0, f"app/reports.py:42 build.<locals>.{name}") for name in ("one", "two", "three")]
    assert not found(KIND, picture(incidents=other))


def test_one_short_block_is_healthy() -> None:
    """A cold import or a busy machine holds a loop for a moment."""
    assert not found(KIND, picture(incidents=[a_block(150.0)]))


def test_two_places_that_block_once_each_are_healthy() -> None:
    """Blocks of different functions do not add up."""
    blocks = [a_block(150.0, f"app/{name}.py:1 load") for name in ("one", "two", "three")]
    assert not found(KIND, picture(incidents=blocks))


def test_one_long_block_is_enough() -> None:
    """A loop that stands for 1.5 s fails health checks by itself."""
    assert only(KIND, picture(incidents=[a_block(1500.0)])).severity == "high"


def test_a_block_that_goes_on_is_said_to() -> None:
    """Whoever looks wants to know whether it is over."""
    blocks = [a_block(200.0, ago_s=30.0), a_block(200.0, ago_s=20.0), a_block(1200.0, ongoing=True)]
    assert only(KIND, picture(incidents=blocks)).sentence.endswith("3× in 1 m, and still does")


def test_it_stays_while_any_block_is_in_the_window() -> None:
    """As blocks leave the window one by one, the finding doesn't come and go."""
    assert only(KIND, picture(incidents=[a_block(150.0)]), {"app/reports.py build": "low"}).severity == "low"


def test_the_agent_never_blames_itself_for_the_collector() -> None:
    """While garbage is collected, the agent's own callback is what other threads see."""
    place = "perftui_agent/probes/machine/garbage.py:49 GarbageProbe._on_collection"
    assert not found(KIND, picture(incidents=[a_block(1500.0, place)] * 5))


def test_other_incidents_are_not_blocks() -> None:
    """The rule reads its own kind alone, and needs a place."""
    assert not found(KIND, picture(incidents=[a_block(2000.0, where="")]))


def test_a_worker_that_hangs_in_silence_holds_its_loop() -> None:
    """C code that keeps the GIL: the worker itself can't tell, its sibling does."""
    finding = only(KIND, picture(incidents=[a_silence("hung", ongoing=True)]))
    assert finding.subject == "app/reports.py:42 build"
    assert finding.sentence == "held worker 4121 up to 3.0 s, 1× in 1 m, and still does"


@pytest.mark.parametrize("verdict", ["starved", "stopped"])
def test_one_that_is_starved_or_stopped_is_held_by_no_code(verdict: str) -> None:
    """No line is to blame for what the machine or a hand does."""
    assert not found(KIND, picture(incidents=[a_silence(verdict)]))


def test_a_block_that_the_worker_and_its_sibling_tell_of_is_one() -> None:
    """As soon as it goes on the worker tells of it, too."""
    finding = only(KIND, picture(incidents=[a_silence("hung"), a_block(3100.0, ago_s=9.9)]))
    assert finding.evidence["blocks"] == 1


def test_the_advice_names_what_can_be_done() -> None:
    """Beside siblings a dump by one of them; a single worker whose GIL is held can't be asked from inside."""
    blocks = [a_block(1900.0)]
    beside = only("loop-blocked", picture(incidents=blocks, workers=(a_worker(), a_worker(2))))
    assert beside.advice.endswith("A dump of worker 4121 shows it at work.")
    alone = only("loop-blocked", picture(incidents=blocks, workers=(a_worker(),)))
    assert "py-spy dump --pid 4121 in a shell, or by a sibling, with --workers 2" in alone.advice
