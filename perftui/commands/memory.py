"""`perftui memory`: what grows in a worker, between two moments."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence

import click

from perftui.commands.acting import ProgressBar, ended_by_ctrl_c, tell_refusals, wanted_workers
from perftui.commands.arguments import WholeNumber, json_option, seconds, targets_argument
from perftui.present.documents.memory import memory_document, memory_text
from perftui.sources.actions import take_memory
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live
from perftui_agent.wire.actions import Memory
from perftui_agent.wire.dumps import Refusal

LONGEST_S = 600.0


@click.command()
@targets_argument
@click.option("--worker", "pid", type=WholeNumber(1), metavar="PID", help="The worker, if there are several.")
@click.option(
    "--for", "for_s", type=seconds, default="60s", show_default=True, metavar="TIME", help="How long."
)
@json_option
def memory(targets: tuple[str, ...], pid: int | None, for_s: float, as_json: bool) -> None:
    """Tell what grows in one worker of TARGET: by line of code and route, and by type of objects.

    Python notes where every block of memory is asked for meanwhile, which makes this worker up to ten
    times slower: so it is one worker, for a bounded time, and always switched off again. ctrl+c ends it.
    """
    if for_s > LONGEST_S:
        raise click.BadParameter(f"at most {LONGEST_S / 60:g}m", param_hint="--for")
    answers = asyncio.run(_take(parse_live(targets), pid, for_s))
    refused = tell_refusals(answers)
    for answer in answers.values():
        if isinstance(answer, Memory) and as_json:
            click.echo(json.dumps(memory_document(answer), ensure_ascii=False, indent=2))
        elif isinstance(answer, Memory):
            width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
            click.echo("\n".join(memory_text(answer, width)))
    if refused:
        click.get_current_context().exit(2)


async def _take(targets: Sequence[LiveTarget], pid: int | None, for_s: float) -> dict[int, Memory | Refusal]:
    async with LiveSource(targets) as source:
        wanted = await wanted_workers(source, pid)
        if len(wanted) > 1:
            there = ", ".join(str(worker.pid) for worker in wanted)
            raise TargetError(
                f"{source.name} has {len(wanted)} workers: say which one is to be slowed down",
                f"--worker with one of: {there}",
            )
        (worker,) = wanted
        finish = asyncio.Event()
        begun = f"worker {worker.pid} is slower for {for_s:g} s: each allocation is noted"
        bar = ProgressBar(wanted, for_s, begun)
        with ended_by_ctrl_c(finish):
            answer = await take_memory(
                source, worker.id, for_s=for_s, told=lambda news: bar.told(worker.pid, news), finish=finish
            )
        bar.end()
        return {worker.pid: answer}
