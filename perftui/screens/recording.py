"""Asks whether to record, and says into which file."""

from __future__ import annotations

import os
from collections.abc import Callable

from perftui.screens.confirm import Confirm
from perftui.screens.view import View


def ask_and_record(view: View[None], begin: Callable[[str], None], path: str) -> None:
    """Ask whether to record into a file, and begin if the answer is yes."""

    def answered(yes: bool | None) -> None:
        if yes:
            begin(path)
            view.host.remark(f"recording into {path}: R ends it")

    asked = f"Record into {path}, with the last fifteen minutes? R ends it."
    shorter = (f"Record into {path}?", f"Record into ./{os.path.basename(path)}?")
    view.app.push_screen(Confirm(view.host, asked, *shorter), answered)
