"""`perftui watch` beside a service: before it is there, while it fails, and after it has been mended."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from perftui_agent.wire.boxes import whole_messages
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import Frame, History
from tests.support import command
from tests.support.servers import Service, private_dir, running, wait_until, write_app

SHOP = """
import os
from fastapi import FastAPI, Response
from perftui_agent import instrument

app = instrument(FastAPI(title="shop"), service="shop")

@app.get("/large")
async def large() -> Response:
    return Response(bytes(12_000_000), media_type="application/json")

@app.get("/pay")
async def pay(response: Response, fail: bool = False) -> str:
    response.status_code = 500 if fail else 200
    return "paid"
"""


BURST = "error-burst"


@contextmanager
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """Serve a webhook that fails the first time; yield its address and what it got."""
    got: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(503 if len(got) == 1 else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def watching(runtime_dir: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run `perftui watch`; yield its process and its lines as they come."""
    process = command.Forked("watch", *arguments, env={**os.environ, "PERFTUI_RUNTIME_DIR": str(runtime_dir)})
    lines: list[str] = []

    def read() -> None:
        # What is not written line by line would not come before the end.
        assert process.stdout is not None
        lines.extend(process.stdout)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reader.join()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def _read_until(process: subprocess.Popen[str], wanted: str) -> None:
    """Read what it says on stderr up to these words."""
    assert process.stderr is not None
    told = ""
    while wanted not in told:
        line = process.stderr.readline()
        assert line, told
        told += line


def test_a_finding_is_told_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    """To stdout, to a command and to a webhook; a hook that fails is told of on stderr and ends nothing."""
    runtime_dir = private_dir()
    said = tmp_path / "said"
    command = f'echo "$PERFTUI_EVENT $PERFTUI_KIND $PERFTUI_SUBJECT" >> {said}; cat >> {said}.json; exit 3'
    try:
        with (
            receiver() as (url, got),
            watching(runtime_dir, "service:shop", "--exec", command, "--webhook", url, "--json") as (
                process,
                lines,
            ),
        ):
            _read_until(process, "waiting for it")
            env = {"PERFTUI_RUNTIME_DIR": str(runtime_dir)}
            with running(write_app(tmp_path, SHOP), workers=1, env=env) as service:
                wait_until(
                    lambda: _ask(service, fail=True) and len(_told(BURST, lines)) > 0,
                    "it",
                    lambda: str(lines),
                )
                wait_until(
                    lambda: _ask(service, fail=False) and len(_told(BURST, lines)) > 1,
                    "its end",
                    lambda: str(lines),
                    timeout_s=120,
                )
                wait_until(lambda: len(_told(BURST, dict.fromkeys(got))) > 1, "the hooks", lambda: str(got))
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert process.stderr is not None
            told = process.stderr.read()
    finally:
        shutil.rmtree(runtime_dir, ignore_errors=True)
    begin, end = _told(BURST, lines)
    assert [each["event"] for each in (begin, end)] == ["begin", "end"]
    assert {each["finding"]["subject"] for each in (begin, end)} == {"GET /pay"}
    assert end["lasted_s"] > 0
    assert got[0] == got[1], "what was not taken is posted again"
    assert [each["event"] for each in _told(BURST, dict.fromkeys(got))] == ["begin", "end"]
    bursts = [line for line in said.read_text().splitlines() if "error-burst" in line]
    assert bursts == ["begin error-burst GET /pay", "end error-burst GET /pay"]
    assert "ended with 3" in told
    assert "Traceback" not in told


def _told(kind: str, lines: Iterable[str | bytes]) -> list[dict[str, Any]]:
    """Return what was told of one kind; a crowded machine may have others wait for a processor."""
    return [each for each in map(json.loads, lines) if each["finding"]["kind"] == kind]


def _ask(service: Service, *, fail: bool) -> bool:
    service.get(f"/pay?fail={fail}", times=4)
    time.sleep(0.2)
    return True


def test_what_a_client_finds_grave_is_kept_by_the_worker_in_its_box(tmp_path: Path) -> None:
    """No worker would have kept it by itself; it does so where actions are switched off, too."""
    with running(write_app(tmp_path, SHOP), workers=1, env={"PERFTUI_ACTIONS": "0"}) as service:
        service.wait_registered()
        (box,) = _kept_in_boxes(service)
        assert box == []
        with watching(service.runtime_dir, service.target, "--json") as (_, lines):

            def is_kept() -> bool:
                service.get("/large", times=4)
                (kept,) = _kept_in_boxes(service)
                return bool(_told("large-payload", lines)) and any(
                    route.route == "GET /large" for frame in kept for route in frame.routes
                )

            wait_until(is_kept, "the seconds around it in the box", service.log)
    assert [each["event"] for each in _told("large-payload", lines)] == ["begin"]


def _kept_in_boxes(service: Service) -> list[list[Frame]]:
    """Return the seconds that each worker has put aside."""
    kept: list[list[Frame]] = []
    for path in service.runtime_dir.glob("*.ring"):
        messages = map(decode_from_agent, whole_messages(path.read_bytes()))
        kept.append([each for one in messages if isinstance(one, History) for each in one.frames])
    return kept
