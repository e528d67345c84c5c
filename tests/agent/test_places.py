"""Places in code, as they are told."""

from __future__ import annotations

import os
import sysconfig
from unittest import mock

from perftui_agent.places import short_file


def test_a_name_is_found_where_blocking_calls_are_forbidden() -> None:
    """Who guards a loop against them forbids to ask for the current directory: it is not needed."""
    file = os.path.join(sysconfig.get_paths()["stdlib"], "asyncio", "a_name_nobody_has_asked_for.py")
    with mock.patch.object(os.path, "abspath", side_effect=RuntimeError("blocking")):
        assert short_file(file) == "asyncio/a_name_nobody_has_asked_for.py"
