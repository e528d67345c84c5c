"""`perftui findings`: what each kind of finding goes by."""

from __future__ import annotations

import difflib
import json

import click

from perftui.commands.arguments import json_option
from perftui.findings.catalogue import CRITERIA
from perftui.present.documents.criteria import criteria_document, criteria_text, overview


def _kind(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    if name is None or name in CRITERIA:
        return name
    near = difflib.get_close_matches(name, CRITERIA, 1)
    raise click.BadParameter(
        f"there is no kind {name}; {f'did you mean {near[0]}?' if near else 'all of them: perftui findings'}"
    )


@click.command()
@click.argument("kind", required=False, callback=_kind, metavar="[KIND]")
@json_option
def findings(kind: str | None, as_json: bool) -> None:
    """List the kinds of findings there are, or tell what one KIND goes by.

    The thresholds are those that are compared with. On a route's screen `?` tells how near it is to each.
    """
    if as_json:
        several = [CRITERIA[kind]] if kind else CRITERIA.values()
        click.echo(json.dumps([criteria_document(each) for each in several], ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(criteria_text(CRITERIA[kind]) if kind else overview()))
