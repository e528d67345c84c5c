"""Reads this place: the shell, the directories, the kernel, and what each agent says of itself.

Nothing is judged and nothing is changed. Directories are looked at, not made; agents are asked over their
sockets, which answer root and their own user; a worker is never paused for it.
"""

from __future__ import annotations

import asyncio
import locale
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from perftui import terminal
from perftui.doctor.surroundings import Absent, Directory, Knocked, Shell, Surroundings, Worker
from perftui.model.text import clean, clean_text
from perftui.sources.absent import explain
from perftui.sources.actions import take_standing
from perftui.sources.discovery import Discovery, directories, discover, services
from perftui.sources.knocking import NoWebSocketsError
from perftui.sources.live import LiveSource, reachable
from perftui.sources.match import matches, matching
from perftui.sources.target import (
    LiveTarget,
    LocalTarget,
    PidTarget,
    RemoteTarget,
    Target,
    TargetError,
    local_among,
    parse,
    parse_live,
)
from perftui.sources.token import TOKEN
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import WIRE_VERSION
from perftui_agent.wire.lives import file_stem
from perftui_agent.wire.registration import Registration, check_private
from perftui_agent.wire.standing import read_machine, read_rights

LISTEN_S = 2.6
"""How long a worker may take to say hello: past it, it is silent."""

REGISTERING_S = 2.0
"""How long a worker that just started may take to know where it listens."""

SPY_S = 3.0

FULL_BYTES = 1024 * 1024


def read(targets: Sequence[LiveTarget]) -> Surroundings:
    """Return all there is to know here about `targets`; about every worker, without any."""
    found, absent = asyncio.run(_all_workers(targets))
    doors = asyncio.run(_doors(targets))
    spy, spy_version = _spy()
    xdg = os.environ.get("XDG_RUNTIME_DIR", "")
    return Surroundings(
        uid=os.getuid(),
        perftui=_version_of("perftui"),
        wire=WIRE_VERSION,
        machine=read_machine(),
        rights=read_rights(os.getpid()),
        spy=spy,
        spy_version=spy_version,
        variables={name: value for name, value in os.environ.items() if _is_setting(name)},
        xdg=clean_text(xdg),
        xdg_problem=_xdg_problem(xdg),
        shell=_shell(),
        directories=tuple(map(_directory, directories())),
        workers=found,
        elsewhere=discover().elsewhere,
        absent=absent,
        doors=doors,
    )


async def _all_workers(targets: Sequence[LiveTarget]) -> tuple[tuple[Worker, ...], tuple[Absent, ...]]:
    found: list[Worker] = []
    absent: list[Absent] = []
    for target in targets:
        if isinstance(target, RemoteTarget):
            try:
                found += await _workers_behind(target)
            except TargetError as error:
                absent.append(_absent(target, error))
    if (local := local_among(targets)) or not targets:
        here, missing = await _workers(local)
        found += here
        absent += missing
    return tuple(found), tuple(absent)


async def _workers_behind(target: RemoteTarget) -> list[Worker]:
    """Return who is behind a remote door, as each says itself: nothing can be read of it from here."""
    async with LiveSource([target]) as source:
        await source.settled(LISTEN_S)
        return [await _asked(source, each, rights=None, has_box=True) for each in source.workers()]


async def _doors(targets: Sequence[LiveTarget]) -> tuple[Knocked, ...]:
    """Knock at the door of each service here, if there is a token to knock with."""
    if not TOKEN.get():
        return ()
    local, there = local_among(targets), discover().registrations
    meant = matching(local, there) if targets else there
    addresses = [service.target for service in services(meant) if service.tcp]
    return tuple([await knocked(parse(f"http://{address}")) for address in addresses])


async def knocked(target: Target) -> Knocked:
    """Return how a door answers to the token that was given."""
    try:
        await reachable(parse_live([str(target)]))
    except TargetError as error:
        no_sockets = isinstance(error, NoWebSocketsError)
        return Knocked(str(target), clean_text(error.problem), clean_text(error.advice), no_sockets)
    return Knocked(str(target))


def _is_setting(name: str) -> bool:
    return name.startswith("PERFTUI_") and name != "PERFTUI_TOKEN"


def _absent(target: LiveTarget, error: TargetError) -> Absent:
    return Absent(str(target), clean_text(error.problem), clean_text(error.advice))


