"""Promise 15: looking for where the app listens changes nothing, and is not felt."""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from perftui_agent import listeners as module
from perftui_agent.descriptors import listening, number_open, table_size
from perftui_agent.listeners import RESTS, SLICE, UNCHANGED_S, Listeners
from tests.support.servers import private_dir


@pytest.fixture
def default_timeout() -> Iterator[None]:
    """The line that many apps have, meant for urllib."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)
    yield
    socket.setdefaulttimeout(before)


def addresses_found(by: Listeners) -> set[str]:
    """Look, and return all addresses."""
    for _ in by.look():
        pass
    return {each.address for each in by.found}


def flags() -> dict[int, int]:
    """Return the status flags of every open descriptor."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = fcntl.fcntl(int(name), fcntl.F_GETFL)
        except OSError:  # that of the listing
            continue
    return found


def test_looking_changes_nothing_of_a_descriptor(default_timeout: None, tmp_path: Path) -> None:
    """Flags and positions are the same afterwards: of blocking sockets of every kind, pipes and files."""
    with ExitStack() as stack:
        # Made like a supervisor's: blocking, whatever the default time-out is.
        for kind in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            stack.enter_context(socket.socket(kind)).setblocking(True)
        stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).setblocking(True)
        for end in socket.socketpair():
            stack.enter_context(end).setblocking(True)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(True)
        file = stack.enter_context((tmp_path / "file").open("w+"))
        file.write("some text")
        file.flush()
        for number in os.pipe():
            stack.callback(os.close, number)
        before = flags()
        assert f"127.0.0.1:{listener.getsockname()[1]}" in addresses_found(Listeners())
        assert flags() == before
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len("some text")


def test_looking_leaves_an_inherited_stdout_blocking(default_timeout: None) -> None:
    """Under journald it is a socket that the supervisor has, too: what one sets, all have."""
    mine, stdout = socket.socketpair()
    mine.setblocking(True)
    stdout.setblocking(True)
    program = (
        "import socket; socket.setdefaulttimeout(30)\n"
        "from perftui_agent.listeners import Listeners\n"
        "list(Listeners().look())\n"
    )
    with mine, stdout:
        subprocess.run([sys.executable, "-c", program], stdout=stdout.fileno(), check=True)
        assert not fcntl.fcntl(stdout, fcntl.F_GETFL) & os.O_NONBLOCK


def test_every_kind_of_listener_is_found_wherever_it_is_in_the_table() -> None:
    """TCP, IPv6 and Unix sockets, those given by number; neither connections nor datagrams."""
    directory = private_dir()
    with ExitStack() as stack:
        stack.callback(directory.rmdir)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        tcp6 = stack.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6))
        uds = stack.enter_context(socket.socket(socket.AF_UNIX))
        path = directory / "app.sock"
        uds.bind(str(path))
        stack.callback(path.unlink)
        uds.listen()
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        client = stack.enter_context(socket.create_connection(tcp.getsockname()))
        taken = stack.enter_context(tcp.accept()[0])
        far = os.dup2(tcp6.fileno(), table_size() - 1, inheritable=False)
        stack.callback(os.close, far)
        found = Listeners()
        addresses = addresses_found(found)
        assert {
            f"127.0.0.1:{tcp.getsockname()[1]}",
            f"[::1]:{tcp6.getsockname()[1]}",
            str(path),
        } <= addresses
        assert f"127.0.0.1:{bound.getsockname()[1]}" not in addresses
        descriptors = {each.descriptor for each in found.found}
        assert far in descriptors
        assert descriptors.isdisjoint({client.fileno(), taken.fileno(), bound.fileno()})


def test_a_number_that_leads_nowhere_or_elsewhere_by_now_is_no_listener() -> None:
    """The app may close and open descriptors at any moment."""
    found = Listeners()
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        number = server.fileno()
        assert address in addresses_found(found)
    with socket.socket() as other:
        assert other.fileno() == number, "the number has been given to something else"
        assert address not in addresses_found(found)
    assert listening(number, number + 1) == []


def test_a_long_table_is_searched_in_slices_and_then_rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step asks so many and no more; until the rest is over, only what listened is looked at."""
    asked: list[tuple[int, int]] = []

    def counting(first: int, end: int) -> list[int]:
        asked.append((first, end))
        return listening(first, end)

    now = [100.0]
    spent = itertools.count()
    monkeypatch.setattr(module, "listening", counting)
    monkeypatch.setattr(module, "table_size", lambda: 10 * SLICE)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr("time.thread_time", lambda: next(spent) * 0.01)
    found = Listeners()
    with socket.create_server(("127.0.0.1", 0)) as server:
        steps = [len(asked) for _ in found.look()]
        assert steps == list(range(1, 11)), "one slice between two pauses"
        assert all(end - first == SLICE for first, end in asked[:10])
        asked.clear()
        now[0] += RESTS * 0.1 - 0.1
        assert f"127.0.0.1:{server.getsockname()[1]}" in addresses_found(found)
        assert len(asked) == len(found.found), "what listened before, one by one"
        now[0] += UNCHANGED_S
        asked.clear()
        assert len(list(found.look())) == 10


def test_as_many_descriptors_as_before_are_searched_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another number has them searched at once, as does a listener that has gone; else half a minute does."""
    now, searches = [100.0], list[float]()

    def counting() -> int:
        searches.append(now[0])
        return table_size()

    number = [20]
    monkeypatch.setattr(module, "table_size", counting)
    monkeypatch.setattr(module, "number_open", lambda: number[0])
    monkeypatch.setattr(module, "RESTS", 0)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    found = Listeners()
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = f"127.0.0.1:{server.getsockname()[1]}"
        assert ours in addresses_found(found)
        for _ in range(2):
            now[0] += 5.0
            assert ours in addresses_found(found)
        assert searches == [100.0]
        number[0] += 1
        assert ours in addresses_found(found)
        assert searches == [100.0, 110.0]
    now[0] += 5.0
    assert ours not in addresses_found(found)
    now[0] += 5.0
    assert ours not in addresses_found(found)
    assert searches == [100.0, 110.0, 115.0]
    now[0] += UNCHANGED_S
    addresses_found(found)
    assert len(searches) == 4


def test_a_listener_in_the_place_of_another_descriptor_is_found_where_nobody_tells_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Linux 6.2 each look is a search."""
    monkeypatch.setattr(module, "number_open", lambda: None)
    monkeypatch.setattr(module, "RESTS", 0)
    found = Listeners()
    ends = os.pipe()
    addresses_found(found)
    for end in ends:
        os.close(end)
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert f"127.0.0.1:{server.getsockname()[1]}" in addresses_found(found)


def test_open_descriptors_are_counted_without_a_list() -> None:
    """Where the system tells; the number is that of the list."""
    told = number_open()
    assert told in {None, len(os.listdir("/proc/self/fd")) - 1}
