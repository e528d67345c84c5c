"""`perftui ramp`: raise the load until something gives, and name what gave."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import click

from perftui.check.grammar import Objective
from perftui.commands.arguments import WholeNumber, json_option, seconds, token_option, warn_if_overheard
from perftui.commands.opening import dashboard_options
from perftui.commands.ramp_options import (
    Rate,
    check_ramp_output,
    objectives_of,
    plan_of,
    share_of,
    weights_of,
)
from perftui.commands.ramp_progress import WIDTH
from perftui.commands.ramp_running import Wanted, run_ramp
from perftui.commands.ramp_screen import INTERRUPTED, screen_for
from perftui.ramp.fleet import fleet_at
from perftui.ramp.sender import Setup
from perftui.ramp.telling import ramp_document, ramp_text
from perftui.recorder import SUFFIX
from perftui.sources.target import parse_live


@click.command()
@click.argument("target")
@token_option
@click.argument("requests", nargs=-1, metavar="['GET /items/{1..5000}' …]")
@click.option(
    "--weights", type=weights_of, default="", metavar="10,1", help="How often each request is sent."
)
@click.option("--mix", metavar="FILE|live", help="Requests from a file, or GET and HEAD as they come now.")
@click.option("--from", "start", type=Rate(0.1, 5000), default=5.0, show_default=True,
              metavar="RPS", help="The first rate.")  # fmt: skip
@click.option("--max", "most", type=Rate(0.1, 20_000), default=5000.0, show_default=True,
              metavar="RPS", help="No higher rate is tried.")  # fmt: skip
@click.option("--step", "step_s", type=seconds, default="10s", show_default=True, metavar="TIME",
              help="How long each rate is held; a fifth more is warm-up.")  # fmt: skip
@click.option("--until", "until", type=objectives_of, default="", metavar="'p95<200ms,errors<1%'",
              help="What must hold.  [default: what the service promises, else no more than three times the "
              "latency of its first steps]")  # fmt: skip
@click.option("--for", "longest_s", type=seconds, default="15m", show_default=True, metavar="TIME",
              help="The whole of it takes no longer.")  # fmt: skip
@click.option("--connections", type=WholeNumber(1, 20_000), default=1000, show_default=True,
              help="Requests under way at once, at most.")  # fmt: skip
@click.option("--new-connections", type=share_of, default="0", metavar="10%",
              help="Which part of the requests opens a connection of its own.")  # fmt: skip
@click.option("--engine", type=click.Choice(["perftui", "locust"]), default="perftui", show_default=True,
              help="What sends: perftui, or Locust's workers, on other machines too.")  # fmt: skip
@click.option(
    "--workers-at", metavar="HOST:PORT", help="Where Locust's workers find its master: an address here."
)
@click.option("--workers", type=WholeNumber(1, 1000), default=1, show_default=True,
              help="How many of Locust's workers to wait for.")  # fmt: skip
@click.option("--i-own", metavar="HOST", help="Send to this host, which is not this machine: it is yours.")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Record it (.perftui), or write the JSON here (.json).",
)
@click.option("--plain", is_flag=True, help="A line for each step, no screen.")
@dashboard_options
@json_option
def ramp(
    target: str,
    requests: tuple[str, ...],
    weights: tuple[float, ...],
    mix: str | None,
    start: float,
    most: float,
    step_s: float,
    until: tuple[Objective, ...],
    longest_s: float,
    connections: int,
    new_connections: float,
    engine: str,
    workers_at: str | None,
    workers: int,
    i_own: str | None,
    output: str | None,
    plain: bool,
    slow: bool,
    ascii_only: bool,
    as_json: bool,
) -> None:
    """Raise the load on TARGET until something gives, and tell at which rate, what it was, and what to do.

    Requests come at the rate, whatever the service does, and their latency begins when they were due. Nothing
    is sent to another machine, or to a service whose settings say production. ctrl+c ends it. On a terminal
    it has a screen, which shows the verdict until q is pressed.
    """
    warn_if_overheard([target])
    plan = plan_of(requests, weights, mix)
    if start > most:
        raise click.BadParameter(f"{start:g} is more than --max {most:g}", param_hint="--from")
    if not 1 <= step_s <= 120:
        raise click.BadParameter("1s to 2m", param_hint="--step")
    if (workers_at is not None) != (engine == "locust"):
        raise click.UsageError("--engine locust and --workers-at HOST:PORT go together")
    fleet = None if workers_at is None else fleet_at(workers_at, workers)
    recording = output if output and output.endswith(SUFFIX) else None
    check_ramp_output(output)
    setup = Setup("", list(plan or ()), most_open=connections, new_connections=new_connections)
    wanted = Wanted(
        targets=parse_live([target]), setup=setup, until=until, start_rps=start, most_rps=most,
        step_s=step_s, longest_s=longest_s, i_own=i_own, recording=recording, fleet=fleet,
    )  # fmt: skip
    show = None if plain or as_json else screen_for(slow=slow, ascii_only=ascii_only)
    ramped = asyncio.run(run_ramp(wanted, show))
    told = json.dumps(ramp_document(ramped), ensure_ascii=False, indent=2)
    if output and not recording:
        Path(output).write_text(told + "\n", encoding="utf-8")
    if as_json:
        click.echo(told)
    else:
        width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
        click.echo("\n".join(ramp_text(ramped, width)))
    if ramped.ended == INTERRUPTED:
        click.get_current_context().exit(130)
    if ramped.search.knee_rps is None:
        click.get_current_context().exit(2)
