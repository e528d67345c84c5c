"""What a real server's listening sockets tell: connections that wait, of how many that may."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.agent.watching import watching
from tests.support.servers import running, write_app

APP = """
    import time
    from fastapi import FastAPI
    from perftui_agent import instrument

    app = instrument(FastAPI())

    @app.get("/hold")
    async def hold():
        time.sleep(3)
"""


def test_connections_that_a_held_loop_does_not_accept_are_counted(tmp_path: Path) -> None:
    """Thirty clients come while a request holds the loop: the kernel keeps them, and says how many."""
    with running(write_app(tmp_path, APP), workers=1) as service, watching(service) as frames:
        frames.until(lambda frame: frame.listeners)
        with ExitStack() as opened:
            holds = opened.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            holds.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
            frames.until(lambda frame: frame.in_flight)
            for _ in range(30):
                opened.enter_context(socket.create_connection(("127.0.0.1", service.port)))
            held = frames.until(lambda frame: any((each.waiting or 0) >= 30 for each in frame.listeners))
            (told,) = held.listeners
            assert told.address == f"127.0.0.1:{service.port}"
            assert (told.waiting, told.most, told.limit) == (30, 30, 2048)
            assert held.probes["accept queue"] == "on"
            frames.until(lambda frame: frame.seq > held.seq and frame.listeners[0].waiting == 0)
