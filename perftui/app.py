"""The dashboard as an app: a feed gives summaries, the screens show them, a pace says when.

`run` is what `perftui connect` calls.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from textual import events
from textual.screen import Screen

from perftui.asking import Asking
from perftui.driver import ThriftyDriver
from perftui.faults import FAULTS, log_path
from perftui.feed import Feed, LiveFeed
from perftui.keeping import Keeping
from perftui.keytable.key import Place
from perftui.model.flame import Samples
from perftui.model.steps import Steps
from perftui.pace import SLOW_S, Pace
from perftui.present.text.evidence import Subject
from perftui.present.text.units import period, size
from perftui.screens.triage import TriageView
from perftui.screens.view import View
from perftui.slices import Slices
from perftui.sources.dead import Dead
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live
from perftui.terminal import given_back, would_be_brought_back
from perftui.travelling import Travelling
from perftui.viewing import WINDOWS_S, Viewing
from perftui.widgets.bindings import bindings
from perftui.widgets.ink import wants_ascii
from perftui.widgets.painter import Painter
from perftui.widgets.palette import THEMES, Depth, depth_of
from perftui.widgets.spared import Spared
from perftui_agent.wire.parts import WorkerId

REMARK_S = 3.0

SAID_S = 10.0
"""So long the bottom line says what is special about this dashboard."""

TICK_S = 0.25
"""How often it is asked whether to paint: nothing is painted more often."""

WAITING_TICK_S = 0.02
"""The same before the first numbers: the first picture is the one that is waited for."""

PATIENCE_S = 1.0
"""So long nothing is painted before the first numbers but that it is connecting."""

HEAD_START_S = 1.5
"""So long the first picture has to itself at most, before the past is read."""


class Dashboard(Spared, Keeping, Asking, Travelling, inherit_bindings=False):
    """The app: what all screens share, and nothing else."""

    BINDINGS = bindings("everywhere")
    also: tuple[Place, ...] = ()
    CSS_PATH = "theme.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "perftui"

    def __init__(
        self,
        feed: Feed,
        *,
        depth: Depth | None = None,
        clock: Callable[[], float] = time.monotonic,
        slow: bool = False,
        light: bool = False,
        window_s: float = WINDOWS_S[1],
        targets: Sequence[LiveTarget] = (),
        said: str = "",
    ) -> None:
        no_color = "NO_COLOR" in os.environ
        super().__init__(driver_class=ThriftyDriver, ansi_color=True if no_color else None)
        self.depth = depth or depth_of(self.console.color_system, no_color, light=light)
        self.painter = Painter(ascii_only=wants_ascii(os.environ))
        self._feed = feed
        self._clock = clock
        self._pace = Pace(clock(), slow=slow)
        self._slices = Slices(self._painted)
        self._waits_for_numbers = True
        self._began = clock()
        self._sent = (self._began, 0)
        self._rate = ""
        self._remark = (said, clock() + SAID_S)
        self._fault: Exception | None = None
        self.marked_samples: Samples | None = None
        self._targets = targets
        self._viewing = self.viewing_of(feed, clock, window_s)
        self.picture = self._viewing.picture()
        for theme in THEMES.values():
            self.register_theme(theme)
        self.theme = THEMES[self.depth].name

    def viewing_of(self, feed: Feed, clock: Callable[[], float], window_s: float) -> Viewing:
        """Return how the feed is looked at."""
        return Viewing(feed, clock, window_s)

    def get_default_screen(self) -> Screen[None]:
        """Start with the triage view."""
        return TriageView(self)

    def on_mount(self) -> None:
        """Follow the feed, and look again and again whether there is something to paint."""
        self.run_worker(self._follow(), exit_on_error=True)
        # Back from the background: the shell has had the terminal since.
        self.app_resume_signal.subscribe(self, lambda _: self.action_redraw())
        self.set_timer(WAITING_TICK_S, self._tick)

    async def _follow(self) -> None:
        try:
            await self._feed.run(self._pace.arrived)
        except Exception as error:  # noqa: BLE001 - whoever opened it tells of it on a plain terminal
            self._fault = error
            self.exit(1)

    def outcome(self, code: int | None) -> int:
        """Return the exit code of what has been left with `code`; raise what made it end by itself."""
        if self._fault is not None:
            raise self._fault
        return 2 if self.return_code else code or 0

    def _tick(self) -> None:
        with FAULTS.spared("the clock of the dashboard"):
            self._look()
        self.set_timer(TICK_S if self.picture.summary.has_numbers else WAITING_TICK_S, self._tick)

    def _look(self) -> None:
        waiting = not self.picture.summary.has_numbers
        if self._pace.look(self._backlog()):
            line = "slow line" if self._pace.period_s >= SLOW_S else "the line has recovered"
            self.remark(f"{line}: repaints every {period(self._pace.period_s)}")
        elif not self._slices.busy and (self._first_numbers() if waiting else self._due()):
            self._pace.painted(self._clock())
            # The first picture is the one that is waited for.
            first = self._waits_for_numbers
            self._slices.begin(self._painting(looks_back=not first), whole=first)

    def _painting(self, *, looks_back: bool) -> Steps[None]:
        """Take a new picture and show it, in steps."""
        picture = yield from self._viewing.picture_steps()
        self.picture = self._recorded(picture)
        for screen in self._seen_screens():
            yield
            yield from screen.showing()
        if looks_back:
            yield from self._viewing.look_back_steps()

    def _first_numbers(self) -> bool:
        """Tell whether there is something to show at last, or nothing for so long that this is news."""
        if self._feed.reach()[0] is not None and self._pace.news:
            return True
        return self._clock() - self._began > PATIENCE_S and self._due()

    def _due(self) -> bool:
        return self._pace.due(self._clock(), self._expected())

    def _go_on(self) -> None:
        """Do what had to wait for the first numbers: import the other screens, before a key asks for one.

        They take a fifth of the time until then, and ten minutes of the past several times as long.
        """
        import perftui.screens.everything  # noqa: F401, PLC0415

        self._feed.look_back()

    def _backlog(self) -> int:
        """Return how many writes the terminal has not taken yet."""
        writer = getattr(self._driver, "_writer_thread", None)
        return writer._queue.qsize() if writer is not None else 0

    def _expected(self) -> set[WorkerId]:
        """Return the workers whose frames are waited for before a paint."""
        return {
            worker.identity.id for worker in self.picture.summary.workers if worker.state in {"ok", "blocked"}
        }

    def repaint(self) -> None:
        """Take a new picture and show it on every screen."""
        self._pace.painted(self._clock())
        with FAULTS.spared("the picture"):
            self.picture = self._recorded(self._viewing.picture())
        self._slices.drop()
        self._show()
        self._painted()

    def _painted(self) -> None:
        self._tell_faults()
        if self._waits_for_numbers and self.picture.summary.has_numbers:
            self._waits_for_numbers = False
            self.call_after_refresh(self._go_on)

    def _tell_faults(self) -> None:
        """Say that something of ours has failed, and where it is written down."""
        if FAULTS.write(log_path()):
            self.remark(f"a fault of perftui's own: {FAULTS.latest}")

    def _show(self) -> None:
        for screen in self._seen_screens():
            screen.show()

    def _seen_screens(self) -> Iterator[View[Any]]:
        """Yield the screens in sight: what lies below is not, but for a question that is asked above it."""
        for screen in reversed(self.screen_stack):
            if isinstance(screen, View):
                yield screen
            if not screen.is_modal:
                break

    def open_subject(self, subject: Subject) -> None:
        """Show the screen of a subject above the present one."""
        if subject.kind == "view":
            self.action_view(int(subject.key))
            return
        trail = self.screen.crumbs() if isinstance(self.screen, View) else ()
        from perftui.screens.opening import detail_of  # noqa: PLC0415 - see `_go_on`

        self.push_screen(detail_of(self, subject, trail))

    def action_view(self, number: int) -> None:
        """Show one of the views 1 to 8; the triage view lies below all others."""
        from perftui.screens.opening import view_of  # noqa: PLC0415 - see `_go_on`

        with self.batch_update():
            while len(self.screen_stack) > 1:
                self.pop_screen()
            if number > 1:
                name = f"view-{number}"
                if not self.is_screen_installed(name):
                    self.install_screen(view_of(self, number), name)
                self.push_screen(name)

    def on_resize(self) -> None:
        """Assume nothing of what a resized terminal still shows."""
        self.painter.forget()

    def remark(self, text: str) -> None:
        """Say something in the bottom line for a moment."""
        self._remark = (text, self._clock() + REMARK_S)
        self._show()

    def aside(self) -> str:
        """Return the remark of the moment, else how much goes to the terminal, where there is room."""
        text, until = self._remark
        return text if self._clock() < until else self._traffic()

    def _traffic(self) -> str:
        since, before = self._sent
        now, sent = self._clock(), self.painter.bytes_sent
        if now - since >= 5.0:
            self._sent = (now, sent)
            self._rate = f"{size((sent - before) / (now - since))}/s"
        return self._rate if self.size.width >= 100 else ""

    def refused(self) -> str:
        """Return why nothing can be asked of a worker here; empty where it can."""
        return ""

    def action_refresh_rate(self, by: int) -> None:
        """Paint more or less often."""
        self._pace.step(by)
        self.remark(f"repaints every {period(self._pace.period_s)}")

    def action_palette(self) -> None:
        """Let something be chosen of all that can be done on this screen."""
        from perftui.screens.palette import Command, Palette  # noqa: PLC0415 - see `_go_on`

        view = self.screen
        if not isinstance(view, View):
            return

        def chosen(command: Command | None) -> None:
            for press in command.presses if command else ():
                self.simulate_key(press)

        self.push_screen(Palette(self, *dict.fromkeys((*view.places(), *self.also, "everywhere"))), chosen)

    def action_copy(self) -> None:
        """Copy what is on the screen to the clipboard of the terminal."""
        from perftui.screens.export import as_markdown, clipboard_codes, copied  # noqa: PLC0415 - see `_go_on`

        if isinstance(self.screen, View) and self._driver is not None:
            text = as_markdown(self.screen)
            self._driver.write(clipboard_codes(text, os.environ))
            self.remark(copied(text, os.environ))

    def action_export(self) -> None:
        """Ask as what to write the view, and write it."""
        from perftui.screens.export import Export, Format, write_file  # noqa: PLC0415 - see `_go_on`

        view = self.screen

        def answered(chosen: Format | None) -> None:
            if chosen is not None and isinstance(view, View):
                self.remark(write_file(view, chosen))

        self.push_screen(Export(self), answered)

    def action_redraw(self) -> None:
        """Send the whole screen again."""
        self.painter.forget()
        self.screen.refresh(layout=True)

    async def on_event(self, event: events.Event) -> None:
        """Take alt+letter for escape and the letter: pressed fast, they are the same bytes."""
        if isinstance(event, events.Key):
            self._slices.pressed()
        if isinstance(event, events.Key) and event.key.startswith("alt+") and len(event.key) == 5:
            letter = events.Key(event.key[4:], event.key[4:])
            target = self.focused or self.screen
            await super().on_event(events.Key("escape", "\x1b"))
            # Behind the escape in the queue of who handles it: the letter is for the screen after it.
            target.call_later(lambda: self.post_message(letter))
            return
        await super().on_event(event)

    def action_suspend_process(self) -> None:
        """Go into the background, where there is somebody to bring it back."""
        if would_be_brought_back():
            super().action_suspend_process()
        else:
            self.remark("no shell would bring it back from the background: q quits")

    def action_help(self) -> None:
        """Show the keys, and on a route first why it has no finding."""
        from perftui.screens.help import HelpView  # noqa: PLC0415 - see `_go_on`

        if not isinstance(self.screen, HelpView):
            route = self.screen.route_here() if isinstance(self.screen, View) else None
            self.push_screen(HelpView(self, route))

    async def action_quit(self) -> None:
        """Leave; a recording ends with it."""
        await self.end_recording()
        self.exit(0)


def show(feed: Feed) -> int:
    """Show the dashboard on a feed until it is left; return the exit code."""
    with told_afterwards(), given_back():
        app = Dashboard(feed)
        return app.outcome(app.run())


def run(
    targets: Sequence[str],
    *,
    slow: bool = False,
    light: bool = False,
    mouse: bool = True,
    window_s: float = WINDOWS_S[1],
    gone: Sequence[Dead] = (),
) -> int:
    """Open the dashboard on what `targets` mean, the only service there is if there are none.

    Where all of them are `gone`, it shows those, and goes on with who comes. `slow` spares a thin line from
    the start, `light` is for a light ground, without `mouse` clicks stay the terminal's. Returns the exit
    code; raises `TargetError` when there is nothing to look at.
    """

    async def opened() -> int:
        async with LiveSource(parse_live(targets), head_start_s=HEAD_START_S, gone=gone) as source:
            feed = LiveFeed(source)
            said = f"gone: waiting for {source.name} to come again" if gone else ""
            app = Dashboard(
                feed, slow=slow, light=light, window_s=window_s, targets=source.targets, said=said
            )
            try:
                return app.outcome(await app.run_async(mouse=mouse))
            finally:
                await app.end_recording()

    with told_afterwards(), given_back():
        return asyncio.run(opened())


@contextmanager
def told_afterwards() -> Iterator[None]:
    """Tell on the plain terminal which faults of ours a session has survived."""
    try:
        yield
    finally:
        if FAULTS:
            told = FAULTS.story() if os.environ.get("PERFTUI_DEBUG") else ""
            sys.stderr.write(f"{told}perftui: {FAULTS.sentence()}\n  please report it with {log_path()}\n")
