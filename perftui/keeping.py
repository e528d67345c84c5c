"""Recording what is seen, by a key: begun, ended, and told of in the picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from textual.app import App

from perftui.clock import now
from perftui.model.events import EvidenceKept
from perftui.present.picture import Picture
from perftui.present.text.units import size
from perftui.screens.view import View
from perftui.sources.target import LiveTarget

if TYPE_CHECKING:
    from perftui.recorder import Recordings


class Keeping(App[int], inherit_bindings=False):
    """The part of the app that records."""

    picture: Picture
    _targets: Sequence[LiveTarget] = ()
    _recordings: Recordings | None = None

    def remark(self, text: str) -> None:
        """Say something in the bottom line for a moment."""
        raise NotImplementedError

    def repaint(self) -> None:
        """Take a new picture and show it on every screen."""
        raise NotImplementedError

    def marked(self) -> None:
        """Have a mark in the recording, too."""
        if self._recordings is not None and self._recordings.recorder is not None:
            self._recordings.recorder.mark(now())

    def keep(self, event: EvidenceKept) -> None:
        """Have what a worker was asked for in the recording, too."""
        if self._recordings is not None and self._recordings.recorder is not None:
            self._recordings.recorder.asked(event)

    async def action_record(self) -> None:
        """Ask whether to record, and begin; or end the recording."""
        # The first picture is waited for, and needs neither.
        from perftui.recorder import Recordings, default_name  # noqa: PLC0415
        from perftui.screens.recording import ask_and_record  # noqa: PLC0415

        view = self.screen
        if not self._targets:
            self.remark("there is nothing here to record")
            return
        if self._recordings is None:
            self._recordings = Recordings(self._targets)
        if (recorder := self._recordings.recorder) is not None:
            await self._recordings.end()
            self.remark(f"wrote {recorder.path}: {size(recorder.size)}")
            self.repaint()
        elif isinstance(view, View):
            # A path that a shell can use, wherever it is typed.
            path = os.path.join(_here(), default_name(self.picture.summary.service or ""))
            ask_and_record(view, self._recordings.begin, path)

    async def end_recording(self) -> None:
        """Write the rest of what is recorded; nothing if nothing is."""
        if self._recordings is not None:
            await self._recordings.end()

    def _recorded(self, picture: Picture) -> Picture:
        """Return a picture that says whether it is recorded."""
        if self._recordings is None:
            return picture
        if self._recordings.failed:
            self.remark(f"recording has ended: {self._recordings.failed}")
            self._recordings.failed = ""
        return replace(picture, records=True) if self._recordings.recorder is not None else picture


def _here() -> str:
    """Return the current directory; somebody may have removed it since."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return os.curdir
