"""`perftui explain`: how a database goes about a statement, and which index it misses."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence

import click

from perftui.commands.acting import wanted_workers
from perftui.commands.arguments import WholeNumber, json_option, token_option, warn_if_overheard
from perftui.model.text import clean_text
from perftui.present.documents.explain import explain_document, explain_text
from perftui.sources.actions import take_explanation
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.explain import Explanation


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="[TARGET…] FINGERPRINT")
@token_option
@click.option(
    "--worker",
    "pid",
    type=WholeNumber(1),
    metavar="PID",
    help="Ask this worker; else any that has run it.",
)
@json_option
def explain(arguments: tuple[str, ...], pid: int | None, as_json: bool) -> None:
    """Tell how the database goes about a statement of TARGET, and which index it misses.

    FINGERPRINT names the statement, as `perftui snapshot --json` lists it under `queries`. It is planned with
    the values of its slowest run, which stay in the worker, and never executed.
    """
    *targets, fingerprint = arguments
    warn_if_overheard(targets)
    answer = asyncio.run(_take(parse_live(targets), pid, fingerprint.strip()))
    if isinstance(answer, Refusal):
        click.echo(clean_text(answer.reason), err=True)
        if answer.advice:
            click.echo(clean_text(f"  {answer.advice}"), err=True)
        click.get_current_context().exit(2)
    elif as_json:
        click.echo(json.dumps(explain_document(answer), ensure_ascii=False, indent=2))
    else:
        width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
        click.echo("\n".join(explain_text(answer, width)))


async def _take(targets: Sequence[LiveTarget], pid: int | None, fingerprint: str) -> Explanation | Refusal:
    async with LiveSource(targets) as source:
        wanted = await wanted_workers(source, pid)
        return await take_explanation(source, [worker.id for worker in wanted], fingerprint)
