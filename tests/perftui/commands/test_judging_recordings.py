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


def test_recordings_go_by_their_files_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two are often of one service; and the next step is one that a file can take."""
    before = str(record(tmp_path / "before.perftui", served(1.0, 60)))
    after = str(record(tmp_path / "after.perftui", served(1.6, 60)))
    assert main(["compare", before, after]) == 0
    told = capsys.readouterr().out
    assert f"{before} (2,400 requests in 60 s) → {after} (2,400 requests in 60 s)" in told
    assert "of 1 route" in told.splitlines()[-2]
    targets = ["--slo", "GET /orders: p95<1ms", "--slo", "GET /pay: p95<1s", "--slo", "rps>=40.8"]
    judged = said(capsys, 1, "check", after, "--against", before, *targets)
    assert judged["target"] == after
    next_steps = {(each["slo"], each["scope"]): each["next"] for each in judged["targets"] if each["next"]}
    look = f"see how its time was spent: perftui replay {after}, and open GET /orders"
    assert next_steps["p95<1ms", "GET /orders"] == look
    assert next_steps["p95<1s", "GET /pay"] == "record while requests come"
    assert next_steps["rps>=40.8", "all"].startswith("record longer, or send more: at this rate")
    assert f"no worse than {before}" in {each["slo"] for each in judged["targets"]}


def test_a_junit_file_that_has_no_place_is_told_of_before_watching(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And one that can't be written takes the verdict from nobody."""
    before = str(record(tmp_path / "before.perftui", served(1.0, 30)))
    check = ["check", before, "--slo", "p95<1s", "--junit"]
    assert main([*check, str(tmp_path / "none" / "check.xml")]) == 2
    out, err = capsys.readouterr()
    assert (out, "there is no such directory" in err) == ("", True)
    assert main([*check, "/dev/full"]) == 2
    out, err = capsys.readouterr()
    assert "met: 1 met" in out
    assert "/dev/full can't be written: No space left on device" in err
