"""A demo shop in the background, as `perftui demo --headless` starts it, with faults to switch."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.servers import private_dir

ANSWERS_S = 45.0


@dataclass(frozen=True, slots=True)
class Shop:
    """One that serves."""

    target: str

    def subjects(self) -> dict[str, str]:
        """Return whom the finding of each fault that is on must name: ports are known to the shop alone."""
        return {kind: told["subject"] for kind, told in self._asked("GET").json().items()}

    def switch(self, faults: Iterable[str]) -> float:
        """Have these faults and no others; return when that was so, on the monotonic clock."""
        self._asked("PUT", ",".join(faults) or "none")
        return time.monotonic()

    @contextlib.contextmanager
    def kept(self, directory: Path | None, name: str) -> Iterator[None]:
        """Have it recorded meanwhile, if there is a directory for it: a miss can be looked at afterwards."""
        if directory is None:
            yield
            return
        directory.mkdir(parents=True, exist_ok=True)
        file = str(directory / f"{name}.perftui")
        command = [sys.executable, "-m", "perftui", "record", self.target, "-o", file]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as recorder:
            try:
                yield
            finally:
                recorder.terminate()
                recorder.wait(30)

    def _asked(self, method: str, wanted: str | None = None) -> httpx.Response:
        """Ask until somebody answers: a worker that has just gone, or is held, leaves it to another."""
        deadline = time.monotonic() + ANSWERS_S
        while True:
            try:
                answer = httpx.request(
                    method, f"http://{self.target}/faults", content=wanted, timeout=10, trust_env=False
                )
            except httpx.HTTPError:
                if time.monotonic() > deadline:
                    raise
                continue
            assert answer.is_success, answer.text
            return answer


@contextlib.contextmanager
def serving(
    *, fault: str = "none", workers: int = 2, rps: float = 30.0, port: int | None = None
) -> Iterator[Shop]:
    """Run a shop with its customers, and a runtime directory that this process looks into."""
    directory = private_dir()
    before = os.environ.get("PERFTUI_RUNTIME_DIR")
    os.environ["PERFTUI_RUNTIME_DIR"] = str(directory / "run")
    command = [sys.executable, "-m", "perftui", "demo", "--headless", "--fault", fault]
    command += ["--workers", str(workers), "--rps", str(rps), *(["--port", str(port)] if port else [])]
    try:
        with (
            _log(directory).open("wb") as log,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            ) as process,
        ):
            try:
                assert process.stdout is not None
                target = process.stdout.readline().strip()
                assert target, _log(directory).read_text()
                yield Shop(target.replace("localhost", "127.0.0.1"))
            finally:
                process.terminate()
                process.wait(30)
    finally:
        if before is None:
            del os.environ["PERFTUI_RUNTIME_DIR"]
        else:
            os.environ["PERFTUI_RUNTIME_DIR"] = before
        shutil.rmtree(directory, ignore_errors=True)


def _log(directory: Path) -> Path:
    return directory / "demo.log"
