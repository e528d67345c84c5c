"""`perftui compare`: two services, versions or moments against each other, route by route."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import click

from perftui.commands.arguments import json_option, seconds, targets_argument
from perftui.commands.folding import recalled
from perftui.commands.recordings import recordings_among
from perftui.commands.watching import picture_of
from perftui.findings.differences import differences
from perftui.model.comparison import compare as compared
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.comparison import comparison_document, comparison_markdown, comparison_text
from perftui.sources.live import LiveSource
from perftui.sources.target import TargetError, parse_live

USUAL_S = 30.0

LONGEST_S = 14 * 60
"""What is kept is fifteen minutes."""


@click.command()
@targets_argument
@click.option(
    "--for",
    "for_s",
    type=seconds,
    metavar="TIME",
    help="How long to watch, both at once.  [default: 30s; of a recording all of it]",
)
@click.option(
    "--back",
    "back_s",
    type=seconds,
    metavar="TIME",
    help="Compare one target with itself so long ago, as far as its workers remember: 14 minutes at most.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
def compare(
    targets: tuple[str, ...], for_s: float | None, back_s: float | None, markdown: bool, as_json: bool
) -> None:
    """Watch A and B at once and tell route by route what has changed from A to B, and what is noise.

    Two versions side by side during a deploy are service:shop@v1 and service:shop@v2. A recording is read
    instead of being watched.
    """
    before, after = _pictures(targets, for_s, back_s)
    comparison, findings = compared(before, after), differences(before, after)
    if as_json:
        click.echo(json.dumps(comparison_document(comparison, before, after, findings), indent=2,
                              ensure_ascii=False))  # fmt: skip
    elif markdown:
        click.echo("\n".join(comparison_markdown(comparison, before, after, findings)))
    else:
        click.echo("\n".join(comparison_text(comparison, before, after, findings)))
    silent = [each.target for each in (before, after) if not each.totals.requests]
    if silent:
        raise TargetError(
            f"no request came to {' and '.join(dict.fromkeys(silent))}: there is nothing to compare",
            "send some while it watches",
        )


def _pictures(targets: Sequence[str], for_s: float | None, back_s: float | None) -> tuple[Summary, Summary]:
    if (back_s or 0.0) + (for_s or 0.0) > LONGEST_S:
        raise click.BadParameter(f"{LONGEST_S // 60}m is what is kept", param_hint="--for and --back")
    if back_s is None:
        if len(targets) != 2:
            raise click.UsageError("two targets are needed, A and B; or one with --back 5m")
        return asyncio.run(_both(targets, for_s))
    if len(targets) > 1:
        raise click.UsageError("--back compares one target with itself: name one")
    length_s = for_s or min(USUAL_S, back_s)
    if back_s < length_s:
        raise click.BadParameter(f"the two times overlap: at least {length_s:g}s", param_hint="--back")
    then, now = asyncio.run(_then_and_now(targets, length_s, back_s))
    return replace(then, target=f"{then.target} {back_s:g} s before"), now


async def _both(targets: Sequence[str], for_s: float | None) -> tuple[Summary, Summary]:
    before, after = await asyncio.gather(*(picture_of([each], for_s, usual_s=USUAL_S) for each in targets))
    return before, after


async def _then_and_now(targets: Sequence[str], for_s: float, back_s: float) -> tuple[Summary, Summary]:
    if recordings_among(targets):
        return (
            await picture_of(targets, for_s, usual_s=USUAL_S, back_s=back_s),
            await picture_of(targets, for_s, usual_s=USUAL_S),
        )
    async with LiveSource(parse_live(targets)) as source:
        click.echo(f"watching {source.name} for {for_s:g} s", err=True)
        dashboard, at = await recalled(source, for_s)
    return tuple(  # type: ignore[return-value]  # two of two
        summarize(dashboard, at, for_s, cursor=moment) for moment in (at - back_s, at)
    )
