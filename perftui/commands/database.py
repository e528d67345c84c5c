"""`perftui database`: what the service's databases say of its sessions, their waits and their locks."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence

import click

from perftui.commands.acting import CONNECT_S, tell_refusals
from perftui.commands.arguments import json_option, targets_argument
from perftui.model.database import Databases
from perftui.model.text import clean_text
from perftui.present.documents.database import database_document, database_text
from perftui.sources.databases import take_databases
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live


@click.command()
@targets_argument
@json_option
def database(targets: tuple[str, ...], as_json: bool) -> None:
    """Ask the databases of TARGET for their own view of its sessions, waits and locks.

    One worker's agent asks, on a connection of its own that only reads; every worker says which sessions are
    its own, and for which route it has them. PostgreSQL and SQLite, through SQLAlchemy's engines.
    """
    name, answer = asyncio.run(_take(parse_live(targets)))
    tell_refusals(answer.refusals)
    told = [view for view in answer.views if not view.look.refused]
    for view in answer.views:
        if view.look.refused:
            click.echo(clean_text(f"{view.name}: {view.look.refused}"), err=True)
            if view.look.advice:
                click.echo(clean_text(f"  {view.look.advice}"), err=True)
    if not answer.views and answer.answered:
        click.echo(f"perftui: {name} has used no database through SQLAlchemy so far", err=True)
        click.echo("  send it a request that does, and ask again", err=True)
    if told and as_json:
        click.echo(json.dumps(database_document(answer, name), ensure_ascii=False, indent=2))
    elif told:
        width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 120
        click.echo("\n".join(database_text(answer, width)))
    if not told or answer.refusals:
        click.get_current_context().exit(2)


async def _take(targets: Sequence[LiveTarget]) -> tuple[str, Databases]:
    async with LiveSource(targets) as source:
        await source.settled(CONNECT_S)
        return source.name, await take_databases(source)
