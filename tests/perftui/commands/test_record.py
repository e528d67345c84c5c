"""What `perftui record` says when it can't go on; the rest is seen beside a real service."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui.cli import main
from perftui.commands import record
from tests.perftui.test_postmortem import died


def test_what_stops_a_recording_is_told_and_not_who_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service is there: workers that had ended before are no answer to a full disk."""

    async def stopped(*_: object) -> None:
        raise record._StoppedError("a.perftui can't be written any more: No space left on device", "it opens")

    monkeypatch.setattr(record, "_record", stopped)
    monkeypatch.setattr(record, "dead_instead", lambda _: [died()])
    assert main(["record", "8000", "-o", str(tmp_path / "a.perftui")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "perftui: a.perftui can't be written any more: No space left on device",
        "  it opens",
    ]
    assert not (tmp_path / "a.perftui").exists()
