"""What waits to be accepted, asked without touching what listens."""

from __future__ import annotations

import fcntl
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from perftui_agent.listeners import ListeningSocket
from perftui_agent.probes.machine import accept_queue
from perftui_agent.probes.machine.accept_queue import (
    DRAINS_S,
    AcceptQueueProbe,
    host_overflows,
    tcp_queue,
    unix_queue,
)
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.process import Listener

LIMIT = 7


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    """Close in the end what a test opens."""
    with ExitStack() as stack:
        yield stack


def listening(opened: ExitStack, address: tuple[str, int] | str) -> socket.socket:
    """Return a socket that takes at most seven connections which nobody accepts."""
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    listener = opened.enter_context(socket.socket(family))
    listener.bind(address)
    listener.listen(LIMIT)
    return listener


def callers(opened: ExitStack, listener: socket.socket, number: int) -> None:
    """Have so many clients connect."""
    for _ in range(number):
        opened.enter_context(socket.socket(listener.family)).connect(listener.getsockname())


def found(listener: socket.socket, address: str = "here") -> list[ListeningSocket]:
    return [ListeningSocket(listener.fileno(), listener.family, address)]


def filled(probe: AcceptQueueProbe) -> Frame:
    frame = Frame(seq=1, ended_at=0, span_ns=0)
    probe.fill(frame)
    return frame


def test_a_tcp_socket_tells_how_many_wait_and_how_many_may(opened: ExitStack) -> None:
    """Connections that the app has not accepted yet."""
    listener = listening(opened, ("127.0.0.1", 0))
    callers(opened, listener, 3)
    assert tcp_queue(listener.fileno()) == (3, LIMIT)
    opened.enter_context(listener.accept()[0])
    assert tcp_queue(listener.fileno()) == (2, LIMIT)


def test_a_unix_socket_tells_the_same(opened: ExitStack, tmp_path: Path) -> None:
    """By its inode, as TCP_INFO it has none."""
    listener = listening(opened, str(tmp_path / "s"))
    callers(opened, listener, 2)
    assert unix_queue(listener.fileno()) == (2, LIMIT)


def test_what_does_not_listen_has_no_queue(opened: ExitStack) -> None:
    """A connection, a file, a number that leads nowhere: it may have been given away since it was found."""
    one, other = socket.socketpair()
    opened.enter_context(one)
    opened.enter_context(other)
    listener = listening(opened, ("127.0.0.1", 0))
    client = opened.enter_context(socket.create_connection(listener.getsockname()))
    with open("/dev/null", "rb") as file:
        for descriptor in (one.fileno(), client.fileno(), file.fileno(), 999_999):
            assert tcp_queue(descriptor) == unix_queue(descriptor) == (None, None)


def test_looking_changes_nothing_of_a_descriptor(opened: ExitStack, tmp_path: Path) -> None:
    """Not even where somebody has set a default time-out, which makes a socket object change its flags."""
    listeners = [listening(opened, ("127.0.0.1", 0)), listening(opened, str(tmp_path / "s"))]
    before = [fcntl.fcntl(each, fcntl.F_GETFL) for each in listeners]
    opened.callback(socket.setdefaulttimeout, socket.getdefaulttimeout())
    socket.setdefaulttimeout(30)
    probe = AcceptQueueProbe(lambda: [each for one in listeners for each in found(one)])
    probe.look()
    assert [each.limit for each in filled(probe).listeners] == [LIMIT, LIMIT]
    assert [fcntl.fcntl(each, fcntl.F_GETFL) for each in listeners] == before
    assert [each.gettimeout() for each in listeners] == [None, None]


def test_the_fullest_moment_between_two_frames_is_told(opened: ExitStack) -> None:
    """A queue drains in one turn of the loop; the next frame begins anew."""
    listener = listening(opened, ("127.0.0.1", 0))
    probe = AcceptQueueProbe(lambda: found(listener))
    callers(opened, listener, 4)
    probe.look()
    for _ in range(3):
        opened.enter_context(listener.accept()[0])
    assert filled(probe).listeners == [Listener(address="here", waiting=1, limit=LIMIT, most=4)]
    assert filled(probe).listeners[0].most == 1


def test_while_the_loop_turns_in_time_a_queue_is_looked_at_now_and_then(opened: ExitStack) -> None:
    """It drains by itself then; as soon as the loop is late it is looked at with every beat."""
    listener = listening(opened, ("127.0.0.1", 0))
    now, looks = [100.0], list[float]()

    def found_now() -> list[ListeningSocket]:
        looks.append(now[0])
        return found(listener)

    probe = AcceptQueueProbe(found_now, lambda: now[0])
    for drains in [True] * 10 + [False] * 3:
        probe.look(drains=drains)
        now[0] += DRAINS_S / 4
    late = [100.0 + DRAINS_S / 4 * beat for beat in (10, 11, 12)]
    assert looks == pytest.approx([100.0, 100.0 + DRAINS_S, 100.0 + 2 * DRAINS_S, *late])


def test_what_the_host_refused_is_a_difference(opened: ExitStack) -> None:
    """At a queue that is full, those who come are left out and counted; the first look says nothing."""
    listener = listening(opened, ("127.0.0.1", 0))
    probe = AcceptQueueProbe(lambda: found(listener))
    assert filled(probe).listen_overflows is None
    callers(opened, listener, LIMIT + 1)
    for _ in range(3):
        late = opened.enter_context(socket.socket())
        late.setblocking(False)
        late.connect_ex(listener.getsockname())
    told = filled(probe)
    assert told.listeners[0].waiting == LIMIT + 1
    assert (told.listen_overflows or 0) >= 3


def test_an_idle_queue_leaves_the_hosts_count_alone(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file takes long to read: every five seconds, unless a queue fills."""
    asked: list[int] = []

    def count() -> int:
        asked.append(5)
        return 5

    monkeypatch.setattr(accept_queue, "host_overflows", count)
    listener = listening(opened, ("127.0.0.1", 0))
    probe = AcceptQueueProbe(lambda: found(listener))
    for _ in range(3):
        filled(probe)
    assert len(asked) == 1
    callers(opened, listener, 4)
    assert filled(probe).listen_overflows == 0
    assert len(asked) == 2


def test_a_host_that_does_not_tell_has_no_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No file, another file, a file with other names."""
    assert host_overflows() is not None
    for text in (None, "", "TcpExt: A B\nTcpExt: 1 2\n", "TcpExt: ListenOverflows\nTcpExt:\n"):
        path = tmp_path / "netstat"
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
        monkeypatch.setattr(accept_queue, "_HOST_COUNTS", str(path))
        assert host_overflows() is None
