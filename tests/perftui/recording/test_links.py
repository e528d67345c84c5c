"""A recording that nobody ended is found by its links: the same blocks that headers lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perftui.recording import layout, writer
from perftui.recording.blocks import MAGIC, block
from perftui.recording.layout import Layout, layout_of
from perftui.recording.links import Link, linked
from perftui_agent.wire.codec import encode_part
from tests.support.frames import traffic
from tests.support.recordings import record

SECONDS = 100


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Record for a while, with a link each ten seconds, and be killed."""
    monkeypatch.setattr(writer, "LINK_S", 10.0)
    return record(tmp_path / "a.perftui", traffic(2, 2, SECONDS), close=False)


def laid_out(path: Path) -> Layout:
    """Return where everything is in a file."""
    file = os.open(path, os.O_RDONLY)
    try:
        return layout_of(file)
    finally:
        os.close(file)


def told_by_links(path: Path) -> int:
    """Return of how many blocks links tell."""
    file = os.open(path, os.O_RDONLY)
    try:
        return len(linked(file, path.stat().st_size)[0])
    finally:
        os.close(file)


def walked(path: Path) -> Layout:
    """Return the same by headers alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "linked", lambda file, size: ([], 0))
        return laid_out(path)


def test_links_tell_of_the_blocks_that_headers_do(killed: Path) -> None:
    """Of most of them; and it is known that the file was not ended."""
    found = laid_out(killed)
    assert found == walked(killed)
    assert not found.closed
    assert told_by_links(killed) > 0.5 * len(found.places)


def test_wherever_it_is_cut_off_links_and_headers_agree(killed: Path) -> None:
    """A link that is torn is none: the one before it leads."""
    data = killed.read_bytes()
    for size in range(len(data), 200, -997):
        killed.write_bytes(data[:size])
        assert laid_out(killed) == walked(killed)


def test_a_link_that_is_damaged_leaves_it_to_headers(killed: Path) -> None:
    """One that others lead to: what it told of is found all the same."""
    data = bytearray(killed.read_bytes())
    first = data.index(MAGIC + b"I")
    data[first + 60] ^= 0xFF
    killed.write_bytes(data)
    assert told_by_links(killed) == 0
    assert laid_out(killed) == walked(killed)


@pytest.mark.parametrize(
    "link",
    [Link(10**9, 0, []), Link(0, 10**12, []), Link(-5, 0, [])],
    ids=["leads on", "tells of what is not there", "leads nowhere"],
)
def test_a_link_that_contradicts_itself_is_not_believed(killed: Path, link: Link) -> None:
    """Whatever somebody has written there, all of the file is told."""
    known = laid_out(killed)
    with killed.open("ab") as file:
        file.write(block("I", encode_part(link), first=99))
    assert [each for each in known.places if each not in laid_out(killed).places] == []


def test_a_recording_that_was_ended_goes_by_its_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Links are none of its blocks."""
    monkeypatch.setattr(writer, "LINK_S", 10.0)
    found = laid_out(record(tmp_path / "b.perftui", traffic(2, 2, SECONDS)))
    assert found.closed
    assert "I" not in {each.header.kind for each in found.places}
