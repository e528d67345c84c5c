"""A recording at one moment, or over a stretch of it, as everything beyond the model sees a live service.

Takes an open recording, gives what a live source gives once its events are merged: a dashboard, a summary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from perftui.model.dashboard import Dashboard
from perftui.model.events import FrameReceived, HistoryReceived, SourceEvent
from perftui.model.history import BLOCK_S
from perftui.model.merge import merge
from perftui.model.steps import Steps, finished
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.recording.reader import FINE_S, Recording

MARGIN_S = 3.0
"""Added to a window so that its first frames, which began before it, are all in it."""

LONGEST_S = 14 * 60.0
"""The longest stretch that one summary tells of: what is kept is fifteen minutes."""

EVERY = 4
"""So many frames are merged in one step."""


def dashboard_at(recording: Recording, at: float, *, fine_s: float = FINE_S) -> Dashboard:
    """Return what was known at a moment."""
    return finished(dashboard_steps(recording, at, fine_s=fine_s))


def rough_dashboard(recording: Recording, at: float, window_s: float) -> tuple[Dashboard, float]:
    """Return at once what was known of the window before a moment, and of which moment that is.

    It is made of merged frames, as far as there are any: up to ten seconds earlier.
    """
    as_of = max(at // BLOCK_S * BLOCK_S, recording.began_at)
    events = recording.until(as_of, fine_s=0.0, kept_s=window_s - BLOCK_S)
    return finished(_merged(Dashboard(recording.head.target), events)), as_of


def dashboard_steps(recording: Recording, at: float, *, fine_s: float = FINE_S) -> Steps[Dashboard]:
    """Return what `dashboard_at` does, in steps."""
    events = recording.until(at, fine_s=fine_s)
    yield
    return (yield from _merged(Dashboard(recording.head.target), events))


def summary_between(
    recording: Recording,
    since: float,
    until: float,
    follow: Callable[[Dashboard], None] = lambda _: None,
) -> Summary:
    """Return the state over a stretch, of which every frame is told apart; at most the last `LONGEST_S` of
    it. `follow` sees all that comes.

    What it begins with counts if it was watched: of the frames that agents remembered from before, none that
    began earlier.
    """
    since = max(since, until - LONGEST_S)
    length_s = until - since + MARGIN_S
    events = _within(recording.until(until, fine_s=length_s), since, recording.began_at)
    dashboard = finished(_merged(Dashboard(recording.head.target), events, follow))
    return summarize(dashboard, until, length_s)


def _within(events: Iterable[SourceEvent], since: float, began_at: float) -> Iterator[SourceEvent]:
    since_ns = since * 1e9
    for event in events:
        if isinstance(event, HistoryReceived):
            frame = event.frames[0]
            if frame.ended_at - frame.span_ns < since_ns:
                continue
        elif isinstance(event, FrameReceived) and since > began_at and event.frame.ended_at <= since_ns:
            continue
        yield event


def _merged(
    dashboard: Dashboard, events: Iterable[SourceEvent], follow: Callable[[Dashboard], None] = lambda _: None
) -> Steps[Dashboard]:
    for count, event in enumerate(events, 1):
        dashboard = merge(dashboard, event)
        follow(dashboard)
        if count % EVERY == 0:
            yield
    return dashboard
