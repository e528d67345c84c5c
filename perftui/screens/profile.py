"""Where workers spend their time: a profile that is taken, or has been."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from textual import on
from textual.app import ComposeResult

from perftui.findings.figures import plural
from perftui.keytable.key import Place
from perftui.messages import FilterChanged
from perftui.model.flame import Function, Samples, samples_of
from perftui.model.parts import pid_of
from perftui.present.details.flame import FlameRow, FlameState, Shape, flame_rows, next_route, title
from perftui.present.documents.profiles import WRITERS
from perftui.present.text.cells import BLANK, Cell, Line, clean, fit_line
from perftui.present.text.units import age, count
from perftui.screens.confirm import Confirm
from perftui.screens.view import Host, View
from perftui.widgets.bindings import bindings
from perftui.widgets.bottom import Bottom, FilterLine
from perftui.widgets.clicks import ClickedLines
from perftui_agent.wire.actions import Profile, Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.parts import RouteLabel, WorkerId

FOR_S = 10.0

MOST_WORKERS = 16
"""Sampled at once, when all are wanted."""


def ask_and_profile(
    view: View[None], workers: Sequence[WorkerId] | None = None, route: RouteLabel | None = None
) -> None:
    """Ask whether to profile workers (None: all of them), and show the profile if the answer is yes."""
    if why := view.host.refused():
        view.host.remark(why)
        return
    summary = view.picture.summary
    there = [worker for worker in summary.workers if worker.state != "gone"]
    chosen = [worker for worker in there if workers is None or worker.identity.id in workers][:MOST_WORKERS]
    if not chosen:
        view.host.remark("no worker to profile yet")
        return

    def answered(yes: bool | None) -> None:
        if yes:
            view.app.push_screen(ProfileView(view.host, [worker.identity.id for worker in chosen], route))

    who = f"worker {chosen[0].pid}" if len(chosen) == 1 else f"{len(chosen)} workers"
    question = f"Profile {who} for {FOR_S:g} s? It takes up to 2 % of a core of each."
    view.app.push_screen(Confirm(view.host, question), answered)


class ProfileView(View[None], inherit_bindings=False):
    """A profile of some workers, live while it is taken."""

    BINDINGS = bindings("flame")
    PLACES: tuple[Place, ...] = ("flame", "everywhere")
    AUTO_FOCUS = ""

    def __init__(
        self,
        host: Host,
        workers: Sequence[WorkerId],
        route: RouteLabel | None = None,
        taken: Profile | None = None,
    ) -> None:
        super().__init__(host)
        self._workers = workers
        self._results: dict[WorkerId, Profile | Refusal] = {} if taken is None else {workers[0]: taken}
        self._partly: dict[WorkerId, Progress] = {}
        self._finish = asyncio.Event()
        self._asked_at = 0.0
        self._taking = False
        self._frozen: Samples | None = None
        self._before: tuple[FlameState, ...] = ()
        self._state = FlameState(route=route)
        self._spy = False
        self._sampled: tuple[tuple[int, ...], Samples] | None = None
        self.body = FlameLines(self)
        self.find_line = FilterLine()

    def content(self) -> ComposeResult:
        """Return the lines of the profile, and the line to find in them."""
        yield self.body
        yield self.find_line

    def on_mount(self) -> None:
        """Take the first profile, unless one is to be shown that was taken before."""
        if not self._results:
            self.action_again()

    def on_unmount(self) -> None:
        """End what is being taken: nobody looks any more."""
        self._finish.set()

    def crumbs(self) -> tuple[str, ...]:
        """Return whose profile it is."""
        if len(self._workers) > 1:
            return (plural(len(self._workers), "worker"), "profile")
        return (f"worker {pid_of(self._workers[0])}", "profile")

    def note(self) -> str:
        """Return how it was taken, and for how long it goes on."""
        profiles, number = self._profiles(), self.samples().count
        if self._taking:
            left = max(FOR_S - (time.monotonic() - self._asked_at), 0.0)
            return f"{left:.0f} s left · {count(number)} samples"
        one = profiles[0] if profiles else None
        return title(one.engine, one.mode, one.rate_hz, number) if one is not None else ""

    def scope(self) -> str:
        """Return no route: the targets are not what this is about."""
        return ""

    def samples(self) -> Samples:
        """Return what has been seen so far, or when it was frozen."""
        if self._frozen is not None:
            return self._frozen
        profiles = self._profiles()
        key = tuple(id(profile) for profile in profiles)
        if self._sampled is None or self._sampled[0] != key:
            self._sampled = key, samples_of(profiles)
        return self._sampled[1]

    def rows(self, width: int) -> list[FlameRow]:
        """Return the lines as they stand."""
        rows = [FlameRow(line) for line in self._said(width)]
        if self._profiles():
            return [*rows, *flame_rows(self.samples(), self.host.marked_samples, self._state, width)]
        if self._taking:
            waited = age(max(time.monotonic() - self._asked_at, 0.0))
            rows.append(FlameRow((Cell("  ○ ", "medium"), Cell(f"sampling … {waited}", "text"))))
        return rows

    def _profiles(self) -> list[Profile]:
        partly = {worker: each.profile for worker, each in self._partly.items() if each.profile is not None}
        whole: Mapping[WorkerId, Profile | Refusal] = {**partly, **self._results}
        return [profile for profile in whole.values() if isinstance(profile, Profile)]

    def _said(self, width: int) -> list[Line]:
        """Return what has to be known to read it: refusals, why this engine, what was cut."""
        lines: list[Line] = []
        for worker, result in self._results.items():
            if isinstance(result, Refusal):
                row = self.picture.summary.worker(worker)
                text = f"worker {row.pid if row else worker}: {clean(result.reason)}"
                lines.append(fit_line((Cell("  ✗ ", "high"), Cell(text, "bright")), width))
                if result.advice:
                    lines.append(fit_line((Cell(f"    {clean(result.advice)}", "label"),), width))
        notes = dict.fromkeys(profile.note for profile in self._profiles() if profile.note)
        because = dict.fromkeys(f"{each.engine}: {each.because}" for each in self._profiles() if each.because)
        told = "; ".join(map(clean, (*because, *notes)))
        if told:
            lines.append(fit_line((Cell(f"  {told}", "dim"),), width))
        return lines

    def action_again(self) -> None:
        """Take a profile, unless one is being taken."""
        if self._taking:
            return
        self._results, self._partly, self._frozen = {}, {}, None
        self._asked_at, self._taking = time.monotonic(), True
        self._finish = asyncio.Event()
        self.run_worker(self._take(), exclusive=True)
        self.show()

    def action_engine(self) -> None:
        """Take another one, by the other engine."""
        if self._taking:
            self.host.remark("one is being taken: e ends it")
        else:
            self._spy = not self._spy
            self.action_again()

    async def _take(self) -> None:
        async def one(worker: WorkerId) -> None:
            def told(progress: Progress) -> None:
                self._partly[worker] = progress
                self.show()

            self._results[worker] = await self.host.take_profile(
                worker, for_s=FOR_S, by_route=not self._spy, told=told, finish=self._finish
            )
            self.show()

        try:
            await asyncio.gather(*(one(worker) for worker in self._workers))
        finally:
            self._taking = False
        self.show()

    def action_finish(self) -> None:
        """End it now."""
        self._finish.set()

    def action_freeze(self) -> None:
        """Keep the picture as it is while it goes on, or let it follow again."""
        self._frozen = self.samples() if self._frozen is None else None
        self.host.remark("frozen: it goes on sampling" if self._frozen is not None else "follows the samples")
        self.show()

    def action_zoom_in(self) -> None:
        """Zoom into the function under the cursor."""
        function = self.body.pointed()
        if function is not None and self._state.zoom[-1:] != (function,):
            self._look(replace(self._state, shape="ways", zoom=(*self._state.zoom, function)))

    def action_out(self) -> None:
        """Go back to how it was looked at before; from the first, leave."""
        if not self._before:
            self.dismiss(None)
            return
        *before, self._state = self._before
        self._before = tuple(before)
        self.show()

    def action_shape(self, shape: Shape) -> None:
        """Show it in another shape, or the ways again."""
        function = self.body.pointed()
        if shape == "callers" and self._state.shape != "callers":
            if function is not None:
                self._look(replace(self._state, shape="callers", of=function, zoom=()))
            return
        self._look(replace(self._state, shape="ways" if self._state.shape == shape else shape))

    def action_route(self, by: int) -> None:
        """Show another route alone, or all."""
        self._look(next_route(self.samples(), self._state, by))

    def action_loop(self) -> None:
        """Show the loop's thread alone, or all threads."""
        self._look(replace(self._state, on_loop=not self._state.on_loop))
        self.host.remark("the event loop's thread alone" if self._state.on_loop else "all threads")

    def action_mark(self) -> None:
        """Mark this profile: others are held against it."""
        self.host.marked_samples = self.samples()
        self.host.remark("marked: x holds a profile against this one")

    def action_save(self) -> None:
        """Write the profile as files that other tools open."""
        stamp = time.strftime("%Y%m%d-%H%M%S")
        samples, written = self.samples(), []
        try:
            for ending, write in WRITERS.items():
                name = f"perftui-profile-{stamp}{ending}"
                with open(name, "wb") as file:
                    file.write(write(samples, " · ".join(self.crumbs())))
                written.append(ending)
        except OSError as error:
            self.host.remark(f"can't be written: {error.strerror}")
            return
        self.host.remark(f"wrote perftui-profile-{stamp}{{{','.join(written)}}}")

    def action_find(self) -> None:
        """Let an expression be typed in place of the bottom line."""
        self.query_one(Bottom).display = False
        self.find_line.display = True
        self.find_line.begin(self._state.pattern)
        self.find_line.focus()

    @on(FilterChanged)
    def type_pattern(self, message: FilterChanged) -> None:
        """Show what it finds as it is typed."""
        self._state = replace(self._state, pattern=message.text)
        self.show()

    def action_keep(self) -> None:
        """Keep the expression."""
        self.find_line.display = False
        self.query_one(Bottom).display = True
        self.set_focus(None)

    def action_drop(self) -> None:
        """Forget the expression."""
        self._state = replace(self._state, pattern="")
        self.action_keep()
        self.show()

    def action_cursor(self, by: int) -> None:
        """Move the cursor by some lines."""
        self.body.move(by)

    def _look(self, state: FlameState) -> None:
        if state != self._state:
            self._before = (*self._before, self._state)[-50:]
            self._state = state
        self.show()


