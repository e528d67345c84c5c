"""`perftui ls`: the instrumented services on this host."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import click

from perftui.commands.arguments import json_option
from perftui.commands.folding import folded
from perftui.model.dashboard import Dashboard
from perftui.model.text import clean_text
from perftui.model.worker_summary import WorkerSummary
from perftui.postmortem import ends_of
from perftui.present.documents.rows.units import moment
from perftui.present.documents.table import Column, table
from perftui.present.text.units import NO_DATA, age
from perftui.recording.gaps import clock_time
from perftui.sources.dead import Dead, dead_workers
from perftui.sources.discovery import Discovery, Service, discover, services
from perftui.sources.live import LiveSource
from perftui.sources.target import PidTarget, TargetError
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.parts import WorkerId

LISTEN_S = 2.6
"""How long a worker may take to say how it is: past it, it is silent."""


@click.command()
@json_option
def ls(as_json: bool) -> None:
    """List the instrumented services on this host: workers, addresses, versions, health."""
    discovery = discover()
    found = services(discovery.registrations)
    if not found and discovery.unreadable:
        problem = f"the registrations can't be read: {discovery.unreadable[0]}"
        raise TargetError(problem, "look as the user the service runs as, or as root: sudo perftui ls")
    for reason in discovery.unreadable:
        click.echo(f"passed over: {reason}", err=True)
    for reason in discovery.elsewhere:
        click.echo(f"not reached from here: {reason}", err=True)
    states = asyncio.run(_states(discovery)) if found else {}
    dead = dead_workers()
    if as_json:
        document = {
            "schema": 1,
            "services": [_document(service, states) for service in found],
            "gone": _gone_document(dead),
        }
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    elif found or dead:
        alive = _table(found, states) if found else []
        click.echo("\n".join([*alive, *_gone_table(dead, after=bool(found))]))
    else:
        click.echo(
            "no instrumented service runs here: add `instrument(app)` to one, or see perftui demo", err=True
        )


def _gone_table(dead: Sequence[Dead], *, after: bool) -> list[str]:
    """Return the workers that are no more and have left their last minutes."""
    if not dead:
        return []
    ends = ends_of(dead)
    columns = (Column("gone"), Column("to look at it"), Column("last heard"), Column("how it ended"))
    rows = [
        (
            one.hello.worker.service,
            f"perftui connect pid:{one.hello.worker.pid}",
            clock_time(one.last_at),
            ended.text if (ended := ends.get(one.hello.worker.id)) is not None else "nobody has seen",
        )
        for one in dead
    ]
    return [*([""] if after else []), *table(columns, rows)]


def _gone_document(dead: Sequence[Dead]) -> list[dict[str, Any]]:
    ends = ends_of(dead) if dead else {}
    return [
        {
            "service": one.hello.worker.service,
            "target": f"pid:{one.hello.worker.pid}",
            "pid": one.hello.worker.pid,
            "host": one.hello.worker.host,
            "version": one.hello.worker.version or None,
            "last_heard_at": moment(one.last_at),
            "ended": ended.text if (ended := ends.get(one.hello.worker.id)) is not None else None,
            "verdict": ended.verdict if ended is not None else None,
            "in_flight": one.frames[-1].in_flight if one.frames else None,
        }
        for one in dead
    ]


async def _states(discovery: Discovery) -> dict[WorkerId, WorkerSummary]:
    """Return how each worker is, by its first frame or the lack of one."""
    pids = [PidTarget(each.worker.pid) for each in discovery.registrations if each.wire == WIRE_VERSION]
    if not pids:
        return {}

    def told(dashboard: Dashboard) -> bool:
        return bool(dashboard.workers) and all(track.last_frame for track in dashboard.alive)

    try:
        async with LiveSource(pids) as source:
            summary = await folded(source, LISTEN_S, until=told)
    except TargetError:  # the last of them ended meanwhile
        return {}
    return {row.identity.id: row for row in summary.workers}


def _table(found: Sequence[Service], states: dict[WorkerId, WorkerSummary]) -> list[str]:
    columns = (
        Column("service"),
        Column("target"),
        Column("pid", True),
        Column("state"),
        Column("up", True),
        Column("version"),
        Column("server"),
        Column("python"),
        Column("framework"),
        Column("agent"),
    )
    rows = []
    for service in found:
        name, target = service.name, service.target
        for registration in service.workers:
            worker = registration.worker
            row = states.get(worker.id)
            frameworks = " ".join(f"{kind} {version}" for kind, version in worker.frameworks.items())
            versions = (worker.version, worker.server, worker.python, frameworks, worker.agent)
            up = age(row.uptime_s) if row else NO_DATA
            state = _state(row, registration.wire)
            rows.append((name, target, str(worker.pid), state, up, *(each or NO_DATA for each in versions)))
            name = target = ""  # said once
    return table(columns, rows)


def _state(row: WorkerSummary | None, wire: int) -> str:
    if wire != WIRE_VERSION:
        return f"wire {wire}, not {WIRE_VERSION}"
    return row.state if row else NO_DATA


def _document(service: Service, states: dict[WorkerId, WorkerSummary]) -> dict[str, Any]:
    return {
        "service": service.name,
        "target": service.target,
        "tcp": list(service.tcp),
        "unix": list(service.unix),
        "ports": sorted({int(address.rpartition(":")[2]) for address in service.tcp}),
        "workers": [
            {
                "pid": each.worker.pid,
                "state": states[each.worker.id].state if each.worker.id in states else None,
                "host": each.worker.host,
                "version": each.worker.version or None,
                "started_at": moment(each.worker.started_at),
                "supervisor_pid": each.worker.supervisor_pid,
                "server": each.worker.server or None,
                "python": each.worker.python or None,
                "agent": each.worker.agent or None,
                "frameworks": dict(each.worker.frameworks),
                "wire": each.wire,
                "socket": clean_text(each.socket),
            }
            for each in service.workers
        ],
    }
