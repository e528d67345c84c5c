"""Arguments that several verbs take."""

from __future__ import annotations

import re

import click
from click.shell_completion import CompletionItem

from perftui.model.filter import Filter, FilterError, parse_filter

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)?", re.ASCII)


def seconds(text: str) -> float:
    """Return a length of time in seconds: `500ms`, `10s`, `2m`; a bare number is seconds."""
    match = _DURATION.fullmatch(text.strip())
    value = float(match[1]) * _UNITS_S[match[2] or "s"] if match else 0.0
    if value <= 0:
        raise click.BadParameter(f"{text} is no length of time: write 500ms, 10s or 2m")
    return value


def row_filter(text: str) -> Filter:
    """Return the filter that `text` says."""
    try:
        return parse_filter(text)
    except FilterError as error:
        raise click.BadParameter(str(error)) from None


def _services(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from perftui.sources.discovery import discover, services  # noqa: PLC0415 - only a shell asks

    found = services(discover().registrations)
    return [
        CompletionItem(each.target, help=each.name) for each in found if each.target.startswith(incomplete)
    ]


targets_argument = click.argument("targets", nargs=-1, metavar="[TARGET]...", shell_complete=_services)
"""Any number of targets; none means the only service there is. Completes to the services on this host."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
