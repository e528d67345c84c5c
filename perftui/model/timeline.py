"""Everything that happened to the service, for the time axis.

What happens to workers and the link is told once, when it happens, and kept in the dashboard. What frames
tell (loops that were held) is read from history whenever it is asked for: a late frame then finds its
place without more ado.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from perftui.model.dashboard import MAX_EVENTS, Dashboard, WorkerTrack
from perftui.model.evidence import SILENT, TAKEN, evidence_at, how_it_ended, serving, what_it_was
from perftui.model.happenings import Event, EvidenceRow, IncidentRow
from perftui.model.summary import LinkState
from perftui_agent.wire.endings import ENDED
from perftui_agent.wire.explain import PLAN_CHANGED
from perftui_agent.wire.parts import WorkerId

REPLACED_WITHIN_S = 60.0
"""One that comes so soon after, or before, another went has taken its place."""

FIRST_LOOK_S = 0.5
"""Who is found this soon was there when the watch began."""

START_IMPRECISION_S = 1.0
"""The kernel tells when a process started from a boot time in whole seconds: so much too early at worst."""

DEPLOY_WORKERS = 2
"""A service whose only worker is replaced may have been deployed, or may have died."""

CLOCK_STEPPED = "clock-stepped"

DAMAGED = "recording-damaged"

NOTED = frozenset({CLOCK_STEPPED, DAMAGED})
"""What whoever reads figures must know of them."""

SAME_STEP_S = 5.0
"""Each worker tells of a step of the host's clock with its next frame."""

HELD_NS = 1_000_000_000
"""A loop that was held for so long is told of."""

HELD_AGAIN_S = 60.0
"""Held again at the same place within so long is the same event."""


def events_until(dashboard: Dashboard, at: float) -> tuple[Event, ...]:
    """Return what happened until `at`, as far back as is known, the newest last."""
    happened = [event for event in dashboard.events if event.at <= at]
    happened += _held_loops(dashboard, at)
    happened += _fired(dashboard, at)
    happened += _plans_changed(dashboard, at)
    happened = with_silences(happened, evidence_at(dashboard.evidence, at))
    happened.sort(key=lambda event: event.at)
    return tuple(happened[-MAX_EVENTS:])


def with_mark(dashboard: Dashboard, at: float, label: str) -> Dashboard:
    """Return it with a mark."""
    sentence = f"mark: {label}" if label else "mark"
    return _with_events(dashboard, [Event(at, "mark", label or "mark", sentence)])


def with_damage(dashboard: Dashboard, at: float, sentence: str) -> Dashboard:
    """Return it with the news that a part of what it is made from can't be read."""
    return _with_events(dashboard, [Event(at, DAMAGED, "recording", sentence)])


def with_link(dashboard: Dashboard, link: LinkState, at: float) -> Dashboard:
    """Return it with the news, if there is any, that the link stands otherwise than before."""
    before = dashboard.link
    if link == before or (before == "connecting" and link == "live"):
        return dashboard
    name = dashboard.target or "target"
    if link == "live":
        lost_at = next((each.at for each in reversed(dashboard.events) if each.kind.startswith("link-")), at)
        sentence, kind = f"heard again after {at - lost_at:.0f} s", "link-back"
    elif link == "stale":
        sentence, kind = "no worker has been heard for some seconds", "link-stale"
    else:
        sentence, kind = "no worker is left", "link-lost"
    return _with_events(dashboard, [Event(at, kind, name, sentence)])


def with_clock_step(dashboard: Dashboard, by_s: float, at: float, worker: WorkerId | None) -> Dashboard:
    """Return it with the news that a clock was set: once, whoever else tells of the same step."""
    for event in reversed(dashboard.events):
        if event.kind == CLOCK_STEPPED and at - event.at <= SAME_STEP_S:
            return dashboard
    track = dashboard.workers.get(worker) if worker is not None else None
    whose = f"the clock of worker {track.identity.pid}" if track is not None else "the clock of this host"
    way = "forward" if by_s > 0 else "back"
    sentence = f"{whose} was set {way} by {abs(by_s):.0f} s; times here go on as before"
    return _with_events(dashboard, [Event(at, CLOCK_STEPPED, "clock", sentence)])


def is_newcomer(dashboard: Dashboard, track: WorkerTrack) -> bool:
    """Tell whether a worker has started since the watch began: one that is only found late is no news."""
    began_at = dashboard.began_at
    if began_at is None or track.found_at <= began_at + FIRST_LOOK_S:
        return False
    return track.identity.started_at > began_at - START_IMPRECISION_S


