"""`perftui ramp`: raise the load until something gives, and name what gave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from perftui.check.grammar import Objective, ObjectiveError, parse_objective
from perftui.clock import now
from perftui.commands.arguments import json_option, seconds
from perftui.commands.opening import dashboard_options
from perftui.commands.ramp_screen import INTERRUPTED, Raised, Show, screen_for
from perftui.commands.record import check_output
from perftui.feed import LiveFeed
from perftui.present.text.units import ms, rate
from perftui.ramp.address import address_of
from perftui.ramp.course import Course
from perftui.ramp.fleet import Fleet, fleet_at, reached_from
from perftui.ramp.load import OURS, Load, StepTold, pinned_to, processes_for
from perftui.ramp.mix import learned
from perftui.ramp.observing import promised
from perftui.ramp.plan import PlanError, Request, parse_requests, read_mix
from perftui.ramp.run import Looked, Ramp, Ramped
from perftui.ramp.safety import environment_of, says_production
from perftui.ramp.search import Search
from perftui.ramp.sender import Setup
from perftui.ramp.telling import ramp_document, ramp_text
from perftui.recorder import SUFFIX, Recorder
from perftui.sources.databases import take_databases
from perftui.sources.local import LocalSource
from perftui.sources.target import LocalTarget, TargetError, parse_local
from perftui_agent.wire.registration import Registration

LEARN_S = 3.0
"""How long the past of a service is asked for, to learn a mix from."""

WIDTH = 110


def _weights(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter(f"{text}: write a number for each request, 10,1") from None


def _objectives(text: str) -> tuple[Objective, ...]:
    try:
        return tuple(parse_objective(part) for part in text.split(",") if part.strip())
    except ObjectiveError as error:
        raise click.BadParameter(str(error)) from None


def _share(text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{text} is no share: write 10% or 0.1")
    return value


class Rate(click.FloatRange):
    """Requests a second: a number within bounds, which `nan` is not, whatever it is compared with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        rate = float(super().convert(value, param, ctx))
        if math.isnan(rate):
            self.fail(f"{value} is no number of requests a second", param, ctx)
        return rate


@click.command()
@click.argument("target")
@click.argument("requests", nargs=-1, metavar="['GET /items/{1..5000}' …]")
@click.option("--weights", type=_weights, default="", metavar="10,1", help="How often each request is sent.")
@click.option("--mix", metavar="FILE|live", help="Requests from a file, or GET and HEAD as they come now.")
@click.option("--from", "start", type=Rate(0.1, 5000), default=5.0, show_default=True,
              metavar="RPS", help="The first rate.")  # fmt: skip
@click.option("--max", "most", type=Rate(0.1, 20_000), default=5000.0, show_default=True,
              metavar="RPS", help="No higher rate is tried.")  # fmt: skip
@click.option("--step", "step_s", type=seconds, default="10s", show_default=True, metavar="TIME",
              help="How long each rate is held; a fifth more is warm-up.")  # fmt: skip
@click.option("--until", "until", type=_objectives, default="", metavar="'p95<200ms,errors<1%'",
              help="What must hold.  [default: what the service promises, else no more than three times the "
              "latency of its first steps]")  # fmt: skip
@click.option("--for", "longest_s", type=seconds, default="15m", show_default=True, metavar="TIME",
              help="The whole of it takes no longer.")  # fmt: skip
@click.option("--connections", type=click.IntRange(1, 20_000), default=1000, show_default=True,
              help="Requests under way at once, at most.")  # fmt: skip
@click.option("--new-connections", type=_share, default="0", metavar="10%",
              help="Which part of the requests opens a connection of its own.")  # fmt: skip
@click.option("--engine", type=click.Choice(["perftui", "locust"]), default="perftui", show_default=True,
              help="What sends: perftui, or Locust's workers, on other machines too.")  # fmt: skip
@click.option(
    "--workers-at", metavar="HOST:PORT", help="Where Locust's workers find its master: an address here."
)
@click.option("--workers", type=click.IntRange(1, 1000), default=1, show_default=True,
              help="How many of Locust's workers to wait for.")  # fmt: skip
