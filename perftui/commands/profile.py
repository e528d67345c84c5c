"""`perftui profile`: where the workers spend their time, down to the line."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from perftui.commands.acting import ProgressBar, ended_by_ctrl_c, tell_refusals, wanted_workers
from perftui.commands.arguments import WholeNumber, json_option, seconds, targets_argument
from perftui.model.flame import samples_of
from perftui.model.text import clean_text
from perftui.present.documents.profiles import WRITERS, profile_document, profile_text, writer_for
from perftui.sources.actions import take_profile
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, parse_live
from perftui_agent.wire.actions import HIGHEST_RATE_HZ, LONGEST_PROFILE_S, Engine, Mode, Profile, Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.identity import WorkerIdentity


@click.command()
@targets_argument
@click.option("--worker", "pid", type=WholeNumber(1), metavar="PID", help="This worker alone.")
@click.option(
    "--for", "for_s", type=seconds, default="10s", show_default=True, metavar="TIME", help="How long."
)
@click.option(
    "--rate",
    "rate_hz",
    type=WholeNumber(1, HIGHEST_RATE_HZ),
    default=100,
    show_default=True,
    metavar="HZ",
    help="Samples a second, at most: it is lowered where the service has many threads.",
)
@click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="wall",
    show_default=True,
    help="wall: what every thread is at; cpu: those that run; gil: the one that holds the GIL.",
)
@click.option("--route", metavar="'GET /x'", help="Only what works for this route.")
@click.option("--by-route", is_flag=True, help="Tell for which route each sample is.")
@click.option(
    "--engine",
    type=click.Choice(get_args(Engine)),
    default="auto",
    show_default=True,
    help="py-spy looks from outside; the agent's sampler needs no permission and knows the routes.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help=f"Write a file that ends in {', '.join(WRITERS)}.",
)
@json_option
def profile(
    targets: tuple[str, ...],
    pid: int | None,
    for_s: float,
    rate_hz: int,
    mode: Mode,
    route: str | None,
    by_route: bool,
    engine: Engine,
    output: str | None,
    as_json: bool,
) -> None:
    """Sample where the workers of TARGET spend their time.

    py-spy does it where it may, the agent itself where it may not and where routes are asked for; it is
    said which one and why. Several workers are sampled at once and added up. ctrl+c ends it early and keeps
    what there is.
    """
    if for_s > LONGEST_PROFILE_S:
        raise click.BadParameter(f"at most {LONGEST_PROFILE_S / 60:g}m", param_hint="--for")
    write = writer_for(output) if output else None
    if output and write is None:
        raise click.BadParameter(f"{output}: its name ends in none of {', '.join(WRITERS)}", param_hint="-o")
    if output and not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")
    by_route = by_route or route is not None
    options = {"for_s": for_s, "rate_hz": rate_hz, "mode": mode, "engine": engine, "by_route": by_route}
    name, answers = asyncio.run(_take(parse_live(targets), pid, options))
    profiles = [answer for answer in answers.values() if isinstance(answer, Profile)]
    refused = tell_refusals(answers)
    for each in profiles:
        note = f"; {each.note}" if each.note else ""
        click.echo(clean_text(f"worker {each.pid}: {each.engine} ({each.because}){note}"), err=True)
    samples = samples_of(profiles)
    if route is not None:
        there = ", ".join(known for known, _ in samples.routes())
        samples = samples.only(route=route)
        if profiles and not samples.stacks:
            click.echo(f"perftui: no sample of {route}\n  there were: {there or 'none at all'}", err=True)
            click.get_current_context().exit(2)
    if profiles and write is not None and output:
        Path(output).write_bytes(write(samples, f"{name} · {mode}" + (f" · {route}" if route else "")))
        click.echo(f"wrote {output}", err=True)
    if profiles and as_json:
        click.echo(json.dumps(profile_document(samples, profiles), ensure_ascii=False, indent=2))
    elif profiles and write is None:
        width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
        click.echo("\n".join(profile_text(samples, profiles, width)))
    if refused:
        click.get_current_context().exit(2)


async def _take(
    targets: Sequence[LiveTarget], pid: int | None, options: dict[str, Any]
) -> tuple[str, dict[int, Profile | Refusal]]:
    """Return the target, and each worker's profile, or why there is none, by pid."""
    async with LiveSource(targets) as source:
        wanted = await wanted_workers(source, pid)
        finish = asyncio.Event()
        bar = ProgressBar(wanted, options["for_s"])

        async def one(worker: WorkerIdentity) -> Profile | Refusal:
            def told(progress: Progress) -> None:
                bar.told(worker.pid, progress)

            return await take_profile(source, worker.id, told=told, finish=finish, **options)

        with ended_by_ctrl_c(finish):
            answers = await asyncio.gather(*(one(worker) for worker in wanted))
        bar.end()
        return source.name, {worker.pid: answer for worker, answer in zip(wanted, answers, strict=True)}
