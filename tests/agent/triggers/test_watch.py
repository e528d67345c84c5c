"""When a trigger fires: observations in, firings out, no clock but theirs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.sketch import LatencySketch
from perftui_agent.trigger import parse_trigger
from perftui_agent.triggers.sentence import sentence
from perftui_agent.triggers.watch import Firing, Watch, observed
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import LoopStats, ProcessStats
from perftui_agent.wire.requests import RouteFrame, StatusCounts

SECOND_NS = 1_000_000_000


def sketch(*ms: float) -> LatencySketch:
    made = LatencySketch()
    for each in ms:
        made.add(int(each * 1e6))
    return made


def route(name: str, *ms: float, errors: int = 0, long_poll: str = "") -> RouteFrame:
    status = StatusCounts(success=len(ms) - errors, server_error=errors)
    return RouteFrame(route=name, status=status, latency=sketch(*ms), long_poll=long_poll)


def frame(at_s: float, *routes: RouteFrame, span_s: float = 1.0, **said: object) -> Frame:
    made = Frame(seq=1, ended_at=1, steady_ns=int(at_s * 1e9), span_ns=int(span_s * 1e9), routes=list(routes))
    for name, value in said.items():
        setattr(made, name, value)
    return made


def fired(text: str, *frames: Frame) -> list[Firing]:
    watch = Watch(parse_trigger(text))
    firings = (watch.see(observed(watch.trigger, each)) for each in frames)
    return [each for each in firings if each is not None]


SLOW, QUICK = route("GET /", *[1500.0] * 20), route("GET /", *[5.0] * 20)


def test_it_fires_once_as_the_window_is_over_the_bound() -> None:
    """Not before the window was seen as a whole, and not again while it lasts."""
    (firing,) = fired("p95>1s for 5s: dump", *(frame(100 + second, SLOW) for second in range(60)))

    assert firing.at_s == pytest.approx(104.0)
    assert firing.requests == 100
    assert sentence(firing) == "p95 was 1.50 s over 5 s, of 100 requests"


def test_it_fires_again_when_it_has_been_clear_until_the_hour_is_used_up() -> None:
    """Two an hour, unless another is wanted."""
    waves = [frame(100 + t, SLOW if t // 20 % 2 else QUICK) for t in range(600)]

    assert len(fired("p95>1s for 5s: dump", *waves)) == 2
    assert len(fired("p95>1s for 5s: dump, at most 5/h", *waves)) == 5


def test_what_lasts_is_told_of_again_after_its_share_of_the_hour() -> None:
    """Two an hour are half an hour apart then."""
    lasting = [frame(100.0 + 10 * t, SLOW, span_s=10.0) for t in range(400)]

    times = [each.at_s for each in fired("p95>1s for 10s: dump", *lasting)]

    assert times == [100.0, 1900.0, 3700.0]


def test_one_slow_request_is_no_quantile() -> None:
    """Of few requests p95 is the slowest; two of them are needed."""
    one = [frame(100 + t, *([route("GET /", 5000.0)] if t == 4 else [])) for t in range(10)]
    two = [frame(100 + t, *([route("GET /", 5000.0, 5000.0)] if t == 4 else [])) for t in range(10)]

    assert fired("p95>1s for 5s: dump", *one) == []
    assert len(fired("p95>1s for 5s: dump", *two)) == 1


def test_a_route_is_watched_alone_and_long_polls_are_in_nobody_elses() -> None:
    """What waits on purpose is slow by design, unless it is asked for by name."""
    poll = route("GET /poll", *[30000.0] * 10, long_poll="seen")
    frames = [frame(100 + t, QUICK, poll) for t in range(10)]

    assert fired("p95>1s for 5s: dump", *frames) == []
    assert len(fired("GET /poll: p95>1s for 5s: dump", *frames)) == 1
    assert fired("GET /: p95>1s for 5s: dump", *frames) == []
    assert fired("GET /none: p95>1s for 5s: dump", *frames) == []


@pytest.mark.parametrize(
    ("text", "over", "under"),
    [
        ("errors>10% for 3s: dump", {"routes": [route("GET /", 1, 1, errors=1)]}, {"routes": [QUICK]}),
        ("rps>50 for 3s: dump", {"routes": [route("GET /", *[1.0] * 51)]}, {"routes": [QUICK]}),
        ("rps<1 for 3s: dump", {}, {"routes": [QUICK]}),
        ("cpu>90% for 3s: dump", {"process": ProcessStats(cpu_percent=95.0)}, {}),
        ("memory>1GB for 3s: dump", {"process": ProcessStats(rss_bytes=2**30)}, {}),
        ("in_flight>=9 for 3s: dump", {"in_flight": 9}, {"in_flight": 8}),
        ("lag>1s for 3s: dump", {"loop": LoopStats(lag=sketch(2000))}, {"loop": LoopStats(lag=sketch(1))}),
    ],
)  # fmt: skip
def test_each_figure(text: str, over: dict[str, object], under: dict[str, object]) -> None:
    """On one side of the bound it fires, on the other not."""
    assert len(fired(text, *(frame(100 + t, **over) for t in range(6)))) == 1  # type: ignore[arg-type]
    assert fired(text, *(frame(100 + t, **under) for t in range(6))) == []  # type: ignore[arg-type]


def test_a_level_has_to_be_over_all_the_time() -> None:
    """Memory and requests in flight are what they are at each moment: one that is lower clears it."""
    levels = [frame(100 + t, in_flight=5 if t == 2 else 50) for t in range(5)]

    assert fired("in_flight>9 for 5s: dump", *levels) == []


def test_a_process_that_was_stopped_has_not_seen_its_window() -> None:
    """What lies between two frames that are far apart nobody has seen; a clock that goes back starts anew."""
    gap = [frame(100.0, SLOW), frame(160.0, SLOW), frame(161.0, SLOW)]
    back = [*(frame(100 + t, SLOW) for t in range(4)), *(frame(50 + t, SLOW) for t in range(4))]

    assert fired("p95>1s for 5s: dump", *gap) == []
    assert fired("p95>1s for 5s: dump", *back) == []


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([1, 1, 1, 2, 40, 700])), max_size=120),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_limits_hold_whatever_happens(steps: list[tuple[bool, int]], window: int, per_hour: int) -> None:
    """In no hour more than allowed; at the latest when all that was seen in a window was over."""
    at, frames, over_since = 100.0, [], None
    over_at: dict[float, float | None] = {}
    for over, span_s in steps:
        over_since = (over_since if over_since is not None else at) if over else None
        at += span_s
        over_at[at] = over_since
        frames.append(frame(at, SLOW if over else QUICK, span_s=float(span_s)))
    text = f"GET /: p50>1s for {window}s: dump, at most {per_hour}/h"

    times = [each.at_s for each in fired(text, *frames)]

    for place, time_s in enumerate(times):
        assert len([each for each in times[: place + 1] if each > time_s - 3600]) <= per_hour
    always = [at for at, since in over_at.items() if since is not None and at - since >= window]
    if not times:
        # It fires at the latest when everything in a whole window is over.
        assert not always
    assert len(times) <= sum(over for over, _ in steps)
