"""How a ramp goes, without a screen: what is to be sent, a line that is written over, one for each step."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from perftui.check.grammar import Objective
from perftui.present.text.units import ms, rate
from perftui.ramp.course import Course
from perftui.ramp.load import StepTold
from perftui.ramp.run import Looked
from perftui.ramp.search import Search
from perftui.ramp.sender import Setup
from perftui.ramp.steps import step_of
from perftui.recorder import Recorder

WIDTH = 110


def say_beginning(setup: Setup, name: str, objectives: Sequence[Objective], most: float) -> None:
    """Say what is ramped with what, up to where, and what must hold."""
    hold = ", ".join(map(str, objectives)) or "no more than three times the latency of the first steps"
    sent = ", ".join(map(str, setup.plan[:3])) + (
        f" and {len(setup.plan) - 3} more" if len(setup.plan) > 3 else ""
    )
    click.echo(f"ramping {name} with {sent}, up to {most:g}/s; must hold: {hold}", err=True)
    if changing := [str(each) for each in setup.plan if each.changes_things]:
        click.echo(f"  these may change things: {', '.join(changing)}", err=True)


class Progress:
    """A line on stderr that is written over where there is a terminal, and one for each step.

    Where a screen shows it (`is_silent`), nothing is written.
    """

    def __init__(self, recorder: Recorder | None, course: Course, *, is_silent: bool) -> None:
        self._recorder = recorder
        self._course = course
        self._is_silent = is_silent
        self._is_terminal = sys.stderr.isatty() and not is_silent
        self._number = 1

    def tell(self, search: Search, told: StepTold) -> None:
        """Show how a step goes."""
        if self._is_silent:
            self._course.telling(search, told)
        if not self._is_terminal:
            return
        line = (
            f"  step {self._number} · {search.phase} · {rate(told.rate)}/s · {told.done} done, "
            f"{told.errors} failed, {told.under_way} under way · p95 {ms(told.quantile_ms(0.95))}"
        )
        click.echo(f"\r{line[:WIDTH]:<{WIDTH}}", nl=False, err=True)

    def stepped(self, looked: Looked) -> None:
        """Show how it went."""
        self.end()
        self._course.stepped(looked)
        seen, why = looked.step.seen, looked.step.why
        if self._recorder is not None:
            self._recorder.mark(looked.summary.at, f"ramp: {rate(seen.rate)}/s, {why or 'kept up'}")
        if self._is_silent:
            return
        fullest = max(looked.used.items(), key=lambda item: item[1], default=None)
        full = f" · {fullest[0]} {fullest[1] * 100:.0f} %" if fullest else ""
        told = f"{step_of(looked).sign} {why}".rstrip()
        line = f"  {rate(seen.rate):>6}/s  p50 {ms(seen.p50_ms):>6}  p95 {ms(seen.p95_ms):>6}{full}  {told}"
        click.echo(line, err=True)
        self._number += 1

    def end(self) -> None:
        """Leave the line clean."""
        if self._is_terminal:
            click.echo(f"\r{'':<{WIDTH}}\r", nl=False, err=True)
