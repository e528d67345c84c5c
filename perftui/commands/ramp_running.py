"""A ramp put together: the service found and followed, a plan learned, senders started, all recorded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace

import click
import msgspec

from perftui.check.grammar import Objective
from perftui.clock import now
from perftui.commands.ramp_progress import Progress, say_beginning
from perftui.commands.ramp_screen import INTERRUPTED, Raised, Show
from perftui.feed import LiveFeed
from perftui.ramp.address import address_of
from perftui.ramp.course import Course
from perftui.ramp.fleet import Fleet, reached_from
from perftui.ramp.load import OURS, Load, pinned_to, processes_for
from perftui.ramp.mix import learned
from perftui.ramp.observing import promised
from perftui.ramp.plan import Request
from perftui.ramp.run import Ramp, Ramped
from perftui.ramp.safety import environment_of, says_production
from perftui.ramp.sender import Setup
from perftui.ramp.unanswered import spoken
from perftui.record import Record
from perftui.recorder import Recorder
from perftui.sources.databases import take_databases
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError
from perftui_agent.wire.lives import here, place_of
from perftui_agent.wire.registration import Registration

HEARD_S = 1.2
"""Until each worker has told of a second."""

LEARN_S = 3.0
"""How long the past of a service is asked for, to learn a mix from."""


class Wanted(Record, frozen=True):
    """What was asked for."""

    targets: tuple[LiveTarget, ...]
    setup: Setup
    """What is sent, and how; the plan is empty where it is to be learned from the service."""
    until: tuple[Objective, ...]
    start_rps: float
    most_rps: float
    step_s: float
    longest_s: float
    i_own: str | None = None
    recording: str | None = None
    fleet: Fleet | None = None
    """Locust's workers, where they send."""


async def run_ramp(wanted: Wanted, show: Show | None) -> Ramped:
    """Ramp a service, with a screen where there is one; `TargetError` where nothing may be sent to it."""
    async with LiveSource(wanted.targets) as source:
        registrations = source.workers()
        base_url, unix = address_of(wanted.targets[0], registrations, wanted.i_own)
        _refuse_production(registrations)
        feed = LiveFeed(source)
        following = asyncio.create_task(feed.run(lambda _: None))
        try:
            setup, fleet = wanted.setup, wanted.fleet
            if not setup.plan:
                setup = _with(setup, plan=list(await _learn(source, feed)))
            await asyncio.sleep(HEARD_S)
            objectives = wanted.until or promised(feed.summary(60.0))
            if fleet is not None:
                base_url = reached_from(fleet, base_url, unix)
            setup = _with(setup, base_url=base_url, unix=unix)
            say_beginning(setup, source.name, objectives, wanted.most_rps)
            if fleet is not None:
                click.echo(f"  waiting for {fleet.workers} of locust's workers: {fleet.told}", err=True)
            return await _raised(
                replace(wanted, setup=setup, until=objectives), source, feed, following, show
            )
        finally:
            await _ended(following)


async def _raised(
    wanted: Wanted, source: LiveSource, feed: LiveFeed, following: asyncio.Task[None], show: Show | None
) -> Ramped:
    """Start what sends, and have the search have its way."""
    setup, fleet, objectives, most = wanted.setup, wanted.fleet, wanted.until, wanted.most_rps
    processes = processes_for(most) if fleet is None else 1
    setup = _with(setup, cpus=pinned_to(sorted(os.sched_getaffinity(0)), processes))
    command = OURS if fleet is None else fleet.command
    async with (
        _recorded(wanted.targets, wanted.recording) as recorder,
        Load(setup, processes, command) as load,
    ):
        sent = [str(each) for each in setup.plan]
        course = Course(feed, objectives, requests=sent, most_rps=most, longest_s=wanted.longest_s)
        progress = Progress(recorder, course, is_silent=show is not None)
        under_way = Ramp(
            feed, load, objectives, step_s=wanted.step_s, longest_s=wanted.longest_s,
            telling=progress.tell, stepped=progress.stepped, ask_database=lambda: take_databases(source),
            unanswered=lambda: spoken(setup.base_url, setup.unix),
        )  # fmt: skip
        raised = Raised(under_way, course, wanted.start_rps, most)
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
        raise TargetError("the ramp was left before it could be stopped", "nothing is sent any more")
    return raised.ramped


async def _ended(following: asyncio.Task[None]) -> None:
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


@contextlib.asynccontextmanager
async def _recorded(targets: tuple[LiveTarget, ...], path: str | None) -> AsyncIterator[Recorder | None]:
    """Record what happens meanwhile, if it is to be."""
    if path is None:
        yield None
        return
    async with LiveSource(targets) as source:
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


async def _learn(source: LiveSource, feed: LiveFeed) -> tuple[Request, ...]:
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
        # Elsewhere its pid is somebody else's.
        environment = environment_of(each.worker.pid) if place_of(each.worker) == here() else {}
        if said := says_production(environment, names):
            raise TargetError(
                f"worker {each.worker.pid} says it is production ({said}): nothing is sent to it",
                "ramp a copy of it, with settings of its own",
            )


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
