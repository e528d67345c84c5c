"""`perftui doctor`: what stands in the way here, and the mend."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

from perftui.commands.arguments import json_option, targets_argument
from perftui.doctor.examine import examine, in_the_way
from perftui.doctor.reading import read
from perftui.doctor.surroundings import Check, Surroundings
from perftui.present.documents.checks import checks_text
from perftui.sources.target import parse_live

WIDTH = 100


@click.command()
@targets_argument
@json_option
def doctor(targets: tuple[str, ...], as_json: bool) -> None:
    """Tell what stands in the way here, each with its mend: rights to trace, directories, versions, terminal.

    With a TARGET (without one: for every worker there is) also by what a dump and a profile of each worker
    would be taken, and why. Workers are asked and not touched. The exit code is 1 if something stands in the
    way.
    """
    place = read(parse_live(targets))
    checks = examine(place)
    if as_json:
        click.echo(json.dumps(_document(place, checks), ensure_ascii=False, indent=2))
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        click.echo("\n".join(checks_text(place, checks, width)))
    if in_the_way(checks):
        click.get_current_context().exit(1)


def _document(place: Surroundings, checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "schema": 1,
        "verdict": "wrong" if in_the_way(checks) else "ok",
        "perftui": place.perftui or None,
        "checks": [
            {
                "name": check.name,
                "worker": check.worker,
                "verdict": check.verdict,
                "sentence": check.sentence,
                "mend": check.mend or None,
            }
            for check in checks
        ],
    }
