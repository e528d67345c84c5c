"""The picture that every screen shows: what is judged of it."""

from __future__ import annotations

import pytest

from perftui.model.steps import Steps
from perftui.model.summary import Summary
from perftui.viewing import WINDOWS_S, Viewing
from tests.perftui.findings.pictures import a_worker, picture
from tests.support.fake_feed import FakeFeed


class BusySince(FakeFeed):
    """A service one of whose workers has had no CPU left for some seconds."""

    since_s = 11.0

    def summary_steps(self, window_s: float, cursor: float | None = None) -> Steps[Summary]:
        """Return the mean of a window: full lately, little before."""
        yield
        full = min(1.0, self.since_s / window_s)
        busy = a_worker(
            cpu_mean_percent=30.0 + 69.0 * full, loop_lag_p99_ms=120.0, covered_s=window_s, in_flight=9
        )
        return picture(window_s=window_s, workers=[busy])


@pytest.mark.parametrize("window_s", WINDOWS_S)
def test_what_has_just_begun_is_told_whatever_the_window(window_s: float) -> None:
    """Eleven seconds without CPU are little of a quarter of an hour, and most of what one is paged for."""
    shown = Viewing(BusySince(), clock=lambda: 0.0, window_s=window_s).picture()
    assert [(each.kind, each.severity) for each in shown.findings] == [("cpu-saturated", "medium")]
    assert shown.summary.window_s == window_s


def test_what_is_long_over_is_not_told_in_the_shortest_window() -> None:
    """There it is as if nothing had been."""
    feed = BusySince()
    feed.since_s = 0.0
    assert Viewing(feed, clock=lambda: 0.0, window_s=WINDOWS_S[0]).picture().findings == ()
