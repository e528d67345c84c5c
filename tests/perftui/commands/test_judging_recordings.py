"""`perftui check` and `perftui compare` over recordings."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perftui.cli import main
from perftui.model.events import SourceEvent
from tests.support.frames import T, frame, joined, received, route, worker
from tests.support.recordings import record

A = worker(1)


def served(times: float, seconds: int, bad: range = range(0)) -> Iterator[SourceEvent]:
    """Yield a worker's seconds of 40 requests each; in the bad ones of them all are slow."""
    rng = random.Random(seconds)
    yield joined(A)
    for second in range(1, seconds + 1):
        slow = 900.0 if second in bad else times
        latencies_ms = [slow * rng.lognormvariate(3.0, 0.4) for _ in range(40)]
        yield received(A, frame(second, T + second, [route("GET /orders", latencies_ms)]))


def said(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> Any:
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_recording_is_judged_as_a_live_service_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of it, or its end; every stretch of it; against another recording."""
    monkeypatch.chdir(tmp_path)
    before = str(record(tmp_path / "before.perftui", served(1.0, 90)))
    after = str(record(tmp_path / "after.perftui", served(1.6, 90)))
    spell = str(record(tmp_path / "spell.perftui", served(1.0, 120, range(40, 44))))
    met = said(capsys, 0, "check", before, "--slo", "p95<100ms", "--slo", "p95<100ms for 30s")
    assert [(each["verdict"], each["n"]) for each in met["targets"]] == [("met", 3600), ("met", 1200)]
    missed = said(capsys, 1, "check", spell, "--slo", "p95<100ms for 30s", "--slo", "p50<100ms")
    assert [each["verdict"] for each in missed["targets"]] == ["missed", "met"]
    assert said(capsys, 0, "check", spell, "--for", "60s", "--slo", "p95<100ms for 30s")["requests"] == 2400
    worse = said(capsys, 1, "check", after, "--against", before)
    assert {each["scope"] for each in worse["targets"]} == {"all", "GET /orders"}
    assert said(capsys, 0, "check", before, "--against", before)["verdict"] == "met"


def test_recordings_are_compared_with_each_other_and_with_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two of them, or two windows of one."""
    before = str(record(tmp_path / "before.perftui", served(1.0, 90)))
    after = str(record(tmp_path / "after.perftui", served(1.6, 90)))
    told = said(capsys, 0, "compare", before, after)
    assert [(row["route"], row["verdict"]) for row in told["routes"]] == [("GET /orders", "worse")]
    alike = said(capsys, 0, "compare", before, "--for", "30s", "--back", "40s")
    assert [row["verdict"] for row in alike["routes"]] in (["noise"], ["same"])
    assert (alike["a"]["requests"], alike["b"]["requests"]) == (1200, 1200)
    assert main(["compare", before]) == 2
    assert "two targets are needed" in capsys.readouterr().err
