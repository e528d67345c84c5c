"""Whom a client asks to keep the seconds around now: findings in, requests out."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection
from types import SimpleNamespace
from typing import cast

import pytest

from perftui.feed import LiveFeed
from perftui.freezing import Freezing, Keepers
from perftui.model.happenings import Finding, Severity
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from perftui_agent.wire.dumps import DumpRequest
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.messages import FromClient
from perftui_agent.wire.parts import WorkerId
from tests.support.fake_agent import fake_agent
from tests.support.servers import private_dir


class Workers:
    """Two workers, and what they were asked to keep."""

    def __init__(self) -> None:
        self.kept: list[tuple[list[WorkerId], str]] = []

    def workers(self) -> list[object]:
        return [SimpleNamespace(worker=SimpleNamespace(id=each)) for each in ("h/1", "h/2")]

    def keep(self, workers: Collection[WorkerId], kind: str) -> None:
        self.kept.append((sorted(workers), kind))


def finding(
    kind: str, severity: Severity = "high", *, worker: str | None = None, subject: str = "x"
) -> Finding:
    return Finding(kind, severity, subject, "It is so.", {}, "Mend it.", worker=worker)


def asked(*pictures: list[Finding]) -> list[tuple[list[WorkerId], str]]:
    workers = Workers()
    freezing = Freezing(cast("Keepers", workers))
    for at, findings in enumerate(pictures):
        freezing.judged(1000.0 + at, findings)
    return workers.kept


def test_a_finding_that_begins_gravely_is_kept_once() -> None:
    """Not while it stands, not for what is less severe, and once it has become severe."""
    grave, mild = finding("db-lock"), finding("slow-query", "medium")

    assert asked([mild], [grave, mild], [grave], [finding("slow-query")]) == [
        (["h/1", "h/2"], "db-lock"),
        (["h/1", "h/2"], "slow-query"),
    ]


@pytest.mark.parametrize(("worker", "concerned"), [("h/2", ["h/2"]), ("h/9", ["h/1", "h/2"])])
def test_a_finding_of_a_worker_concerns_it_alone_and_all_if_it_is_gone(
    worker: str, concerned: list[str]
) -> None:
    """Of one that is gone its siblings have seen the minute in which it went."""
    assert asked([finding("memory-growth", worker=worker)]) == [(concerned, "memory-growth")]


@pytest.mark.parametrize("keeps", [True, False])
def test_only_an_agent_that_keeps_is_asked(keeps: bool) -> None:
    """One that doesn't know the message would end the connection."""

    async def check() -> list[FromClient]:
        async with (
            fake_agent(directory, keeps=keeps) as agent,
            LiveSource(parse_live(["8000"]), where=[directory]) as source,
        ):
            feed = LiveFeed(source)
            await source.settled(5.0)
            feed.judged(1000.0, [finding("db-lock")])
            # Behind it, so that it has been read whatever there was to read.
            await asyncio.sleep(0)
            await source.ask(agent.identity.id, DumpRequest(id="a"), 5.0)
            return agent.requests

    directory = private_dir()
    try:
        requests = asyncio.run(check())
    finally:
        shutil.rmtree(directory)
    assert requests == [Keep(kind="db-lock")] * keeps + [DumpRequest(id="a")]
