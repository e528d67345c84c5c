"""Promises 16, 20, 21 and 23: how a worker says where it is, and what it does not fall for."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from perftui_agent.listeners import Listeners, ListeningSocket, addresses
from perftui_agent.serve import rendezvous as rendezvous_module
from perftui_agent.serve.rendezvous import OLD_S, TOUCHED_EVERY_S, Rendezvous, private_directory
from perftui_agent.wire import registration as registration_module
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.lives import Place, file_stem, here, own_start_ticks, running_start_ticks
from perftui_agent.wire.registration import (
    UnsafeRuntimeDirError,
    fallback_dir,
    read_registrations,
    runtime_dirs,
)
from tests.support.servers import private_dir


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own, not made yet."""
    base = private_dir()
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(base / "run"))
    yield base / "run"
    subprocess.run(["rm", "-rf", str(base)], check=True)


def me() -> WorkerIdentity:
    return identity(os.getpid(), own_start_ticks())


def identity(pid: int, start_ticks: int, place: Place | None = None) -> WorkerIdentity:
    place = place or here()
    return WorkerIdentity(
        host="box",
        pid=pid,
        started_at=1.0,
        service="shop",
        supervisor_pid=1,
        start_ticks=start_ticks,
        boot_id=place.boot_id,
        pid_namespace=place.pid_namespace,
    )


def listening() -> tuple[ListeningSocket, ...]:
    """Return where this process listens now."""
    listeners = Listeners()
    for _ in listeners.look():
        pass
    return listeners.found


def dead() -> WorkerIdentity:
    """Return a worker that has been killed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        start_ticks = running_start_ticks(process.pid)
        assert start_ticks
        process.kill()
    return identity(process.pid, start_ticks)


def test_promise_16_the_directory_and_what_is_in_it_are_for_their_owner_alone(runtime_dir: Path) -> None:
    """0700 around 0600, whatever the umask says."""
    before = os.umask(0)
    try:
        Rendezvous(me()).publish()
    finally:
        os.umask(before)
    assert stat.S_IMODE(runtime_dir.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in runtime_dir.iterdir()] == [0o600]


def test_a_worker_says_where_it_listens_and_takes_it_back(runtime_dir: Path) -> None:
    """TCP and Unix sockets alike; nothing is left when it stops."""
    rendezvous = Rendezvous(me())
    with socket.socket() as tcp, socket.socket(socket.AF_INET6) as tcp6, socket.socket(socket.AF_UNIX) as uds:
        tcp.bind(("127.0.0.1", 0))
        tcp6.bind(("::1", 0))
        uds.bind(str(runtime_dir / "app.sock"))
        for listener in (tcp, tcp6, uds):
            listener.listen()
        assert rendezvous.publish(listening())
        assert not rendezvous.publish(listening()), "nothing has changed"
        ((_, entry),) = read_registrations(runtime_dir)
        assert f"127.0.0.1:{tcp.getsockname()[1]}" in entry.tcp
        assert f"[::1]:{tcp6.getsockname()[1]}" in entry.tcp
        assert str(runtime_dir / "app.sock") in entry.unix
        assert tcp.fileno() >= 0, "the app's sockets are as they were"
    assert rendezvous.publish(listening()), "they have been closed"
    rendezvous.withdraw()
    rendezvous.withdraw()
    assert [path.name for path in runtime_dir.iterdir()] == ["app.sock"]


def test_the_agents_own_socket_is_no_address(runtime_dir: Path) -> None:
    """It is where the agent listens, not the app."""
    rendezvous = Rendezvous(me())
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(rendezvous.socket_path))
        own.listen()
        path = str(rendezvous.socket_path)
        assert path in addresses(listening())[1]
        assert path not in addresses(listening(), without=path)[1]


def test_promise_22_what_a_killed_worker_left_is_swept_by_the_next(runtime_dir: Path) -> None:
    """Its entry and its socket, even if it had not come to write its entry."""
    killed, killed_early = dead(), dead()
    early = Rendezvous(killed_early)
    for path in (Rendezvous(killed).socket_path, early.socket_path, early.socket_path.with_suffix(".new")):
        path.touch()
    Rendezvous(killed).publish()
    mine = Rendezvous(me())
    mine.publish()
    assert mine.sweep() == 2
    assert [path.name for path in runtime_dir.iterdir()] == [f"{file_stem(me())}.json"]


def test_promise_22_signs_of_life_and_claims_of_the_dead_are_swept_too(runtime_dir: Path) -> None:
    """Whoever had claimed to look into a silence may have been killed as well."""
    worker = Rendezvous(me())
    gone, living = file_stem(dead()), file_stem(me())
    for name in (f"{gone}.pulse", f"{gone}.1f2e.claim", f"{living}.1f2e.claim"):
        (runtime_dir / name).touch()
    worker.sweep()
    assert sorted(path.name for path in runtime_dir.iterdir()) == [f"{living}.1f2e.claim"]


def test_promise_22_the_living_are_not_swept(runtime_dir: Path) -> None:
    """Nor is what is not named like a worker's."""
    Rendezvous(me()).publish()
    (runtime_dir / "notes.json").touch()
    (runtime_dir / "1-2.sock.json").touch()
    assert Rendezvous(me()).sweep() == 0
    assert len(list(runtime_dir.iterdir())) == 3


