"""Taking away what is on the screen: to the clipboard of the terminal, or into a file."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from typing import Literal, TypeAlias

from textual.app import ComposeResult
from textual.screen import ModalScreen

from perftui.present.documents.markdown import text_markdown, triage_markdown
from perftui.present.documents.snapshot import document
from perftui.screens.triage import TriageView
from perftui.screens.view import Host, View, thrifty
from perftui.widgets.bindings import bindings
from perftui.widgets.question import Question
from perftui.widgets.spared import Spared

Format: TypeAlias = Literal["svg", "txt", "json"]

MAX_COPY = 50_000
"""Bytes: terminals that take a clipboard at all take so much, hardly one takes more than 74 kB."""


def screen_text(view: View[None]) -> list[str]:
    """Return what a screen shows, line by line."""
    return [strip.text.rstrip() for strip in view._compositor.render_strips()]


def as_markdown(view: View[None]) -> str:
    """Return what a screen is about as Markdown."""
    if isinstance(view, TriageView):
        return triage_markdown(view.picture, view.route_table.order)
    return text_markdown(view.picture.summary, screen_text(view)[:-1])


def clipboard_codes(text: str, environ: Mapping[str, str]) -> str:
    """Return what puts `text` into the clipboard of the terminal, through tmux and screen as well.

    It goes by OSC 52, which ssh carries like any other output. tmux takes it if its `set-clipboard` is
    `on`; wrapped, it hands it through if its `allow-passthrough` is. Over ssh only TERM tells of it.
    """
    data = text.encode()[:MAX_COPY].decode(errors="ignore").encode()
    code = f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"
    if _in_tmux(environ):
        escaped = code.replace("\x1b", "\x1b\x1b")
        return f"{code}\x1bPtmux;{escaped}\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        # screen reads no more than 768 bytes of a string at once.
        return "".join(f"\x1bP{code[start : start + 700]}\x1b\\" for start in range(0, len(code), 700))
    return code


def _in_tmux(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("TMUX")) or environ.get("TERM", "").startswith("tmux")


def copied(text: str, environ: Mapping[str, str]) -> str:
    """Return what is to be said of having sent `text`: whether it was taken, the terminal doesn't tell."""
    lines = text.count("\n")
    if _in_tmux(environ):
        return f"copied {lines} lines (tmux: set -g set-clipboard on)"
    return f"copied {lines} lines as Markdown"


def write_file(view: View[None], chosen: Format) -> str:
    """Write what is on the screen into a new file here; return what is to be said of it."""
    summary = view.picture.summary
    content = {
        "svg": lambda: view.app.export_screenshot(title="perftui"),
        "txt": lambda: "\n".join([*screen_text(view), ""]),
        "json": lambda: json.dumps(document(summary, view.picture.wanted), indent=2) + "\n",
    }[chosen]()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(summary.at))
    service = "".join(char if char.isalnum() or char in "-." else "_" for char in summary.service or "")
    for number in range(1, 100):
        name = "-".join(filter(None, ("perftui", service[:40], stamp, str(number) if number > 1 else "")))
        path = os.path.join(_here(), f"{name}.{chosen}")
        try:
            with open(path, "x", encoding="utf-8") as file:
                file.write(content)
        except FileExistsError:
            continue
        except OSError as error:
            return f"not written: {error.strerror}: {path}"
        return f"written: {path}"
    return f"not written: there are 99 files of that name: {path}"


def _here() -> str:
    """Return the current directory; somebody may have removed it since."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.curdir


class Export(Spared, ModalScreen[Format | None], inherit_bindings=False):
    """Asks in place of the bottom line as what to write the view."""

    BINDINGS = bindings("export")

    def __init__(self, host: Host) -> None:
        super().__init__()
        thrifty(self, host)

    def compose(self) -> ComposeResult:
        """Show the question."""
        here = f"Write this view here, into {_here()}?"
        yield Question([here, "Write this view into a file here?"], "export")

    def action_choose(self, chosen: str) -> None:
        """Give the answer."""
        formats: dict[str, Format] = {"svg": "svg", "txt": "txt", "json": "json"}
        self.dismiss(formats.get(chosen))
