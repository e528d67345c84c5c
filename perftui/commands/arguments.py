"""Arguments that several verbs take."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from perftui.model.filter import Filter, FilterError, parse_filter
from perftui.sources.target import parse
from perftui.sources.token import TOKEN, is_overheard

Command = TypeVar("Command", bound=Callable[..., Any])

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h)?", re.ASCII)


def seconds(text: str) -> float:
    """Return a length of time in seconds: `500ms`, `10s`, `2m`; a bare number is seconds."""
    match = _DURATION.fullmatch(text.strip())
    value = float(match[1]) * _UNITS_S[match[2] or "s"] if match else 0.0
    if value <= 0:
        raise click.BadParameter(f"{text} is no length of time: write 500ms, 10s or 2m")
    return value


class WholeNumber(click.IntRange):
    """A number of something, or a pid; what is none is told as such."""

    name = "whole number"


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


def warn_if_overheard(texts: Iterable[str]) -> None:
    """Say on stderr of each target on another host that is asked over plain HTTP what that means."""
    for text in texts:
        if text.lower().startswith("http:") and is_overheard(target := parse(text)):
            told = f"{target} is plain HTTP: whoever is on the way can read the token and all that comes"
            click.echo(f"perftui: {told}", err=True)


def _warned(_ctx: click.Context, _parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    warn_if_overheard(texts)
    return texts


def _take_token(_ctx: click.Context, _parameter: click.Parameter, token: str | None) -> None:
    TOKEN.set(token or "")


def token_option(command: Command) -> Command:
    """Add the token for remote doors, which nobody but those gets to see."""
    return click.option(
        "--token",
        envvar="PERFTUI_TOKEN",
        metavar="TOKEN",
        expose_value=False,
        callback=_take_token,
        help="For an https:// target; better in PERFTUI_TOKEN, where no list of processes shows it.",
    )(command)


def targets_argument(command: Command) -> Command:
    """Add any number of targets, of which none means the only service there is, and the token for them.

    Completes to the services on this host.
    """
    return click.argument(
        "targets", nargs=-1, metavar="[TARGET]...", shell_complete=_services, callback=_warned
    )(token_option(command))


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