def test_promise_7_a_recycled_pid_is_another_worker(runtime_dir: Path) -> None:
    """The entry of an earlier process of the same pid is swept, and its share stays its own."""
    earlier = identity(os.getpid(), own_start_ticks() - 1000)
    Rendezvous(earlier).publish()
    mine = Rendezvous(me())
    mine.publish()
    assert earlier.id != me().id
    assert mine.sweep() == 1
    ((_, entry),) = read_registrations(runtime_dir)
    assert entry.worker == me()


@contextmanager
def listener_of(rendezvous: Rendezvous) -> Iterator[socket.socket]:
    """Listen where a worker's agent would."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(rendezvous.socket_path))
        listener.listen()
        yield listener


def test_promise_21_workers_of_another_pid_namespace_are_left_alone(runtime_dir: Path) -> None:
    """As long as their sockets answer, or may be made again; what refuses has been left behind."""
    theirs = Place(here().boot_id, "1")
    living, cleaned, dead = [Rendezvous(identity(pid, 5, theirs)) for pid in (10, 11, 12)]
    for each in (living, cleaned, dead):
        each.publish()
    with listener_of(dead):
        pass
    with listener_of(living):
        mine = Rendezvous(me())
        mine.publish()
        assert mine.sweep() == 1
        assert {entry.worker.pid for _, entry in read_registrations(runtime_dir)} == {10, 11, os.getpid()}
        assert living.socket_path.exists()
        assert not dead.socket_path.exists()


def test_promise_21_another_machines_workers_are_left_alone_until_nobody_touches_them(
    runtime_dir: Path,
) -> None:
    """How long ago that was is told by the file system's own clock, which may be neither machine's."""
    elsewhere = Place("another machine's", "1")
    touched, old = [Rendezvous(identity(pid, 5, elsewhere)) for pid in (10, 11)]
    for each in (touched, old):
        each.publish()
    long_ago = time.time() - 2 * OLD_S
    os.utime(old.socket_path.with_suffix(".json"), (long_ago, long_ago))
    mine = Rendezvous(me())
    mine.publish()
    assert mine.sweep() == 1
    assert {entry.worker.pid for _, entry in read_registrations(runtime_dir)} == {10, os.getpid()}


def test_one_text_that_cannot_be_encoded_costs_no_entry(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service, and even the directory, whose name is not UTF-8; the socket is found beside its entry."""
    directory = runtime_dir.parent / os.fsdecode(b"caf\xe9")
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(directory))
    mine = Rendezvous(replace(me(), service=os.fsdecode(b"caf\xe9")))
    mine.publish()
    ((_, entry),) = read_registrations(directory)
    assert entry.worker.service == "caf\ufffd"
    assert entry.worker.id == me().id
    assert entry.socket == str(mine.socket_path)


