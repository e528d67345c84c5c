"""Taking away what is on the screen."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from perftui.model.summary import Summary
from perftui.present.documents.markdown import heading
from perftui.present.documents.rows.units import moment
from perftui.screens.export import MAX_COPY, as_markdown, clipboard_codes
from perftui.screens.view import View
from tests.perftui.screens.seen import LARGE, SMALL, look, opened
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TMUX", raising=False)
    return tmp_path


def decoded(codes: str) -> str:
    return base64.b64decode(codes.partition("52;c;")[2].partition("\x07")[0]).decode()


def test_copying_says_what_it_did() -> None:
    """`y` answers in the bottom line."""
    assert "as Markdown" in look(FakeFeed(), "y", size=LARGE).splitlines()[-1]


def test_the_clipboard_is_reached_by_osc_52() -> None:
    """Plain for a terminal, wrapped as well for tmux, in short strings for screen."""
    assert decoded(clipboard_codes("é\n", {})) == "é\n"
    assert clipboard_codes("a", {"TMUX": "x"}) == "\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\"
    assert clipboard_codes("a", {"TERM": "tmux-256color"}) == clipboard_codes("a", {"TMUX": "x"})
    pieces = clipboard_codes("a" * 3000, {"TERM": "screen"}).split("\x1b\\")[:-1]
    assert decoded("".join(piece.removeprefix("\x1bP") for piece in pieces)) == "a" * 3000
    assert max(map(len, pieces)) < 768


def test_more_than_a_terminal_takes_is_cut() -> None:
    """What is too long is cut at a whole character."""
    assert decoded(clipboard_codes("é" * MAX_COPY, {})) == "é" * (MAX_COPY // 2)


@pytest.mark.parametrize(("key", "kind"), [("s", "svg"), ("t", "txt"), ("j", "json")])
def test_a_view_is_written_into_a_file(here: Path, key: str, kind: str) -> None:
    """`E` asks as what; the file has the service and the moment in its name, and what was seen in it."""
    assert "JSON" in look(FakeFeed(), "E").splitlines()[-1]
    assert "written: " in look(FakeFeed(), "E", key, size=(200, 50))
    (path,) = here.iterdir()
    assert path.name == f"perftui-shop-20261122-120000.{kind}" or path.name.endswith(f".{kind}")
    text = path.read_text()
    assert "orders" in text
    if kind == "json":
        assert json.loads(text)["service"] == "shop"


def test_figures_follow_the_filter(here: Path) -> None:
    """The rows one sees are the rows in the file, which says what they were chosen by, as `--filter` does."""
    look(FakeFeed(), "slash", *"route:orders", "enter", "E", "j")
    (path,) = here.iterdir()
    whole = json.loads(path.read_text())
    assert [row["route"] for row in whole["routes"]] == ["GET /orders"]
    assert whole["filter"] == "route:orders"


def test_no_file_is_written_over(here: Path) -> None:
    """The same view twice makes two files."""
    look(FakeFeed(), "E", "t", "E", "t")
    assert len(list(here.iterdir())) == 2


def test_nothing_is_written_unless_asked_for(here: Path) -> None:
    """Escape leaves the folder as it was."""
    assert "● live" in look(FakeFeed(), "E", "escape")
    assert list(here.iterdir()) == []


def test_a_folder_that_takes_nothing_is_said_in_one_line(here: Path) -> None:
    """Why not, in the bottom line; a folder that is gone takes nothing from root either."""
    here.rmdir()
    assert "not written: No such file or directory" in look(FakeFeed(), "E", "t", size=LARGE)


def test_hostile_names_leave_the_folder_alone(here: Path) -> None:
    """A service can be called anything: the file stays in this folder."""

    class Hostile(FakeFeed):
        def summary(self, window_s: float, cursor: float | None = None) -> Summary:
            return replace(super().summary(window_s, cursor), service="../../x\x1b]")

    look(Hostile(), "E", "t", size=SMALL)
    assert [path.name.startswith("perftui-..") for path in here.iterdir()] == [True]


def test_what_is_taken_away_of_the_past_tells_its_moment(here: Path) -> None:
    """Three minutes ago: in the text, the picture and the figures, and in the names of the files."""
    for kind in ("t", "s", "j"):
        look(FakeFeed(), *["left_curly_bracket"] * 3, "E", kind)
    text, svg, figures = (next(here.glob(f"*.{kind}")) for kind in ("txt", "svg", "json"))
    then = time.strftime("%H:%M:%S", time.localtime(NOON - 180))
    assert f"◂ {then} · 3m 00s ago" in text.read_text().splitlines()[0]
    assert then in svg.read_text()
    assert json.loads(figures.read_text())["at"] == moment(NOON - 180)
    assert all(then.replace(":", "") in path.name for path in here.iterdir())


def test_what_is_taken_away_of_a_picture_that_stands_tells_its_moment(here: Path) -> None:
    """Paused at noon, exported half a minute later: the figures are those of noon, and say so."""
    clock = [NOON]

    async def scene() -> str:
        async with opened(FakeFeed(clock=lambda: clock[0]), LARGE) as seen:
            await seen.press("space")
            clock[0] += 30
            await seen.repaint()
            await seen.press("E", "j", "E", "t")
            return as_markdown(cast("View[None]", seen.app.screen))

    copied = asyncio.run(scene())
    assert json.loads(next(here.glob("*.json")).read_text())["at"] == moment(NOON)
    assert " paused " in next(here.glob("*.txt")).read_text().splitlines()[0]
    assert time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(NOON)) in copied.splitlines()[0]


def test_what_is_copied_of_a_stale_picture_says_so() -> None:
    """Its figures are older than the moment in its heading."""
    summary = FakeFeed(troubles=("stale",)).summary(60.0)
    assert heading(summary).endswith("last 1m, stale for 12 s")