@click.option("--i-own", metavar="HOST", help="Send to this host, which is not this machine: it is yours.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Record it (.perftui), or write the JSON here (.json).",
)
@click.option("--plain", is_flag=True, help="A line for each step, no screen.")
@dashboard_options
@json_option
def ramp(
    target: str,
    requests: tuple[str, ...],
    weights: tuple[float, ...],
    mix: str | None,
    start: float,
    most: float,
    step_s: float,
    until: tuple[Objective, ...],
    longest_s: float,
    connections: int,
    new_connections: float,
    engine: str,
    workers_at: str | None,
    workers: int,
    i_own: str | None,
    output: str | None,
    plain: bool,
    slow: bool,
    ascii_only: bool,
    as_json: bool,
) -> None:
    """Raise the load on TARGET until something gives, and tell at which rate, what it was, and what to do.

    Requests come at the rate, whatever the service does, and their latency begins when they were due. Nothing
    is sent to another machine, or to a service whose settings say production. ctrl+c ends it. On a terminal
    it has a screen, which shows the verdict until q is pressed.
    """
    plan = _plan(requests, weights, mix)
    if start > most:
        raise click.BadParameter(f"{start:g} is more than --max {most:g}", param_hint="--from")
    if not 1 <= step_s <= 120:
        raise click.BadParameter("1s to 2m", param_hint="--step")
    if (workers_at is not None) != (engine == "locust"):
        raise click.UsageError("--engine locust and --workers-at HOST:PORT go together")
    fleet = None if workers_at is None else fleet_at(workers_at, workers)
    recording = output if output and output.endswith(SUFFIX) else None
    _check_output(output)
    setup = Setup("", list(plan or ()), most_open=connections, new_connections=new_connections)
    bounds = (start, most, step_s, longest_s)
    targets = parse_local([target])
    show = None if plain or as_json else screen_for(slow=slow, ascii_only=ascii_only)
    ramped = asyncio.run(_run(targets, setup, until, bounds, i_own, recording, show, fleet))
    told = json.dumps(ramp_document(ramped), ensure_ascii=False, indent=2)
    if output and not recording:
        Path(output).write_text(told + "\n", encoding="utf-8")
    if as_json:
        click.echo(told)
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        click.echo("\n".join(ramp_text(ramped, width)))
    if ramped.ended == INTERRUPTED:
        click.get_current_context().exit(130)
    if ramped.search.knee_rps is None:
        click.get_current_context().exit(2)


def _check_output(output: str | None) -> None:
    """Refuse now what could not be written when it is over."""
    if output is None:
        return
    if output.endswith(SUFFIX):
        check_output(output)
    elif not output.endswith(".json"):
        raise click.BadParameter(
            f"{output}: its end says what is written, {SUFFIX} a recording, .json what was found",
            param_hint="-o",
        )
    elif not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")


def _plan(requests: Sequence[str], weights: Sequence[float], mix: str | None) -> tuple[Request, ...] | None:
    """Return what is to be sent; None if it is to be learned from the service."""
    try:
        if mix is not None and (requests or weights):
            given = "requests" if requests else "--weights"
            raise PlanError(f"either {given} or --mix {mix}: a mix has requests and weights of its own")
        if mix == "live":
            return None
        if mix is not None:
            return read_mix(Path(mix))
        return parse_requests(requests, weights)
    except PlanError as error:
        raise click.UsageError(str(error)) from None