def with_arrival(dashboard: Dashboard, worker: WorkerId, at: float) -> Dashboard:
    """Return it with the news that a worker has come, and whose place it took: the first that went."""
    came = dashboard.workers.get(worker)
    if came is None:
        return dashboard
    pid = came.identity.pid
    for went in _siblings(dashboard, came):
        if went.gone_at is not None and went.replaced_by is None and at - went.gone_at <= REPLACED_WITHIN_S:
            return _with_replacement(dashboard, went, came, at)
    event = Event(at, "worker-joined", str(pid), f"worker {pid} has joined", worker=worker)
    return _with_deploy(_with_events(dashboard, [event]), came, at)


def with_departure(dashboard: Dashboard, worker: WorkerId, at: float) -> Dashboard:
    """Return it with the news that a worker has gone; a successor may have come before it went."""
    went = dashboard.workers[worker]
    pid = went.identity.pid
    event = Event(at, "worker-lost", str(pid), f"worker {pid} is gone", worker=worker)
    dashboard = _with_events(dashboard, [event])
    for came in _siblings(dashboard, went):
        is_new = is_newcomer(dashboard, came) and at - came.found_at <= REPLACED_WITHIN_S
        # Of one that ended before anybody watched it is told later: who came since is no successor by then.
        is_new = is_new and came.identity.started_at <= at + START_IMPRECISION_S
        if is_new and came.gone_at is None and came.replaces is None and came.found_at > went.found_at:
            return _with_replacement(dashboard, went, came, at)
    return _with_deploy(dashboard, went, at)


def _with_replacement(dashboard: Dashboard, went: WorkerTrack, came: WorkerTrack, at: float) -> Dashboard:
    old, new = went.identity, came.identity
    workers = {
        **dashboard.workers,
        old.id: replace(went, replaced_by=new.id),
        new.id: replace(came, replaces=old.id),
    }
    sentence = f"worker {new.pid} has replaced {old.pid}"
    event = Event(at, "worker-restarted", str(old.pid), sentence, worker=new.id)
    return _with_deploy(_with_events(replace(dashboard, workers=workers), [event]), came, at)


def _with_deploy(dashboard: Dashboard, of: WorkerTrack, at: float) -> Dashboard:
    """Return it with one event for all, if all workers of a service have been replaced within a minute."""
    since = at - REPLACED_WITHIN_S
    all_of_it = [each for each in dashboard.workers.values() if each.identity.service == of.identity.service]
    alive = [each for each in all_of_it if each.gone_at is None]
    went = [each for each in all_of_it if each.gone_at is not None and each.gone_at >= since]
    new = [each for each in alive if each.found_at >= since and is_newcomer(dashboard, each)]
    if not new or len(new) < len(alive) or len(went) < DEPLOY_WORKERS or len(new) < len(went):
        return dashboard
    service = of.identity.service
    news = f"all {len(went)} workers were replaced"
    if len(new) != len(went):
        news += f", by {len(new)}"
    concerned = {each.identity.id for each in (*went, *new)}
    told = [
        replace(event, part_of="deploy")
        if event.worker in concerned and event.kind.startswith("worker-")
        else event
        for event in dashboard.events
        if not (event.kind == "deploy" and event.subject == service and event.at >= since)
    ]
    event = Event(min(each.found_at for each in new), "deploy", service, news)
    return _with_events(replace(dashboard, events=tuple(told)), [event])


def _siblings(dashboard: Dashboard, of: WorkerTrack) -> Iterator[WorkerTrack]:
    for track in dashboard.workers.values():
        same_supervisor = _supervisor(track) == _supervisor(of)
        if track is not of and same_supervisor and track.identity.service == of.identity.service:
            yield track


def _supervisor(track: WorkerTrack) -> tuple[int, str]:
    return track.identity.supervisor_pid, track.identity.pid_namespace


def _with_events(dashboard: Dashboard, events: Iterable[Event]) -> Dashboard:
    return replace(dashboard, events=(*dashboard.events, *events)[-MAX_EVENTS:])


def _fired(dashboard: Dashboard, at: float) -> Iterator[Event]:
    """Yield what triggers have had taken, and somebody has asked for, each piece as an event of its own."""
    for row in dashboard.evidence:
        each = row.evidence
        if each.kind in TAKEN and each.at <= at * 1e9:
            taken = f"; {each.how}" if each.how else ""
            yield Event(
                at=each.at / 1e9,
                kind=each.kind,
                subject=each.trigger or each.how,
                sentence=f"{each.text}{taken} (worker {row.pid})",
                route=each.route,
                worker=row.worker,
                until=(each.at + each.ns) / 1e9,
                evidence=each.id,
            )


