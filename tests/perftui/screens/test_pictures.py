"""The screens are what the documents show, and what was last looked at: `make pictures` draws them anew."""

from __future__ import annotations

import time

import pytest

from tests.support.pictures import DOCS, PICTURES, SCREENS, picture, texts


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell times as the pictures do."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_in_the_documents_is_what_the_dashboard_draws(name: str) -> None:
    """Every screen at 120×40, colours and all."""
    pinned = (DOCS / f"{name}.svg").read_text(encoding="utf-8")
    assert pinned == picture(name), f"{name} looks otherwise: `make pictures`, and look at what has changed"


def test_the_screens_at_80_by_24_are_what_was_looked_at() -> None:
    """Every view, and the details that lead to a cause, as plain text."""
    assert SCREENS.read_text(encoding="utf-8") == texts()


def test_the_documents_show_every_picture_and_no_other() -> None:
    """No picture is forgotten when a view comes or goes, and the README shows them all."""
    readme = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    assert sorted(PICTURES) == sorted(path.stem for path in DOCS.glob("*.svg"))
    assert [name for name in PICTURES if f"docs/{name}.svg" not in readme] == []
