"""What the frames of one worker add up to."""

from __future__ import annotations

from dataclasses import dataclass, field

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import RouteFrame, StatusCounts


@dataclass(slots=True)
class Seen:
    """What the frames of a worker add up to."""

    frames: list[Frame] = field(default_factory=list)
    routes: dict[str, RouteFrame] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        """Add a frame."""
        self.frames.append(frame)
        for part in frame.routes:
            add_route(self.routes, part)

    @property
    def requests(self) -> dict[str, int]:
        """How many requests each route has had."""
        return {label: route.status.total() for label, route in self.routes.items()}

    @property
    def total(self) -> int:
        """How many requests there were."""
        return sum(self.requests.values())

    @property
    def exceptions(self) -> list[tuple[str, str, str]]:
        """Route, type and place of each kind of unhandled exception."""
        return [
            (label, exception.type, exception.place)
            for label, route in self.routes.items()
            for exception in route.exceptions
        ]

    @property
    def last(self) -> Frame:
        """The latest frame."""
        return self.frames[-1]


def add_route(routes: dict[str, RouteFrame], part: RouteFrame) -> None:
    """Add what a route did in one frame to what it has done so far."""
    whole = routes.setdefault(
        part.route, RouteFrame(route=part.route, status=StatusCounts(), latency=LatencySketch())
    )
    for name in StatusCounts.__struct_fields__:
        setattr(whole.status, name, getattr(whole.status, name) + getattr(part.status, name))
    whole.latency.merge(part.latency)
    whole.queue_known += part.queue_known
    whole.queue.merge(part.queue)
    whole.ttfb.merge(part.ttfb)
    whole.body_bytes.merge(part.body_bytes)
    if part.background is not None:
        whole.background = whole.background or LatencySketch()
        whole.background.merge(part.background)
    whole.streaming += part.streaming
    whole.exceptions = [*whole.exceptions, *part.exceptions]
