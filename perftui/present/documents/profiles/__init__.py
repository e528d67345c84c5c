"""A profile as a file, one format each: what other people's tools open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from perftui.model.flame import Samples
from perftui.present.documents.profiles.collapsed import collapsed
from perftui.present.documents.profiles.document import profile_document
from perftui.present.documents.profiles.pstats import pstats
from perftui.present.documents.profiles.speedscope import speedscope
from perftui.present.documents.profiles.svg import svg
from perftui.present.documents.profiles.text import profile_text

__all__ = ["WRITERS", "Writer", "profile_document", "profile_text", "writer_for"]

Writer = Callable[[Samples, str], bytes]
"""Takes samples and a title, gives the bytes of a file."""

WRITERS: Mapping[str, Writer] = MappingProxyType(
    {".svg": svg, ".speedscope.json": speedscope, ".collapsed": collapsed, ".pstats": pstats}
)
"""By the end of a file's name."""


def writer_for(path: str) -> Writer | None:
    """Return the writer for a file by its name; None for a name that says nothing."""
    return next((writer for ending, writer in WRITERS.items() if path.lower().endswith(ending)), None)
