"""Which screen shows what: the only place that knows all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from perftui.present.text.evidence import Subject, SubjectKind
from perftui.screens.caches import CachesView
from perftui.screens.database import DatabaseScreen
from perftui.screens.evidence_taken import evidence_view
from perftui.screens.request import FlightView, RequestView
from perftui.screens.requests import RequestsView
from perftui.screens.resource import (
    BackgroundView,
    CacheView,
    ChannelView,
    PlaceView,
    PoolView,
    StatementView,
    UpstreamView,
)
from perftui.screens.route import RouteView
from perftui.screens.routes import RoutesView
from perftui.screens.sql import SqlView
from perftui.screens.timeline import TimelineView
from perftui.screens.upstreams import UpstreamsView
from perftui.screens.view import Host, View
from perftui.screens.worker import WorkerView
from perftui.screens.workers import WorkersView

_DETAILS: Mapping[SubjectKind, Callable[[Host, str, tuple[str, ...]], View[None]]] = {
    "route": RouteView,
    "worker": WorkerView,
    "request": RequestView,
    "flight": FlightView,
    "statement": StatementView,
    "database": DatabaseScreen,
    "pool": PoolView,
    "cache": CacheView,
    "upstream": UpstreamView,
    "background": BackgroundView,
    "channel": ChannelView,
    "place": PlaceView,
    "evidence": evidence_view,
}

_VIEWS: Mapping[int, Callable[[Host], View[None]]] = {
    2: RoutesView,
    3: RequestsView,
    4: SqlView,
    5: CachesView,
    6: WorkersView,
    7: TimelineView,
    8: UpstreamsView,
}
"""By the digit that opens each; 1 is the triage view, which all others stand on."""


def view_of(host: Host, number: int) -> View[None]:
    """Return a new view of a digit."""
    return _VIEWS[number](host)


def detail_of(host: Host, subject: Subject, trail: tuple[str, ...]) -> View[None]:
    """Return a new screen on a subject that is not a view."""
    return _DETAILS[subject.kind](host, subject.key, trail)
