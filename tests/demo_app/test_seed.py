"""Seeding: the same data everywhere, built once, whoever comes first."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from demo_app import files, seed

DIGEST = """
import hashlib
from demo_app.goods import invent
digest = hashlib.sha256()
for name, rows in invent().tables():
    digest.update(repr((name, rows)).encode())
print(digest.hexdigest())
"""

NOTED_SEED = """
import asyncio
from demo_app import seed
from demo_app.database import database_url
build = seed._build
def noted_build(path):
    print("built", flush=True)
    build(path)
seed._build = noted_build
asyncio.run(seed.ensure_seeded(database_url()))
"""


def start(code: str, **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return text


def test_data_is_the_same_in_every_process() -> None:
    """Two processes with other hash seeds invent the very same rows."""
    digests = {output(start(DIGEST, PYTHONHASHSEED=hash_seed)) for hash_seed in ("1", "2")}
    assert len(digests) == 1


def test_workers_that_start_together_build_once(tmp_path: Path) -> None:
    """Four processes on an empty directory end with one complete file, built by one of them."""
    directory = tmp_path / "shop"
    processes = [start(NOTED_SEED, SHOP_DATA_DIR=str(directory)) for _ in range(4)]
    assert "".join(output(process) for process in processes) == "built\n"
    [path] = directory.glob("*.sqlite3")
    assert {path.name, path.with_suffix(".lock").name} == set(os.listdir(directory))
    with contextlib.closing(sqlite3.connect(path)) as database:
        tables = ["customers", "items", "orders", "order_lines", "search_terms"]
        counts = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert counts[:3] == [2_000, 20_000, 30_000]
    assert 85_000 < counts[3] < 95_000
    assert counts[4] == 600_000


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed build there is no half file, so the next worker builds anew."""

    def fail(path: Path) -> None:
        path.write_text("half")
        raise OSError("disk full")

    monkeypatch.setattr(seed, "_build", fail)
    with pytest.raises(OSError, match="disk full"):
        seed.seed_file(tmp_path / "shop.sqlite3")
    assert os.listdir(tmp_path) == ["shop.lock"]


def test_the_data_directory_is_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is made for this user alone, and one that others may write to is refused."""
    directory = tmp_path / "shop"
    monkeypatch.setenv("SHOP_DATA_DIR", str(directory))
    assert files.data_dir().stat().st_mode & 0o777 == 0o700
    directory.chmod(0o777)
    with pytest.raises(PermissionError, match="SHOP_DATA_DIR"):
        files.data_dir()