async def _run(
    targets: tuple[LocalTarget, ...],
    setup: Setup,
    until: tuple[Objective, ...],
    bounds: tuple[float, float, float, float],
    i_own: str | None,
    recording: str | None,
    show: Show | None,
    fleet: Fleet | None,
) -> Ramped:
    start, most, step_s, longest_s = bounds
    async with LocalSource(targets) as source:
        registrations = source.workers()
        base_url, unix = address_of(targets[0], registrations, i_own)
        _refuse_production(registrations)
        feed = LiveFeed(source)
        following = asyncio.create_task(feed.run(lambda _: None))
        try:
            if not setup.plan:
                setup = _with(setup, plan=list(await _learn(source, feed)))
            await asyncio.sleep(1.2)
            objectives = until or promised(feed.summary(60.0))
            processes = processes_for(most) if fleet is None else 1
            cpus = pinned_to(sorted(os.sched_getaffinity(0)), processes)
            if fleet is not None:
                base_url = reached_from(fleet, base_url, unix)
            setup = _with(setup, base_url=base_url, unix=unix, cpus=cpus)
            _say_beginning(setup, source.name, objectives, most)
            if fleet is not None:
                click.echo(f"  waiting for {fleet.workers} of locust's workers: {fleet.told}", err=True)
            command = OURS if fleet is None else fleet.command
            async with _recorded(targets, recording) as recorder, Load(setup, processes, command) as load:
                sent = [str(each) for each in setup.plan]
                course = Course(feed, objectives, requests=sent, most_rps=most, longest_s=longest_s)
                progress = Progress(recorder, course, is_silent=show is not None)
                under_way = Ramp(
                    feed, load, objectives, step_s=step_s, longest_s=longest_s,
                    telling=progress.tell, stepped=progress.stepped,
                    ask_database=lambda: take_databases(source),
                )  # fmt: skip
                raised = Raised(under_way, course, start, most)
                if show is not None:
                    # The screen follows the feed itself, and it can be followed by one alone.
                    await _ended(following)
                    await show(feed, raised)
                else:
                    with _ended_by_signals(under_way):
                        await raised.run()
                    progress.end()
                if recorder is not None and course.seen.is_over:
                    recorder.mark(now(), f"ramp: {course.seen.verdict}")
                    recorder.ramped(course.seen)
                if raised.ramped is None:
                    raise TargetError(
                        "the ramp was left before it could be stopped", "nothing is sent any more"
                    )
                return raised.ramped
        finally:
            await _ended(following)


async def _ended(following: asyncio.Task[None]) -> None:
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@contextlib.asynccontextmanager
async def _recorded(targets: tuple[LocalTarget, ...], path: str | None) -> AsyncIterator[Recorder | None]:
    """Record what happens meanwhile, if it is to be."""
    if path is None:
        yield None
        return
    async with LocalSource(targets) as source:
        recorder = Recorder(source, path)
        writing = asyncio.create_task(recorder.run())
        try:
            yield recorder
        finally:
            recorder.end()
            try:
                await writing
            except OSError as error:  # what was found is worth more than its recording
                click.echo(f"{path} has ended before its time: {error.strerror or error}", err=True)
            else:
                click.echo(f"wrote {path}", err=True)


def _with(setup: Setup, **changes: object) -> Setup:

    return msgspec.structs.replace(setup, **changes)


async def _learn(source: LocalSource, feed: LiveFeed) -> tuple[Request, ...]:
    source.look_back()
    await asyncio.sleep(LEARN_S)
    plan = learned(feed.summary(300.0))
    if not plan:
        raise TargetError(
            f"{source.name} has served no GET or HEAD lately whose paths are known",
            "name a request: perftui ramp TARGET 'GET /items/{1..5000}'",
        )
    for request in plan:
        click.echo(f"  {request.weight:g} × {request}", err=True)
    return plan


def _refuse_production(registrations: Sequence[Registration]) -> None:
    for each in registrations:
        names = (each.worker.service, each.worker.version)
        if said := says_production(environment_of(each.worker.pid), names):
            raise TargetError(
                f"worker {each.worker.pid} says it is production ({said}): nothing is sent to it",
                "ramp a copy of it, with settings of its own",
            )


def _say_beginning(setup: Setup, name: str, objectives: Sequence[Objective], most: float) -> None:
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
        told = f"✗ {why}" if why else "✓"
        line = f"  {rate(seen.rate):>6}/s  p50 {ms(seen.p50_ms):>6}  p95 {ms(seen.p95_ms):>6}{full}  {told}"
        click.echo(line, err=True)
        self._number += 1

    def end(self) -> None:
        """Leave the line clean."""
        if self._is_terminal:
            click.echo(f"\r{'':<{WIDTH}}\r", nl=False, err=True)


@contextlib.contextmanager
def _ended_by_signals(under_way: Ramp) -> Iterator[None]:
    """End the ramp on ctrl+c, SIGTERM or SIGHUP: nothing more is sent, and what is known is told."""
    loop = asyncio.get_running_loop()
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in ending:
        loop.add_signal_handler(number, under_way.stop, INTERRUPTED)
    try:
        yield
    finally:
        for number in ending:
            loop.remove_signal_handler(number)
