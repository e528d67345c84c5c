"""`perftui dump`: the stacks of every thread and task of the workers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import click

from perftui.commands.acting import tell_refusals, wanted_workers
from perftui.commands.arguments import WholeNumber, json_option, targets_argument
from perftui.model.text import clean
from perftui.present.details.threads import LOCALS_WARNING
from perftui.present.documents.dumps import alike_document, dump_document
from perftui.present.documents.stacks import stacks
from perftui.sources.actions import take_dump
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live
from perftui_agent.wire.dumps import Dump, Refusal


@click.command()
@targets_argument
@click.option("--worker", "pid", type=WholeNumber(1), metavar="PID", help="Dump this worker alone.")
@click.option(
    "--locals",
    "locals_of",
    metavar="FUNCTION[:VAR,…]",
    default="",
    help="With the variables of this function, or some of them: build_report, Reports.build, load:user.",
)
@json_option
def dump(targets: tuple[str, ...], pid: int | None, locals_of: str, as_json: bool) -> None:
    """Print what every thread and task of the workers of TARGET is doing right now.

    A worker stands still for some milliseconds while it is looked at. One that does not answer is
    dumped by a sibling, or writes its stacks itself on a signal. What is the same in several workers is
    told once. No values of variables are told, unless a function is asked for by name.
    """
    if locals_of:
        click.echo(f"variables of {locals_of}: {LOCALS_WARNING}", err=True)
    target, answers = asyncio.run(_take(parse_live(targets), pid, locals_of))
    dumps = [answer for answer in answers.values() if isinstance(answer, Dump)]
    refused = tell_refusals(answers)
    if dumps and as_json:
        documents = [dump_document(target, each) for each in dumps]
        several = {"dumps": documents, "alike": alike_document(dumps)}
        whole = documents[0] if len(answers) == 1 else several
        click.echo(json.dumps(whole, ensure_ascii=False, indent=2))
    elif dumps:
        click.echo("\n".join(stacks(*dumps)))
    if refused:
        click.get_current_context().exit(2)


async def _take(
    targets: Sequence[LiveTarget], pid: int | None, locals_of: str
) -> tuple[str, dict[int, Dump | Refusal]]:
    """Return the target, and each worker's dump, or why there is none, by pid."""
    async with LiveSource(targets) as source:
        answers: dict[int, Dump | Refusal] = {}
        for each in await wanted_workers(source, pid):
            # One after the other: siblings that stand still at once would be an outage.
            answers[each.pid] = clean(await take_dump(source, each.id, locals_of=locals_of))
        return source.name, answers
