"""`perftui evidence`: what agents have taken of their own accord, also of workers that are gone."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from perftui.commands.arguments import WholeNumber, json_option
from perftui.model.evidence import evidence_row, latest_evidence, result_of
from perftui.model.flame import samples_of
from perftui.model.happenings import EvidenceRow
from perftui.model.text import clean, clean_text
from perftui.present.documents.dumps import dump_document
from perftui.present.documents.profiles import WRITERS, profile_document, profile_text, writer_for
from perftui.present.documents.rows.happenings import evidence_document
from perftui.present.documents.stacks import stacks
from perftui.present.documents.table import Column, table
from perftui.sources.leftover import evidence_left
from perftui.sources.target import TargetError
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.dumps import Dump

WIDTH = 100

LIST = "what there is: perftui evidence"


@click.command()
@click.argument("number", type=WholeNumber(1), required=False, metavar="[NUMBER]")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help=f"Write a profile into a file that ends in {', '.join(WRITERS)}.",
)
@json_option
def evidence(number: int | None, output: str | None, as_json: bool) -> None:
    """List what triggers and silent workers have left on this host, or open one of it by its NUMBER.

    It is read from the black boxes: the workers need not live any more.
    """
    rows = latest_evidence(
        evidence_row(left.worker.id, each) for left in evidence_left() for each in clean(left.evidence)
    )
    if number is None:
        _list(rows, as_json)
    elif number > len(rows):
        raise TargetError(f"there is no evidence {number}", LIST)
    else:
        _open(rows[number - 1], output, as_json)


def _list(rows: Sequence[EvidenceRow], as_json: bool) -> None:
    if as_json:
        documents = [{"number": place, **evidence_document(row)} for place, row in enumerate(rows, 1)]
        click.echo(json.dumps({"schema": 1, "evidence": documents}, ensure_ascii=False, indent=2))
    elif rows:
        columns = (
            Column("", True),
            Column("at"),
            Column("worker", True),
            Column("what"),
            Column("said"),
            Column("taken"),
        )
        cells = [
            (
                str(place),
                time.strftime("%m-%d %H:%M:%S", time.localtime(row.evidence.at / 1e9)),
                str(row.pid),
                row.evidence.kind,
                row.evidence.text or " ".join(filter(None, (row.evidence.verdict, row.evidence.where))),
                row.evidence.how,
            )
            for place, row in enumerate(rows, 1)
        ]
        click.echo("\n".join(table(columns, cells)))
    else:
        click.echo("no trigger has fired and no worker was silent, as far as black boxes tell", err=True)


def _open(row: EvidenceRow, output: str | None, as_json: bool) -> None:
    each, taken = row.evidence, result_of(row.evidence)
    for said in (each.trigger, each.text, each.how):
        if said:
            click.echo(clean_text(said), err=True)
    write = writer_for(output) if output else None
    if output and (write is None or not isinstance(taken, Profile)):
        raise click.BadParameter(f"{output}: a profile is written into {', '.join(WRITERS)}", param_hint="-o")
    if isinstance(taken, Profile):
        samples = samples_of([taken])
        if write is not None and output:
            Path(output).write_bytes(write(samples, clean_text(f"{each.trigger} · worker {row.pid}")))
            click.echo(f"wrote {output}", err=True)
        elif as_json:
            click.echo(json.dumps(profile_document(samples, [taken]), ensure_ascii=False, indent=2))
        else:
            width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
            click.echo("\n".join(profile_text(samples, [taken], width)))
    elif isinstance(taken, Dump) and as_json:
        click.echo(json.dumps(dump_document("", taken), ensure_ascii=False, indent=2))
    elif isinstance(taken, Dump):
        click.echo("\n".join(stacks(taken)))
    elif each.stack:
        click.echo("\n".join(each.stack))
    else:
        raise TargetError(f"nothing was taken: {each.how or 'there was no room for it'}", LIST)
