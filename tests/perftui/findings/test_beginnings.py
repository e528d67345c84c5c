"""Since when what stands has stood, by the past that agents remember."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.findings.beginnings import STEP_S, Beginnings
from perftui.findings.find import find
from perftui.model.happenings import Finding
from perftui.model.steps import Steps, finished
from perftui.model.summary import Summary
from tests.perftui.findings.pictures import a_block, picture
from tests.support.frames import T

NOW = (T // STEP_S + 30) * STEP_S + 20.0
"""Between two of the moments that are looked at."""


class Past:
    """A service whose loop was held thrice in each minute from one moment to another."""

    def __init__(self, began: float, ended: float, *, known_from: float = 0.0) -> None:
        self.began, self.ended, self.known_from = began, ended, known_from
        self.asked: list[float] = []

    def at(self, moment: float) -> Summary:
        """Return a minute's picture."""
        held = self.began < moment <= self.ended
        blocks = [a_block(300.0, ago_s=T - moment + place) for place in (3.0, 2.0, 1.0)] if held else []
        return picture(incidents=blocks, at=moment)

    def __call__(self, window_s: float, moment: float) -> Steps[Summary] | None:
        return self._steps(moment) if moment - window_s >= self.known_from else None

    def _steps(self, moment: float) -> Steps[Summary]:
        self.asked.append(moment)
        yield
        return self.at(moment)


def looked_back(past: Past, now: float = NOW, judged_since: float = NOW) -> list[Finding]:
    """Return the findings of now, once everything is known that can be."""
    beginnings = Beginnings()
    findings: Sequence[Finding] = find(past.at(now))
    for _ in range(100):
        known, at = beginnings.known(findings, judged_since, 60.0, past)
        if at is None:
            return list(known)
        finished(beginnings.look_steps(at, known, 60.0, past))
    raise AssertionError("it never ends")


def test_what_stood_for_minutes_has_begun_then() -> None:
    """It is looked back minute by minute, until one in which it did not stand, and no moment twice."""
    past = Past(NOW - 400.0, NOW)
    (finding,) = looked_back(past)
    assert finding.since is not None
    assert NOW - 400.0 - STEP_S <= finding.since <= NOW - 400.0 + STEP_S
    assert len(past.asked) == len(set(past.asked)) == 8


def test_what_began_while_it_was_watched_began_then() -> None:
    """Nothing of the past is looked at: each picture was judged as it came."""
    past = Past(NOW - 400.0, NOW)
    (finding,) = looked_back(past, judged_since=NOW - 3600.0)
    assert finding.since == NOW - 3.0
    assert not past.asked


def test_further_back_than_is_remembered_nothing_is_claimed() -> None:
    """It has stood since then at least."""
    past = Past(0.0, NOW, known_from=NOW - 200.0)
    (finding,) = looked_back(past)
    assert finding.since is not None
    assert NOW - 200.0 <= finding.since <= NOW - 80.0


def test_a_pause_in_between_ends_it() -> None:
    """What stood an hour ago and not since is another trouble."""
    past = Past(NOW - 25.0, NOW)
    (finding,) = looked_back(past)
    assert finding.since is not None
    assert finding.since >= NOW - 25.0
    assert past.asked == [NOW - 20.0, NOW - 80.0]
