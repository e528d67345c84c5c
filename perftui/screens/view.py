"""What all screens share: the header, the bottom line, and a picture that is shown anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from textual.app import ComposeResult
from textual.screen import Screen

from perftui.keytable.key import Place
from perftui.model.database import Databases
from perftui.model.flame import Samples
from perftui.model.steps import Steps, finished
from perftui.present.picture import Picture, header_line
from perftui.present.text.cells import Line
from perftui.present.text.evidence import Subject
from perftui.widgets.bottom import Bottom
from perftui.widgets.lines import Lines, Panel
from perftui.widgets.painter import Painter, ThriftyCompositor
from perftui.widgets.spared import Spared
from perftui_agent.wire.actions import Functions, Memory, Profile, Progress
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation
from perftui_agent.wire.messages import ActionResult
from perftui_agent.wire.parts import RouteLabel, WorkerId

Result = TypeVar("Result")


class Host(Protocol):
    """What screens ask of the app they run in."""

    painter: Painter
    picture: Picture
    also: tuple[Place, ...]
    """Whose keys work on every screen, beside those that always do."""

    def refused(self) -> str:
        """Return why nothing can be asked of a worker here; empty where it can."""

    def took(self, worker: WorkerId, result: ActionResult) -> None:
        """Note what a worker has been asked for, and has given: the timeline and a recording have it too."""

    def remark(self, text: str) -> None:
        """Say something in the bottom line for a moment."""

    def aside(self) -> str:
        """Return what stands at the end of the bottom line: a remark, or `1.1 kB/s`."""

    def open_subject(self, subject: Subject) -> None:
        """Show the screen of a subject."""

    def go_to(self, moment: float) -> None:
        """Show the service as it was at a moment."""

    marked_samples: Samples | None
    """The profile that others are held against."""

    async def take_dump(self, worker: WorkerId, *, locals_of: str = "") -> Dump | Refusal:
        """Return the stacks of a worker, and the variables of a function if asked for; or why not."""

    async def take_profile(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        by_route: bool,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Profile | Refusal:
        """Return where a worker spends its time, or why nobody could tell; see `sources.actions`."""

    async def watch_memory(
        self,
        worker: WorkerId,
        *,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Memory | Refusal:
        """Return what grows in a worker, or why it can't be told."""

    async def ask_databases(self) -> Databases:
        """Return what the service's databases say themselves."""

    async def measure_functions(
        self,
        worker: WorkerId,
        *,
        route: RouteLabel,
        requests: int,
        for_s: float,
        told: Callable[[Progress], None],
        finish: asyncio.Event,
    ) -> Functions | Refusal:
        """Return what the next requests of a route call in a worker, or why there is nothing."""

    async def explain(self, workers: Sequence[WorkerId], fingerprint: str) -> Explanation | Refusal:
        """Return how the database goes about a statement, by the first worker that has run it; or why not."""


class View(Spared, Screen[Result], inherit_bindings=False):
    """A screen with a header, something to show, and a bottom line."""

    PLACES: tuple[Place, ...] = ("everywhere",)
    """Whose keys work here."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host
        self._compositor = ThriftyCompositor(host.painter)

    def compose(self) -> ComposeResult:
        """Put the header above, the bottom line below, and the subclass's content between."""
        yield Panel(self.header, "header")
        yield from self.content()
        yield Bottom(lambda: (*self.places(), *self.also()), self.host.aside)

    def content(self) -> ComposeResult:
        """Return what stands between the header and the bottom line."""
        raise NotImplementedError

    def places(self) -> tuple[Place, ...]:
        """Return whose keys work now: what has the focus has keys of its own."""
        return self.PLACES

    def also(self) -> tuple[Place, ...]:
        """Return whose keys the bottom line tells besides."""
        return self.host.also

    def on_descendant_focus(self) -> None:
        """Tell the keys of what has the focus now."""
        self.query_one(Bottom).repaint()

    @property
    def picture(self) -> Picture:
        """What is to be shown."""
        return self.host.picture

    def header(self, width: int, _height: int) -> list[Line]:
        """Return the header line."""
        return [header_line(self.picture, width, self.crumbs(), self.note(), self.scope())]

    def crumbs(self) -> tuple[str, ...]:
        """Return where this screen is, below the service."""
        return ()

    def note(self) -> str:
        """Return a remark for the header."""
        return ""

    def route_here(self) -> RouteLabel | None:
        """Return the route one has selected, of which the help tells why it has no finding."""
        return None

    def scope(self) -> str:
        """Return the route whose targets the header tells, `all` for the service's."""
        return "all"

    def on_screen_resume(self) -> None:
        """Show the present picture: it went on while this was out of sight."""
        if self.is_current:
            self.show()

    def show(self) -> None:
        """Show the present picture: what hasn't changed isn't painted."""
        finished(self.showing())

    def showing(self) -> Steps[None]:
        """Show the present picture pane by pane."""
        if self.is_mounted:
            for widget in self.query(Lines):
                widget.repaint()
                yield


def thrifty(screen: Screen[Result], host: Host) -> None:
    """Let a screen's updates go through the painter of the app."""
    screen._compositor = ThriftyCompositor(host.painter)
