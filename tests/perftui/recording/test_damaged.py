"""A recording that was cut off or changed anywhere opens, and what it lacks is said."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.recording import writer
from perftui.recording.looking import rough_dashboard, summary_between
from perftui.recording.reader import Recording, RecordingError
from tests.support.frames import T
from tests.support.recordings import record
from tests.support.rich_service import rich_service

SECONDS = 65

TIMES = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record a service that has something of everything."""
    return record(tmp_path_factory.mktemp("damaged") / "a.perftui", rich_service(SECONDS))


@pytest.fixture(scope="module")
def unended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record it, with links on the way, and be killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "LINK_S", 15.0)
        return record(tmp_path_factory.mktemp("damaged") / "b.perftui", rich_service(SECONDS), close=False)


def figures(summary: Summary) -> tuple[object, ...]:
    """Return all figures that people go by."""
    return (
        summary.totals,
        [(row.route, row.requests, row.errors, row.latency) for row in summary.routes],
        [(row.pid, row.state, row.requests) for row in summary.workers],
        [(row.fingerprint, row.count, row.latency) for row in summary.queries],
    )


def is_marked(summary: Summary) -> bool:
    """Tell whether a picture says that it lacks something."""
    told = any(event.kind == "recording-damaged" for event in summary.events)
    return told or summary.coverage.frames_dropped > 0


def held_against(path: Path, damaged: bytes, where: Path, known: Summary) -> bool:
    """Open a damaged file; tell whether it opened. Whatever differs from what is known has to be marked."""
    where.write_bytes(damaged)
    try:
        recording = Recording.open(where)
    except RecordingError:
        return False
    with recording:
        summary = summary_between(recording, T, T + SECONDS)
        if figures(summary) != figures(known):
            assert is_marked(summary)
            assert recording.damage
    return True


@pytest.mark.parametrize("kind", ["whole", "unended"])
@pytest.mark.parametrize("harm", ["cut off", "changed"])
def test_damage_anywhere_is_never_a_traceback_and_no_wrong_figure_is_unmarked(
    kind: str, harm: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Of a hundred random places each: the file opens, and what is not as it was says so."""
    path: Path = request.getfixturevalue(kind)
    data = path.read_bytes()
    with Recording.open(path) as recording:
        known = summary_between(recording, T, T + SECONDS)
    rng = random.Random(f"{kind} {harm}")
    harms: dict[str, Callable[[], bytes]] = {
        "cut off": lambda: data[: rng.randrange(len(data))],
        "changed": lambda: _changed(data, rng),
    }
    opened = sum(held_against(path, harms[harm](), tmp_path / "x.perftui", known) for _ in range(TIMES // 2))
    assert opened >= 0.95 * TIMES // 2


def _changed(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ rng.randrange(1, 256)]) + data[place + 1 :]


def test_merged_frames_that_are_damaged_cost_no_figure(unended: Path, tmp_path: Path) -> None:
    """The seconds they were made of are read in their place, and that it takes longer is said."""
    data = bytearray(unended.read_bytes())
    with Recording.open(unended) as recording:
        known = figures(summarize(*rough_dashboard(recording, T + 50.0, 40.0), 40.0))
        merged = [place for place in recording._places if place.header.kind == "C"]
    for place in merged:
        data[place.offset + place.header.size // 2] ^= 0xFF
    path = tmp_path / "x.perftui"
    path.write_bytes(data)
    with Recording.open(path) as recording:
        told = figures(summarize(*rough_dashboard(recording, T + 50.0, 40.0), 40.0))
        assert any("takes longer to open" in sentence for sentence in recording.damage)
    assert told == known


def test_a_recording_goes_on_after_a_damaged_stretch(unended: Path, tmp_path: Path) -> None:
    """What lies behind the damage is there, and the time in between is told as missing."""
    data = unended.read_bytes()
    with Recording.open(unended) as recording:
        seconds = [place.offset for place in recording._places if place.header.kind == "S"]
    harmed = seconds[len(seconds) // 2]
    path = tmp_path / "x.perftui"
    path.write_bytes(data[:harmed] + bytes(600) + data[harmed + 600 :])
    with Recording.open(path) as recording:
        summary = summary_between(recording, T, T + SECONDS)
        assert recording.ended_at > T + SECONDS - 1
        assert summary.totals.requests > 0
        assert any("are missing" in sentence for sentence in recording.damage)
