"""All that the first picture can do without: imported once it is painted, before a key asks for it."""

from __future__ import annotations

from perftui.screens import dump, export, opening, palette, profile, recording
from perftui.screens import help as keys

__all__ = ("dump", "export", "keys", "opening", "palette", "profile", "recording")
