"""What holds for all tests."""

from __future__ import annotations

import os

import hypothesis

# A busy machine is no defect: nothing here is judged by the clock.
hypothesis.settings.register_profile("perftui", deadline=None)
hypothesis.settings.load_profile("perftui")

# Nor is a developer's own terminal, language or settings: neither tests nor what they start see any of it.
for name in [name for name in os.environ if name.startswith("PERFTUI_")]:
    del os.environ[name]
for name in ("TMUX", "NO_COLOR"):
    os.environ.pop(name, None)
os.environ |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