class FlameLines(ClickedLines, inherit_bindings=False):
    """The lines of a profile and a cursor, which stays on its function while the lines change."""

    def __init__(self, view: ProfileView) -> None:
        super().__init__("body")
        self._view = view
        self._rows: list[FlameRow] = []
        self._place = 0
        self._first = 0

    def draw(self, width: int, height: int) -> list[Line]:
        """Return the lines around the cursor."""
        before = self.pointed()
        self._rows = self._view.rows(width)
        self._follow(before)
        self._first = min(max(self._first, self._place - height + 1, 0), self._place)
        if self._place < height:
            self._first = 0
        return [row.line for row in self._rows[self._first : self._first + height]] or [BLANK]

    def _follow(self, function: Function | None) -> None:
        """Put the cursor where its function is now, else on the nearest line that has one."""
        places = [at for at, row in enumerate(self._rows) if row.function is not None]
        same = [at for at in places if self._rows[at].function == function]
        choice = same or places
        self._place = min(choice, key=lambda at: abs(at - self._place), default=0)

    def pointed(self) -> Function | None:
        """Return the function under the cursor."""
        return self._rows[self._place].function if self._place < len(self._rows) else None

    def cursor_line(self) -> int | None:
        """Return the line under the cursor."""
        return self._place - self._first if self.pointed() is not None else None

    def move(self, by: int) -> None:
        """Move the cursor by some lines that have a function."""
        places = [at for at, row in enumerate(self._rows) if row.function is not None]
        if places:
            now = places.index(self._place) if self._place in places else 0
            self._place = places[min(max(now + by, 0), len(places) - 1)]
        self.repaint()

    def click_line(self, line: int) -> bool:
        """Put the cursor on a line."""
        at = self._first + line
        if at >= len(self._rows) or self._rows[at].function is None:
            return False
        self._place = at
        self.repaint()
        return True

    def click_again(self) -> None:
        """Zoom into the function under the cursor."""
        self._view.action_zoom_in()

    def wheel(self, by: int) -> None:
        """Scroll, by moving the cursor."""
        self.move(by)
