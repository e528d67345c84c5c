"""`perftui check`: hold a service against what it promises, for a script to judge by."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from perftui.check.against import held_against
from perftui.check.grammar import Objective, ObjectiveError, none_of, parse_objective
from perftui.check.judge import Judged, Verdict, judge_all, overall
from perftui.check.reasons import explained
from perftui.commands.arguments import json_option, seconds, targets_argument, warn_if_overheard
from perftui.commands.project import NAME, read_project
from perftui.commands.recordings import recordings_among
from perftui.commands.stretches import Stretches
from perftui.commands.watching import picture_of
from perftui.findings.find import find
from perftui.model.comparison import compare
from perftui.model.summary import Summary
from perftui.present.documents.annotations import workflow_commands
from perftui.present.documents.junit import junit
from perftui.present.documents.verdicts import verdicts_document, verdicts_text
from perftui.sources.target import TargetError, parse

USUAL_S = 30.0

LONGEST_S = 14 * 60
"""What is kept is fifteen minutes."""

CODES: dict[Verdict, int] = {"met": 0, "missed": 1, "undecided": 2}


def _objective(text: str) -> Objective:
    try:
        return parse_objective(text)
    except ObjectiveError as error:
        raise click.BadParameter(str(error)) from None


def _unwanted(text: str) -> tuple[Objective, ...]:
    try:
        return tuple(none_of(word) for word in text.replace(",", " ").split())
    except ObjectiveError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@targets_argument
@click.option(
    "--for",
    "for_s",
    type=seconds,
    metavar="TIME",
    help="How long to watch: 10s, 2m.  [default: 30s, or as long as a target asks for; of a recording all]",
)
@click.option(
    "--slo",
    "promised",
    type=_objective,
    multiple=True,
    metavar="TARGET",
    help="What is to hold: 'p95<200ms', 'GET /pay: p99<=300ms for 30s', 'errors<1%', 'rps>=50', "
    "'sql_per_request<=12', 'bytes_p95<200kB'. As often as one likes.",
)
@click.option(
    "--fail-on",
    "unwanted",
    type=_unwanted,
    multiple=True,
    metavar="FINDING",
    help="A kind of finding there is to be none of ('n-plus-one'), a severity and worse ('high'), or 'any'.",
)
@click.option(
    "--against",
    "other",
    metavar="TARGET",
    help="What it is to be no worse than: another service, a version (service:shop@v1), a recording.",
)
@click.option(
    "--undecided",
    type=click.Choice(["pass", "fail"]),
    help="What the exit code is where too few requests came to tell: 0 or 1, instead of 2.",
)
@click.option(
    "--junit", "junit_file", type=click.Path(dir_okay=False), metavar="FILE", help="Write JUnit XML."
)
@json_option
def check(
    targets: tuple[str, ...],
    for_s: float | None,
    promised: tuple[Objective, ...],
    unwanted: tuple[tuple[Objective, ...], ...],
    other: str | None,
    undecided: str | None,
    junit_file: str | None,
    as_json: bool,
) -> None:
    """Watch the services that TARGET names, or read a recording, and hold them against what they promise.

    That is what the service itself promises (`instrument(…, slo=…)`), what perftui.toml says beside the code
    or above it, and what --slo and --fail-on say; of the same figure of the same route the last of these
    counts. The exit code is 0 if all of it is met, 1 if some of it is missed, 2 if it can't be told.
    """
    if other is not None:
        warn_if_overheard([other])
        parse(other)  # an unset variable of a pipeline is no other target, and no reason to compare nothing
    if junit_file and not Path(junit_file).absolute().parent.is_dir():
        # Not after a minute of watching.
        raise click.BadParameter(f"{junit_file}: there is no such directory", param_hint="--junit")
    own = tuple(dict.fromkeys((*promised, *(each for several in unwanted for each in several))))
    own = (*read_project(Path.cwd()).objectives, *own)
    summary, judged = asyncio.run(_judged(targets, own, for_s, other))
    findings, recorded = find(summary), bool(recordings_among(targets))
    told = [explained(each, summary, findings, recorded=recorded) for each in judged]
    if os.environ.get("GITHUB_ACTIONS") == "true":
        click.echo("\n".join(workflow_commands(told, undecided)), err=True)
    if as_json:
        click.echo(json.dumps(verdicts_document(summary, told), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(verdicts_text(summary, told)))
    if junit_file:
        _write(junit_file, junit(summary, told, undecided))
    if not summary.totals.requests:
        raise TargetError(
            f"no request came to {summary.target} within {summary.window_s:.0f} s: nothing could be judged",
            "send some while it watches",
        )
    click.get_current_context().exit(_code(overall(told), undecided))


def _time(objectives: Iterable[Objective], for_s: float | None) -> float:
    """Return how long to watch at least; a stretch that a target asks for takes its own length."""
    longest = max((each.for_s for each in objectives if each.for_s), default=0.0)
    if for_s is None:
        return max(USUAL_S, longest + 1.0)
    if for_s > LONGEST_S:
        raise click.BadParameter(f"at most {LONGEST_S // 60}m: that is what is kept", param_hint="--for")
    if for_s < longest:
        raise click.BadParameter(
            f"{for_s:g}s is too short: a target is to hold for {longest:g}s", param_hint="--for"
        )
    return for_s


async def _judged(
    targets: tuple[str, ...], own: Sequence[Objective], for_s: float | None, other: str | None
) -> tuple[Summary, list[Judged]]:
    usual_s = _time(own, for_s)
    stretches = Stretches({each.for_s for each in own if each.for_s is not None})
    pictures = [picture_of(targets, for_s, usual_s=usual_s, follow=stretches.follow)]
    if other is not None:
        pictures.append(picture_of([other], for_s, usual_s=usual_s))
    summary, *others = await asyncio.gather(*pictures)
    objectives = every_objective(summary, own)
    if not objectives and not others:
        raise TargetError(
            f"{summary.target} promises nothing, and neither {NAME} nor --slo says what it should",
            "like this: --slo 'p95<200ms' --slo 'errors<1%'",
        )
    judged = list(judge_all(objectives, summary, find(summary), stretches.pictures()))
    for each in others:
        judged += held_against(compare(each, summary), each)
    return summary, judged


def every_objective(summary: Summary, own: Sequence[Objective]) -> tuple[Objective, ...]:
    """Return what the service promises and what is asked for; of the same figure of one route, the last."""
    of_service = [parse_objective(f"{each.scope}: {each.slo}", "the service") for each in summary.slo]
    found: dict[tuple[str, str, bool, bool], Objective] = {}
    for each in (*of_service, *own):
        found[each.scope, each.metric, each.is_upper, each.for_s is not None] = each
    return tuple(found.values())


def _code(verdict: Verdict, undecided: str | None) -> int:
    if verdict == "undecided" and undecided:
        return CODES["met" if undecided == "pass" else "missed"]
    return CODES[verdict]


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise TargetError(
            f"{path} can't be written: {error.strerror}", "name another --junit FILE"
        ) from error