def test_promise_21_an_entry_that_is_removed_is_written_again(runtime_dir: Path) -> None:
    """Alone or with its directory; nothing has changed in it but its place on the disk."""
    mine = Rendezvous(me())
    mine.publish()
    assert mine.is_there()
    shutil.rmtree(runtime_dir)
    assert not mine.is_there()
    mine.settle_again()
    assert mine.publish()
    ((path, entry),) = read_registrations(runtime_dir)
    assert entry.worker == me()
    assert stat.S_IMODE(runtime_dir.stat().st_mode) == 0o700
    path.unlink()
    path.write_bytes(b"{}")
    assert not mine.is_there(), "another file of the same name"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_promise_21_a_directory_that_has_become_somebody_elses_is_left(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the user's fallback, where clients look as soon as they find that the other can't be trusted."""
    fallback = runtime_dir.parent / "fallback"
    for module in (rendezvous_module, registration_module):
        monkeypatch.setattr(module, "fallback_dir", lambda _: fallback)
    mine = Rendezvous(me())
    mine.publish()
    shutil.rmtree(runtime_dir)
    runtime_dir.mkdir()
    runtime_dir.chmod(0o777)
    os.chown(runtime_dir, 12345, -1)
    assert not mine.is_there()
    mine.settle_again()
    mine.publish()
    assert mine.socket_path.parent == mine.box_path.parent == fallback
    assert os.listdir(runtime_dir) == []
    assert runtime_dirs() == [runtime_dir, fallback]
    ((_, entry),) = read_registrations(fallback)
    assert entry.socket == str(mine.socket_path)


def test_promise_21_files_are_kept_young_where_cleaners_take_the_old(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else writes to a socket's file, or to an entry that doesn't change."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    mine = Rendezvous(me())
    mine.publish()
    with listener_of(mine):
        paths = [mine.socket_path, mine.socket_path.with_suffix(".json")]
        for path in paths:
            os.utime(path, (0, 0))
        mine.publish()
        assert [path.stat().st_mtime for path in paths] == [0, 0]
        now[0] += TOUCHED_EVERY_S
        mine.publish()
        assert all(path.stat().st_mtime > 1e9 and path.stat().st_atime > 1e9 for path in paths)


def test_promise_16_a_lax_directory_of_ours_is_closed(runtime_dir: Path) -> None:
    """If nobody else has put anything there."""
    Rendezvous(me()).publish()
    runtime_dir.chmod(0o777)
    assert private_directory(runtime_dir) == runtime_dir
    assert stat.S_IMODE(runtime_dir.stat().st_mode) == 0o700


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_promise_16_a_directory_in_which_others_have_planted_is_refused(runtime_dir: Path) -> None:
    """A file of another user's, named like ours, must not be taken for ours by closing the directory."""
    runtime_dir.mkdir()
    runtime_dir.chmod(0o777)
    planted = runtime_dir / "1-2.00.json"
    planted.touch()
    os.chown(planted, 12345, -1)
    with pytest.raises(UnsafeRuntimeDirError, match="can be written to by others"):
        private_directory(runtime_dir)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_promise_16_a_directory_of_another_user_is_refused(runtime_dir: Path) -> None:
    """Whatever its mode."""
    runtime_dir.mkdir(mode=0o700)
    os.chown(runtime_dir, 12345, -1)
    with pytest.raises(UnsafeRuntimeDirError, match="is not a directory of uid"):
        Rendezvous(me())


def test_promise_16_a_link_is_refused(runtime_dir: Path) -> None:
    """It leads to where whoever made it wants."""
    runtime_dir.symlink_to(runtime_dir.parent)
    with pytest.raises(UnsafeRuntimeDirError, match="is not a directory"):
        Rendezvous(me())


def test_promise_16_a_link_in_place_of_an_entry_is_not_followed(runtime_dir: Path) -> None:
    """Writing an entry overwrites nothing elsewhere."""
    victim = runtime_dir.parent / "victim"
    victim.write_text("precious")
    rendezvous = Rendezvous(me())
    rendezvous.socket_path.with_suffix(".new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        rendezvous.publish()
    assert victim.read_text() == "precious"


def test_promise_24_a_path_too_long_for_a_socket_gets_another_directory(
    runtime_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry stays in the directory that was asked for and says where the socket is."""
    long = runtime_dir / ("x" * 100)
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(long))
    rendezvous = Rendezvous(me())
    try:
        rendezvous.publish()
        assert rendezvous.socket_path.parent == fallback_dir(os.getuid())
        assert len(os.fsencode(rendezvous.socket_path)) <= 100
        ((_, entry),) = read_registrations(long)
        assert entry.socket == str(rendezvous.socket_path)
    finally:
        rendezvous.withdraw()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 100, b"[]", b'{"wire": 1}', b"x" * 100_000])
def test_promise_20_an_entry_that_is_none_is_passed_over(runtime_dir: Path, content: bytes) -> None:
    """Others are read all the same."""
    Rendezvous(me()).publish()
    (runtime_dir / "1-1.00.json").write_bytes(content)
    ((_, entry),) = read_registrations(runtime_dir)
    assert entry.worker == me()


def test_turns_that_nobody_takes_any_more(runtime_dir: Path) -> None:
    """A file that says when a database was looked at last is of no use after an hour."""
    mine = Rendezvous(me())
    mine.publish()
    old, new = runtime_dir / "a.look", runtime_dir / "b.look"
    for turn in (old, new):
        turn.write_text("1")
    long_ago = time.time() - 2 * OLD_S
    os.utime(old, (long_ago, long_ago))
    mine.sweep()
    assert (old.exists(), new.exists()) == (False, True)
