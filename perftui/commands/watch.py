"""`perftui watch`: no screen; says when a finding begins and when it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack

import click

from perftui.clock import now
from perftui.commands.arguments import json_option, targets_argument
from perftui.commands.hooks import Hook, Hooks, command_hook, webhook
from perftui.commands.judging import EVERY_S, WINDOW_S, Judging, turns_in
from perftui.commands.recordings import recording_in, tell_damage
from perftui.faults import FAULTS
from perftui.findings.figures import plural
from perftui.findings.turns import Turn
from perftui.freezing import Freezing
from perftui.model.dashboard import Dashboard
from perftui.model.happenings import Severity
from perftui.model.merge import merge
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.turns import turn_document, turn_line
from perftui.recording.gaps import clock_time
from perftui.recording.reader import Recording
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, RemoteTarget, TargetError, parse_live
from perftui.sources.token import TOKEN, usable

PAST_S = 3.0
"""How long the past of such a window may take to come: of a part of it, what happens now and then stands out,
and is told as over a moment later."""

AGAIN_S = 2.0
"""How often it is looked for a service that is not there yet."""


@click.command()
@targets_argument
@click.option(
    "--on",
    type=click.Choice(["high", "medium", "low"]),
    default="high",
    show_default=True,
    help="Tell of findings so severe, and worse.",
)
@click.option(
    "--exec", "command", metavar="CMD", help="Run CMD for each: JSON on stdin, PERFTUI_KIND and so on."
)
@click.option("--webhook", "url", metavar="URL", help="Post each as JSON.")
@json_option
def watch(
    targets: tuple[str, ...], on: Severity, command: str | None, url: str | None, as_json: bool
) -> None:
    """Watch without a screen: a line when a finding begins, a line when it ends.

    It waits for a service that is not there yet, and for one that comes again; SIGTERM ends it. Of a
    recording it tells at once what was to be told then. A hook that fails is told of on stderr. --exec is
    run by the shell with PERFTUI_EVENT (begin, end), PERFTUI_KIND, PERFTUI_SEVERITY, PERFTUI_SUBJECT,
    PERFTUI_SENTENCE, PERFTUI_ADVICE and PERFTUI_TARGET.
    """
    hooks: list[Hook] = []
    if command:
        hooks.append(command_hook(command))
    if url:
        if not url.startswith(("http://", "https://")):
            raise click.BadParameter("write http://… or https://…", param_hint="--webhook")
        hooks.append(webhook(url))
    if (recording := recording_in(targets)) is not None:
        asyncio.run(_until_ended(_watch_recording(recording, on, Hooks(hooks), as_json=as_json)))
        return
    wanted = parse_live(targets)
    for target in wanted:
        if isinstance(target, RemoteTarget):
            usable(target, TOKEN.get())  # no waiting for a service helps without
    asyncio.run(_until_ended(_watch(wanted, on, Hooks(hooks), as_json=as_json)))


async def _until_ended(work: Coroutine[None, None, None]) -> None:
    """Do work until SIGTERM, which is the way it ends."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    waiting = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for each in (task, waiting):
            each.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


async def _watch(targets: Sequence[LiveTarget], on: Severity, hooks: Hooks, *, as_json: bool) -> None:
    telling = asyncio.ensure_future(hooks.run())
    try:
        async with AsyncExitStack() as stack:
            source = await _entered(stack, targets)
            click.echo(f"watching {source.name}", err=True)
            await _follow(source, on, hooks, as_json=as_json)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _watch_recording(recording: Recording, on: Severity, hooks: Hooks, *, as_json: bool) -> None:
    """Tell at once what somebody would have been told who had watched while it was recorded."""
    telling = asyncio.ensure_future(hooks.run())
    judging = Judging(on)
    try:
        with recording:
            for summary, turns in turns_in(recording, judging):
                for turn in turns:
                    _tell(turn, summary, hooks, as_json=as_json)
                await hooks.settled()
                await asyncio.sleep(0)  # so that a signal ends it
            tell_damage(recording)
            if judging.standing:
                stood = f"{plural(judging.standing, 'finding')} had not ended"
                click.echo(f"it goes until {clock_time(recording.ended_at)}: {stood}", err=True)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _entered(stack: AsyncExitStack, targets: Sequence[LiveTarget]) -> LiveSource:
    """Follow what is meant, as soon as it is there."""
    told = ""
    while True:
        try:
            return await stack.enter_async_context(LiveSource(targets))
        except TargetError as error:
            if not targets:
                raise
            if told != error.problem:
                told = error.problem
                click.echo(f"perftui: {told}; waiting for it", err=True)
        await asyncio.sleep(AGAIN_S)


async def _follow(source: LiveSource, on: Severity, hooks: Hooks, *, as_json: bool) -> None:
    state = _State(on, Freezing(source))
    reading = asyncio.ensure_future(state.read(source))
    link = ""
    try:
        while not reading.done():
            await asyncio.wait((reading,), timeout=EVERY_S)
            with FAULTS.spared("a picture"):
                summary, turns = state.look()
                for turn in turns:
                    _tell(turn, summary, hooks, as_json=as_json)
                if summary.link != link:
                    link = summary.link
                    click.echo(f"{source.name}: {link}", err=True)
        reading.result()
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class _State:
    """What is known so far."""

    def __init__(self, on: Severity, freezing: Freezing) -> None:
        self._freezing = freezing
        self._dashboard = Dashboard()
        self._judging = Judging(on)
        self._heard_at: float | None = None
        self._has_past = False

    async def read(self, source: LiveSource) -> None:
        self._dashboard = Dashboard(source.name)
        async for event in source:
            with FAULTS.spared(f"a {type(event).__name__}"):
                self._dashboard = merge(self._dashboard, event)

    def look(self) -> tuple[Summary, tuple[Turn, ...]]:
        at = now()
        if not self._is_whole(at):
            return summarize(self._dashboard, at, WINDOW_S), ()
        summary, findings, turns = self._judging.next(self._dashboard, at)
        self._freezing.judged(summary.at, findings)
        return summary, turns

    def _is_whole(self, at: float) -> bool:
        """Tell whether the past of a window is there, as far as it will come."""
        first = min(self._dashboard.history.blocks, default=None)
        if first is None:
            return True  # nobody has told of anything: what there is to say is about the workers
        self._heard_at = self._heard_at or at
        self._has_past = self._has_past or first <= at - WINDOW_S or at - self._heard_at >= PAST_S
        return self._has_past


def _tell(turn: Turn, summary: Summary, hooks: Hooks, *, as_json: bool) -> None:
    document = turn_document(turn, summary)
    click.echo(json.dumps(document, ensure_ascii=False) if as_json else turn_line(turn))
    sys.stdout.flush()
    hooks.tell(document)