async def _workers(targets: Sequence[LocalTarget]) -> tuple[tuple[Worker, ...], tuple[Absent, ...]]:
    discovery, missing = await _discovered(targets)
    absent = [_absent(target, explain(target, discovery)) for target in missing]
    wanted = matching(targets, discovery.registrations) if targets else list(discovery.registrations)
    known = {each.worker.id: _unasked(each) for each in wanted}
    asked = [PidTarget(each.worker.pid) for each in wanted if each.wire == WIRE_VERSION]
    if asked:
        try:
            async with LiveSource(asked) as source:
                await source.settled(LISTEN_S)
                for each in source.workers():
                    if each.worker.id in known:
                        known[each.worker.id] = await _asked(source, each)
        except TargetError:  # the last of them ended meanwhile
            pass
    return tuple(known.values()), tuple(absent)


async def _discovered(targets: Sequence[LocalTarget]) -> tuple[Discovery, list[LocalTarget]]:
    """Return who is there and which targets mean nobody, once workers that just start had their time."""
    for _ in range(int(REGISTERING_S / 0.1)):
        discovery = discover()
        missing = [each for each in targets if not any(matches(each, one) for one in discovery.registrations)]
        if not missing or all(each.tcp or each.unix for each in discovery.registrations):
            break
        await asyncio.sleep(0.1)
    return discovery, missing


async def _asked(source: LiveSource, registration: Registration, **said: object) -> Worker:
    worker = registration.worker
    answer = await take_standing(source, worker.id)
    phase = source.phase(worker.id) or "gone"
    return _unasked(
        registration,
        state=phase,
        standing=None if isinstance(answer, Refusal) else clean(answer),
        unanswered=clean_text(answer.reason) if isinstance(answer, Refusal) else "",
        **said,
    )


def _unasked(registration: Registration, **said: object) -> Worker:
    worker = registration.worker
    folders = [folder for folder in directories() if (folder / f"{file_stem(worker)}.json").exists()]
    where = folders[0] if folders else Path(registration.socket).parent
    fields: dict[str, object] = {
        "pid": worker.pid,
        "service": worker.service,
        "agent": worker.agent,
        "wire": registration.wire,
        "python": worker.python,
        "has_box": (where / f"{file_stem(worker)}.ring").exists(),
        "rights": read_rights(worker.pid),
        "writes_on": registration.stacks.signal if registration.stacks is not None else None,
    }
    return Worker(**(fields | said))  # type: ignore[arg-type] # each by its name


def _directory(path: Path) -> Directory:
    chosen = os.environ.get("PERFTUI_RUNTIME_DIR")
    xdg = os.environ.get("XDG_RUNTIME_DIR")
    by = "XDG_RUNTIME_DIR" if xdg and path.parent == Path(xdg) else ""
    if chosen and path == Path(os.path.abspath(chosen)):
        by = "PERFTUI_RUNTIME_DIR"
    exists, problem = path.exists() or path.is_symlink(), ""
    try:
        check_private(path)
        os.listdir(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        problem = error.strerror or str(error)
    there = next(each for each in (path, *path.parents) if each.exists())
    try:
        system = os.statvfs(there)
        read_only = bool(system.f_flag & os.ST_RDONLY)
        full = system.f_bavail * system.f_frsize < FULL_BYTES
    except OSError:
        read_only = full = False
    return Directory(
        path=clean_text(str(path)),
        chosen_by=by,
        exists=exists,
        problem=clean_text(problem),
        writable=os.access(there, os.W_OK | os.X_OK),
        read_only=read_only,
        full=full,
    )


def _xdg_problem(xdg: str) -> str:
    if not xdg:
        return ""
    try:
        info = os.stat(xdg)
    except OSError as error:
        return "can't be reached" if isinstance(error, PermissionError) else "is not there any more"
    return "" if info.st_uid == os.getuid() else f"belongs to uid {info.st_uid}"


def _shell() -> Shell:
    size = shutil.get_terminal_size((80, 24))
    encoding = (sys.stdout.encoding or locale.getpreferredencoding()).lower().replace("-", "")
    inside = "tmux" if os.environ.get("TMUX") else "screen" if os.environ.get("STY") else ""
    return Shell(
        is_terminal=terminal.is_there(),
        term=clean_text(os.environ.get("TERM", "")),
        colour=clean_text(os.environ.get("COLORTERM", "")),
        no_colour="NO_COLOR" in os.environ,
        utf8=encoding.startswith("utf8"),
        columns=size.columns,
        rows=size.lines,
        inside=inside,
    )


def _spy() -> tuple[str, str]:
    """Return the py-spy beside this perftui, or on the PATH, and its version."""
    beside = os.path.join(sysconfig.get_path("scripts"), "py-spy")
    path = beside if os.access(beside, os.X_OK) else shutil.which("py-spy") or ""
    if not path:
        return "", ""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=SPY_S, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return path, ""
    return path, clean_text(done.stdout.strip().removeprefix("py-spy").strip())


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
