"""`perftui snapshot`: watch for some seconds, then print the state."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace

import click

from perftui.commands.arguments import json_option, row_filter, seconds, targets_argument
from perftui.commands.dead import opened_instead, returned
from perftui.commands.moments import moment_in
from perftui.commands.recordings import recording_in, stretch, tell_damage
from perftui.commands.watching import watch_for
from perftui.model.filter import Filter
from perftui.model.summary import Summary
from perftui.model.timeline import CLOCK_STEPPED
from perftui.present.documents.report import WIDTH, report
from perftui.present.documents.snapshot import document, json_schema
from perftui.recording.looking import summary_between
from perftui.recording.reader import Recording
from perftui.sources.target import LiveTarget, TargetError, parse_live

WATCHED_S = 10.0

LONGEST_S = 14 * 60
"""What is kept is fifteen minutes."""


def _print_schema(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(json.dumps(json_schema(), indent=2))
        ctx.exit()


@click.command()
@targets_argument
@click.option(
    "--for",
    "for_s",
    type=seconds,
    metavar="TIME",
    help="How long to watch: 500ms, 10s, 2m.  [default: 10s; of a recording all of it]",
)
@click.option(
    "--at", "moment", metavar="MOMENT", help="Of a recording: when the time to look at ends, 14:02:31."
)
@click.option(
    "--filter",
    "wanted",
    type=row_filter,
    default="",
    metavar="WORDS",
    help="Only rows that meet all WORDS: 'route:/orders p95>200ms status:5xx', 'worker:4121', 'errors>1%'.",
)
@json_option
@click.option(
    "--schema", is_flag=True, is_eager=True, expose_value=False, callback=_print_schema,
    help="Print the JSON Schema of what --json prints, and exit.",
)  # fmt: skip
def snapshot(
    targets: tuple[str, ...], for_s: float | None, moment: str | None, wanted: Filter, as_json: bool
) -> None:
    """Watch the services that TARGET names for some seconds, then print their state.

    Every request that ends while it watches is counted; SIGTERM has it print what there is. The totals and
    findings are those of all of them, whatever is filtered. Of a recording it prints the state over the time
    it was watched, or a part of it.
    """
    if for_s is not None and for_s > LONGEST_S:
        raise click.BadParameter(f"at most {LONGEST_S // 60}m: that is what is kept", param_hint="--for")
    recording = recording_in(targets)
    if recording is not None:
        with recording:
            summary = _of_recording(recording, for_s, moment)
    elif moment is not None:
        raise click.BadParameter("only a recording has other moments than this one", param_hint="--at")
    else:
        summary = _of_service(parse_live(targets), for_s)
    if as_json:
        click.echo(json.dumps(document(summary, wanted), ensure_ascii=False, indent=2))
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        click.echo("\n".join(report(summary, wanted, width)))


def _of_service(targets: tuple[LiveTarget, ...], for_s: float | None) -> Summary:
    try:
        return asyncio.run(_watch(targets, for_s or WATCHED_S))
    except TargetError:
        if again := asyncio.run(returned(targets)):
            return asyncio.run(_watch(again, for_s or WATCHED_S))
        recording = opened_instead(targets)
        if recording is None:
            raise
        with recording:
            return _of_recording(recording, for_s, None)


def _of_recording(recording: Recording, for_s: float | None, moment: str | None) -> Summary:
    at = moment_in(recording, moment, "--at") if moment is not None else None
    summary = summary_between(recording, *stretch(recording, for_s, at))
    tell_damage(recording)
    return averaged(summary)


@contextlib.contextmanager
def _ended_by_sigterm(end: Callable[[], None]) -> Iterator[None]:
    """Call `end` at the first SIGTERM; the second kills as always."""
    loop = asyncio.get_running_loop()

    def told() -> None:
        end()
        loop.remove_signal_handler(signal.SIGTERM)

    loop.add_signal_handler(signal.SIGTERM, told)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _watch(targets: tuple[LiveTarget, ...], for_s: float) -> Summary:
    summary = await watch_for(targets, for_s, ending=_ended_by_sigterm)
    for event in summary.events:
        if event.kind == CLOCK_STEPPED:
            click.echo(event.sentence, err=True)
    return averaged(summary)


def averaged(summary: Summary) -> Summary:
    """Return it with the CPU of all that was watched, as the rates beside it: the last second is not it."""
    workers = tuple([replace(row, cpu_percent=row.cpu_mean_percent) for row in summary.workers])
    return replace(summary, workers=workers)