def _plans_changed(dashboard: Dashboard, at: float) -> Iterator[Event]:
    """Yield where a database has begun to go about a statement in another way."""
    for row in dashboard.evidence:
        each = row.evidence
        if each.kind == PLAN_CHANGED and each.at <= at * 1e9:
            sentence = f"{each.text} (seen by worker {row.pid})"
            yield Event(each.at / 1e9, PLAN_CHANGED, each.where or "SQL", sentence, each.route, row.worker)


def with_silences(happened: list[Event], evidence: Iterable[EvidenceRow]) -> list[Event]:
    """Return what happened with the silences of workers, and who ended whom for it: also before the watch."""
    rows = list(evidence)
    happened = _with_endings(happened, rows)
    for row in rows:
        each = row.evidence
        if each.kind != SILENT:
            continue
        happened.append(_fell_silent(row))
        if each.outcome != "ended":
            continue
        sentence = f"{how_it_ended(each)}, {what_it_was(each)}"
        known = [event for event in happened if event.kind == "worker-lost" and event.worker == row.worker]
        if known:
            happened = [replace(event, sentence=sentence) if event in known else event for event in happened]
        else:
            happened.append(Event(row.until, "worker-lost", str(row.pid), sentence, each.route, row.worker))
    return happened


def _with_endings(happened: list[Event], evidence: Iterable[EvidenceRow]) -> list[Event]:
    """Return what happened with how workers ended that did not stop in order."""
    for row in evidence:
        each = row.evidence
        if each.kind != ENDED:
            continue
        sentence = f"worker {row.pid} {each.text}{serving(each)}"
        known = [event for event in happened if event.kind == "worker-lost" and event.worker == row.worker]
        if known:
            happened = [replace(event, sentence=sentence) if event in known else event for event in happened]
        else:
            happened.append(Event(row.until, "worker-lost", str(row.pid), sentence, each.route, row.worker))
    return happened


def _fell_silent(row: EvidenceRow) -> Event:
    each = row.evidence
    is_of_a_line = bool(each.where) and each.verdict != "stopped"
    for_s = f"for {each.ns / 1e9:.1f} s" + ("" if each.outcome else ", and still is")
    serving = f", serving {each.route}" if each.route else ""
    if is_of_a_line:
        sentence = f"worker {row.pid} was silent {for_s}: {each.verdict}{serving}"
    else:
        sentence = f"worker {row.pid} was silent {for_s}: {what_it_was(each)}"
    return Event(
        at=each.at / 1e9,
        kind=SILENT,
        subject=each.where if is_of_a_line else str(row.pid),
        sentence=sentence,
        route=each.route,
        worker=row.worker,
        until=row.until,
        evidence=each.id if each.result else "",
    )


def _held_loops(dashboard: Dashboard, at: float) -> Iterator[Event]:
    """Yield the blocks of a second and more, those at one place shortly after one another as one."""
    by_place: dict[str, list[IncidentRow]] = {}
    for row in dashboard.history.held(HELD_NS):
        if row.incident.at <= at * 1e9:
            by_place.setdefault(row.incident.where, []).append(row)
    for rows in by_place.values():
        rows.sort(key=lambda row: row.incident.at)
        together = [rows[0]]
        for row in rows[1:]:
            if row.incident.at - together[-1].incident.at > HELD_AGAIN_S * 1e9:
                yield _held(together)
                together = []
            together.append(row)
        yield _held(together)


def _held(rows: list[IncidentRow]) -> Event:
    worst = max(rows, key=lambda row: row.incident.ns)
    pids = sorted({row.pid for row in rows})
    whose = f"worker {pids[0]}" if len(pids) == 1 else f"{len(pids)} workers"
    longest_s = worst.incident.ns / 1e9
    if len(rows) == 1:
        how_long = f"for {longest_s:.1f} s"
    else:
        how_long = f"{len(rows)} times, {longest_s:.1f} s at worst"
    return Event(
        at=rows[0].incident.at / 1e9,
        kind="loop-blocked",
        subject=worst.incident.where,
        sentence=f"{worst.incident.where} held the loop of {whose} {how_long}",
        route=worst.incident.route,
        worker=worst.worker,
        until=max(row.incident.at + row.incident.ns for row in rows) / 1e9,
    )
