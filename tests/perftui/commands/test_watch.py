"""What `perftui watch` judges, and what it does not wait for; the rest is seen beside a real service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from perftui.cli import cli
from perftui.commands import watch
from perftui.freezing import Freezing, Keepers
from perftui.model.events import SourceEvent
from perftui.sources.live import LiveSource
from perftui.sources.target import TargetError
from tests.support.frames import T, frame, joined, received, route, worker
from tests.support.recordings import record

A = worker()


class Source:
    """A worker whose requests fail, told of from one second to another."""

    name = "8000"

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def workers(self) -> Sequence[object]:
        """Return nobody to ask for anything."""
        return ()

    def keep(self, *_: object) -> None:
        """Do nothing."""

    async def __aiter__(self) -> AsyncIterator[SourceEvent]:
        yield joined(A)
        for second in range(self.first, self.last + 1):
            yield received(
                A, frame(second - self.first + 1, second, [route("GET /", [5.0] * 9, server_error=9)])
            )


def begun(source: Source, monkeypatch: pytest.MonkeyPatch, *moments: float) -> list[int]:
    """Return how many findings are told of at each moment, once all of it has been heard."""
    state = watch._State("high", Freezing(cast(Keepers, source)))
    asyncio.run(state.read(cast(LiveSource, source)))
    told = []
    for moment in moments:
        monkeypatch.setattr(watch, "now", lambda moment=moment: moment)
        told.append(len(state.look()[1]))
    return told


def test_nothing_is_judged_by_a_part_of_the_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes second by second; one that has no past is judged by what there is, a moment later."""
    begins = T // 60 * 60
    young = Source(begins, begins + 2)
    assert begun(young, monkeypatch, begins + 2.5, begins + 3.5, begins + 5.6) == [0, 0, 1]
    assert begun(Source(begins - 30, begins + 2), monkeypatch, begins + 2.5) == [1]


def test_without_a_token_it_waits_for_nobody() -> None:
    """No service that comes up would let it in."""
    told = CliRunner().invoke(cli, ["watch", "https://shop.example"], env={"PERFTUI_TOKEN": ""})
    assert isinstance(told.exception, TargetError)
    assert "takes a token" in told.exception.problem
    assert "waiting" not in told.stderr


def test_of_a_recording_it_tells_what_was_to_be_told_then(tmp_path: Path) -> None:
    """When it began and when it ended, once each, to hooks as well; and what had not ended is said."""

    def told() -> Iterator[SourceEvent]:
        yield joined(A)
        for second in range(1, 101):
            failing = 20 <= second < 40 or second >= 90
            good, bad = ([], [5.0] * 9) if failing else ([5.0] * 9, [])
            yield received(A, frame(second, T + second, [route("GET /", good + bad, server_error=len(bad))]))

    path, heard = record(tmp_path / "a.perftui", told()), tmp_path / "heard"
    hook = f"echo $PERFTUI_EVENT $PERFTUI_KIND >> {heard}"
    result = CliRunner().invoke(cli, ["watch", str(path), "--exec", hook, "--json"], catch_exceptions=False)
    turns = [json.loads(line) for line in result.stdout.splitlines()]
    seconds = [datetime.fromisoformat(turn["at"]).timestamp() - T for turn in turns]
    assert [turn["event"] for turn in turns] == ["begin", "end", "begin"]
    assert {turn["finding"]["kind"] for turn in turns} == {"error-burst"}
    assert 20 <= seconds[0] < 30 < 40 <= seconds[1] < 65 < 90 <= seconds[2]
    assert heard.read_text().split() == ["begin", "error-burst", "end", "error-burst", "begin", "error-burst"]
    assert "1 finding had not ended" in result.stderr
    assert result.exit_code == 0
