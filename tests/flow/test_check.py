"""`perftui check` in a pipeline: the examples of the README, against a shop under load."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from tests.support import command
from tests.support.servers import Service, running, write_app

README = Path(__file__).parents[2] / "README.md"

SHOP = """
import asyncio
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from sqlalchemy.pool import StaticPool
from perftui_agent import Slo, instrument

app = FastAPI(title="shop")
instrument(app, slo=Slo(p95_ms=800))
engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})

@app.get("/items")
async def items() -> list[int]:
    await asyncio.sleep(0.002)
    return [1, 2, 3]

@app.get("/orders")
async def orders() -> list[int]:
    with engine.connect() as connection:
        return [connection.execute(text("SELECT :n"), {"n": n}).scalar_one() for n in range(20)]

@app.get("/reports")
async def reports() -> list[int]:
    await asyncio.sleep(0.05)
    return []
"""

RUN = re.compile(r"\$ (?P<command>perftui check .*)\n(?P<output>(?:.*\n)*?)\$ echo \$\?\n(?P<code>\d)\n")


@contextmanager
def customers(service: Service) -> Iterator[None]:
    """Ask for items and orders all the time, for a report now and then."""
    done = threading.Event()

    def ask() -> None:
        with service.client() as client:
            number = 0
            while not done.is_set():
                client.get("/items")
                client.get("/orders")
                if not number % 40:
                    client.get("/reports")
                number += 1
                time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def test_the_readmes_examples_pass_fail_and_cannot_tell(tmp_path: Path) -> None:
    """Each command ends with the exit code that stands below it, and says the same of the same targets."""
    examples = list(RUN.finditer(README.read_text(encoding="utf-8")))
    assert [each["code"] for each in examples] == ["0", "1", "2"]
    with running(write_app(tmp_path, SHOP), workers=2) as service, customers(service):
        service.wait_registered()

        def run(example: re.Match[str]) -> subprocess.CompletedProcess[str]:
            words = shlex.split(example["command"])[1:]
            words = [service.target if word == "localhost:8000" else word for word in words]
            return command.run(*words, env={**service.env, "GITHUB_ACTIONS": "true"}, cwd=tmp_path)

        with ThreadPoolExecutor(3) as pool:
            done = list(pool.map(run, examples))
    for example, ran in zip(examples, done, strict=True):
        assert str(ran.returncode) == example["code"], ran.stdout + ran.stderr
        assert verdicts(ran.stdout) == verdicts(example["output"])
    met, missed, undecided = done
    assert "::" not in met.stderr
    annotation = next(line for line in missed.stderr.splitlines() if line.startswith("::error "))
    assert "GET /orders" in annotation
    assert "n-plus-one" in annotation
    assert "like these would tell" in undecided.stdout
    suite = Xml.parse(tmp_path / "check.xml").getroot()[0]
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")


def verdicts(output: str) -> list[tuple[str, ...]]:
    """Return what is said of each target, without its figures."""
    rows = re.findall(r"^([✓✗?] \w+) +(all|GET /\w+) +(\S+)", output, re.MULTILINE)
    return [*rows, tuple(re.findall(r"^(met|missed|undecided):", output, re.MULTILINE))]


def test_nothing_is_judged_without_a_request_or_without_a_target(service: Service) -> None:
    """Each is told in two lines, with what to do, and is no verdict."""
    ran = service.perftui("check", service.target, "--for", "1s", "--undecided", "pass")
    assert ran.returncode == 2
    assert "no request came" in ran.stderr
    ran = service.perftui("check", service.target, "--slo", "p95<200")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "write p95<200ms" in ran.stderr
    assert len(ran.stderr.splitlines()) <= 2
    ran = service.perftui("check", service.target, "--for", "5s", "--slo", "p95<1s for 30s")
    assert (ran.returncode, "too short" in ran.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "code"), [((), 2), (("--undecided", "pass"), 0), (("--undecided", "fail"), 1)]
)
def test_what_undecided_means_can_be_said(service: Service, options: tuple[str, ...], code: int) -> None:
    """Nobody can tell a p99 of a few requests; a script says what is to become of it."""
    command = ("check", service.target, "--for", "2s", "--slo", "GET /items: p99<1s", "--json", *options)
    with ThreadPoolExecutor(1) as pool:
        checking = pool.submit(service.perftui, *command)
        for _ in range(30):
            service.get("/items")
            time.sleep(0.1)
        ran = checking.result()
    assert ran.returncode == code, ran.stderr
    said = json.loads(ran.stdout)
    of_items = next(each for each in said["targets"] if each["scope"] == "GET /items")
    assert (said["verdict"], of_items["verdict"]) == ("undecided", "undecided")
    assert of_items["needs"] > of_items["n"] > 0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A shop that nobody asks anything but the test."""
    with running(write_app(tmp_path_factory.mktemp("shop"), SHOP), workers=1) as service:
        service.wait_registered()
        yield service
