"""What the system tells in small files."""

from __future__ import annotations

from pathlib import Path

from perftui_agent.small_files import MOST_BYTES, read_small, read_whole


def test_a_file_is_read_as_far_as_is_asked_for(tmp_path: Path) -> None:
    """One that is longer is cut; one that is not there, or no file, has nothing in it."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 40)
    whole = path.read_bytes()
    assert read_small(str(path)) == whole[:MOST_BYTES]
    assert read_whole(str(path), 100_000) == whole
    assert read_whole(str(path), 9_999) == whole[:9_999]
    for missing in (tmp_path / "none", tmp_path):
        assert read_small(str(missing)) == read_whole(str(missing), 9_999) == b""


def test_a_file_of_the_kernels_that_gives_a_page_at_a_time_is_read_to_its_end() -> None:
    """As this one does, with some hundred lines."""
    assert b"nr_free_pages" in (text := read_whole("/proc/vmstat", 65_536))
    assert text.endswith(b"\n")
    assert len(text.splitlines()) > 50
