"""Reads a real worker's frames: `with watching(service) as frames: frames.until(lambda f: f.incidents)`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, unix_connect

from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.registration import read_registrations
from tests.support.servers import Service, wait_until


class Frames:
    """The frames of one worker since it was connected to, history excluded."""

    def __init__(self) -> None:
        self.seen: list[Frame] = []

    def until(self, condition: Callable[[Frame], object], timeout_s: float = 30.0) -> Frame:
        """Return the first frame that `condition` holds for, seen already or to come."""

        def found() -> list[Frame]:
            return [frame for frame in list(self.seen) if condition(frame)]

        wait_until(lambda: bool(found()), "such a frame", lambda: str(self.seen[-3:]), timeout_s)
        return found()[0]

    def incident(self, in_where: str) -> Incident:
        """Return the first incident that is over and names `in_where`."""
        frame = self.until(lambda frame: _over(frame, in_where))
        return _over(frame, in_where)[0]


def _over(frame: Frame, in_where: str) -> list[Incident]:
    return [one for one in frame.incidents if in_where in one.where and not one.ongoing]


@contextlib.contextmanager
def watching(service: Service) -> Iterator[Frames]:
    """Connect to the service's worker and collect what it sends."""
    service.wait_registered()
    ((_, registration),) = read_registrations(service.runtime_dir)
    frames = Frames()
    with unix_connect(registration.socket, max_size=None) as connection:
        reader = threading.Thread(target=_read, args=(connection, frames), daemon=True)
        reader.start()
        frames.until(lambda frame: True)
        yield frames
    reader.join(5)


def _read(connection: ClientConnection, frames: Frames) -> None:
    with contextlib.suppress(ConnectionClosed):
        for message in connection:
            assert isinstance(message, bytes)
            received = decode_from_agent(message)
            if isinstance(received, Frame):
                frames.seen.append(received)
