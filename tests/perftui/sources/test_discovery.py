"""Where clients look for workers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from perftui.sources import discovery
from perftui.sources.discovery import directories


@pytest.mark.parametrize("empty", [True, False])
def test_root_looks_at_the_services_of_all_users(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, empty: bool
) -> None:
    """An empty variable says nothing, as none at all."""
    theirs = tmp_path / "perftui-1000"
    theirs.mkdir()
    monkeypatch.setattr(discovery, "_OTHER_USERS", (f"{tmp_path}/perftui-*",))
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.delenv("PERFTUI_RUNTIME_DIR", raising=False)
    if empty:
        monkeypatch.setenv("PERFTUI_RUNTIME_DIR", "")
    assert theirs in directories()


def test_a_runtime_directory_that_is_named_is_the_only_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For root as for anyone."""
    monkeypatch.setattr(os, "getuid", lambda: 0)
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(tmp_path))
    assert directories() == [tmp_path]
