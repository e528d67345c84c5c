"""`perftui dump`: the stacks of every thread of the workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click

from perftui.commands.arguments import json_option, targets_argument
from perftui.model.text import clean
from perftui.present.details.threads import SeenThread, seen_in
from perftui.present.documents.snapshot import moment
from perftui.present.documents.stacks import stacks
from perftui.sources.actions import take_dump
from perftui.sources.local import LocalSource
from perftui.sources.target import LocalTarget, TargetError, parse_local
from perftui_agent.wire.frames import Dump, Refusal

CONNECT_S = 1.0
"""How long all workers may take to say hello before the first is asked; a silent one never does."""


@click.command()
@targets_argument
@click.option("--worker", "pid", type=click.IntRange(1), metavar="PID", help="Dump this worker alone.")
@json_option
def dump(targets: tuple[str, ...], pid: int | None, as_json: bool) -> None:
    """Print what every thread of the workers of TARGET is doing right now.

    A worker stands still for some milliseconds while it is looked at. One that does not answer is
    dumped by a sibling.
    """
    target, answers = asyncio.run(_take(parse_local(targets), pid))
    dumps = [answer for answer in answers.values() if isinstance(answer, Dump)]
    for worker, answer in answers.items():
        if isinstance(answer, Refusal):
            click.echo(f"worker {worker}: {answer.reason}", err=True)
            if answer.advice:
                click.echo(f"  {answer.advice}", err=True)
    if dumps and as_json:
        documents = [dump_document(target, each) for each in dumps]
        whole = documents[0] if len(answers) == 1 else {"dumps": documents}
        click.echo(json.dumps(whole, ensure_ascii=False, indent=2))
    elif dumps:
        click.echo("\n\n".join("\n".join(stacks(each)) for each in dumps))
    if len(dumps) < len(answers):
        click.get_current_context().exit(2)


async def _take(targets: Sequence[LocalTarget], pid: int | None) -> tuple[str, dict[int, Dump | Refusal]]:
    """Return the target, and each worker's dump, or why there is none, by pid."""
    async with LocalSource(targets) as source:
        wanted = [each.worker for each in source.workers() if pid in {None, each.worker.pid}]
        if not wanted:
            there = ", ".join(str(each.worker.pid) for each in source.workers())
            raise TargetError(f"{source.name} has no worker {pid}", f"it has: {there}")
        await source.settled(CONNECT_S)
        # One after the other: siblings that stand still at once would be an outage.
        return source.name, {each.pid: clean(await take_dump(source, each.id)) for each in wanted}


def dump_document(target: str, each: Dump) -> dict[str, Any]:
    """Return the document of a dump, as `perftui dump --json` prints it."""
    return {
        "target": target,
        "worker": each.pid,
        "at": moment(each.taken_at / 1e9),
        "took_ms": round(each.took_ns / 1e6, 3),
        "taken_by": each.taken_by,
        "method": each.method,
        "note": each.note or None,
        "threads_cut": each.threads_cut,
        "threads": [_thread(thread) for thread in seen_in(each)],
    }


def _thread(seen: SeenThread) -> dict[str, Any]:
    thread = seen.thread
    return {
        "name": thread.name,
        "thread_id": thread.thread_id,
        "os_thread_id": thread.os_thread_id,
        "active": seen.active,
        "holds_gil": seen.holds_gil,
        "is_main": thread.is_main,
        "frames_cut": thread.frames_cut,
        "frames": [
            {
                "function": frame.function,
                "file": frame.file,
                "short_file": frame.short_file or None,
                "line": frame.line,
                "source": frame.source or None,
            }
            for frame in thread.frames
        ],
    }
