"""Lines of code, read within bounds."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from perftui_agent.inspect import source
from perftui_agent.inspect.source import MAX_FILE_BYTES, MAX_FILES, SourceReader, read_lines
from tests.agent.inspect.processes import on_agent_thread


@pytest.fixture
def module(tmp_path: Path) -> str:
    path = tmp_path / "module.py"
    path.write_text("first = 1\n\t  second = '\x1b]0;owned\x07'\r\n\nlast = 4")
    return str(path)


def test_lines(module: str) -> None:
    """Lines come without indentation and control characters; one that doesn't exist doesn't come."""
    lines = read_lines({module: {1, 2, 3, 4, 5, 0, -1}})

    assert lines == {
        (module, 1): "first = 1",
        (module, 2): "second = ']0;owned'",
        (module, 3): "",
        (module, 4): "last = 4",
    }


def test_long_line(tmp_path: Path) -> None:
    """A line is cut at 200 characters."""
    path = tmp_path / "long.py"
    path.write_text("x" * 10_000)

    assert read_lines({str(path): {1}}) == {(str(path), 1): "x" * 199 + "…"}


def test_not_text(tmp_path: Path) -> None:
    """Bytes that are no text are replaced."""
    path = tmp_path / "binary.py"
    path.write_bytes(b"a\xff\x00b")

    assert read_lines({str(path): {1}}) == {(str(path), 1): "a�b"}


def test_only_source(tmp_path: Path) -> None:
    """No file but one of source is read, whatever a code object says it was made from."""
    secret, pipe, folder = tmp_path / "shadow", tmp_path / "pipe.py", tmp_path / "folder.py"
    secret.write_text("root:secret")
    os.mkfifo(pipe)
    folder.mkdir()
    names = [
        *map(str, (secret, pipe, folder)),
        "/nowhere.py",
        "relative.py",
        "<string>",
        "a\0b.py",
        "",
        "/\udcff.py",
    ]

    assert read_lines({name: {1} for name in names}) == {}


def test_changed(module: str) -> None:
    """A file that was changed after the process started is not what it runs, and not shown."""
    changed_at = os.stat(module).st_mtime

    assert read_lines({module: {1}}, unchanged_since=changed_at - 60) == {}
    assert read_lines({module: {1}}, unchanged_since=changed_at) == {(module, 1): "first = 1"}


def test_bounds(tmp_path: Path) -> None:
    """Neither a file over 2 MB nor a 201st file is read."""
    large = tmp_path / "large.py"
    large.write_bytes(b"\n" * (MAX_FILE_BYTES + 1))
    small = [tmp_path / f"small{number}.py" for number in range(MAX_FILES + 5)]
    for path in small:
        path.write_text("here")

    assert read_lines({str(large): {1}}) == {}
    assert len(read_lines({str(path): {1} for path in small})) == MAX_FILES


def test_hanging_file_system(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While reading hangs, dumps go without lines, and no further thread is given up to it."""
    release = threading.Event()

    def hang(*_: object, **__: object) -> source.Lines:
        release.wait()
        return {}

    monkeypatch.setattr(source, "read_lines", hang)
    monkeypatch.setattr(source, "WAIT_S", 0.05)
    reader = SourceReader()

    def read() -> source.Lines:
        return on_agent_thread(lambda: reader.read({module: {1}}, unchanged_since=None))

    assert read() == {}
    hanging = reader._thread
    assert read() == {}
    assert reader._thread is hanging
    release.set()
    assert hanging is not None
    hanging.join()
    monkeypatch.undo()
    assert read() == {(module, 1): "first = 1"}
