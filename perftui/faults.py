"""Our own faults while a session goes on: counted by their place, told, and kept for whoever mends them.

A fault costs what it was in (a pane, a finding, a key), never the session with its history and its marks.
"""

from __future__ import annotations

import os
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TypeAlias

from platformdirs import user_log_dir

Where: TypeAlias = str
"""What a fault was in: `latencies`, `the finding n-plus-one`, `RouteView at Key`."""

MAX_KEPT = 50
"""Places whose first fault is kept whole; the others are counted."""

MAX_LOG_BYTES = 1_000_000
"""A log that has grown to so much begins anew."""


def log_path() -> str:
    """Return the file that faults are written to, in the platform's folder for logs."""
    return os.path.join(user_log_dir("perftui"), "faults.log")


class Faults:
    """Takes exceptions, gives counts, one sentence, and the whole story as text."""

    def __init__(self) -> None:
        self._counts: Counter[Where] = Counter()
        self._stories: dict[Where, str] = {}
        self._unwritten: list[Where] = []
        self._latest = ""

    def __len__(self) -> int:
        return self._counts.total()

    @property
    def counts(self) -> Mapping[Where, int]:
        """How many there were in each place."""
        return self._counts

    @property
    def latest(self) -> str:
        """The latest in one line: `latencies: ValueError: max() arg is an empty sequence`."""
        return self._latest

    def note(self, where: Where, error: Exception) -> None:
        """Count a fault, and keep the first of its place whole."""
        self._counts[where] += 1
        self._latest = f"{where}: {type(error).__name__}: {error}"
        if where not in self._stories and len(self._stories) < MAX_KEPT:
            self._stories[where] = "".join(traceback.format_exception(error))
            self._unwritten.append(where)

    @contextmanager
    def spared(self, where: Where) -> Iterator[None]:
        """Go on behind this block whatever is raised in it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - this is the place where they are all told
            self.note(where, error)

    def story(self) -> str:
        """Return the first fault of each place, as Python tells it."""
        return "\n".join(self._stories.values())

    def write(self, path: str) -> bool:
        """Add what is new to a log that only its owner may read; say whether there was anything new."""
        new, self._unwritten = self._unwritten, []
        if new:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
            text = "".join(f"{stamp} {where}\n{self._stories[where]}\n" for where in new)
            with suppress(OSError):  # a full disk ends no session either
                _append(path, text)
        return bool(new)

    def sentence(self) -> str:
        """Return how many there were and in what: `2 faults of perftui's own, in latencies (2×)`."""
        most = self._counts.most_common(4)
        places = [f"{where} ({count}×)" if count > 1 else where for where, count in most]
        more = f" and {len(self._counts) - 4} more places" if len(self._counts) > 4 else ""
        many = "s" if len(self) > 1 else ""
        return f"{len(self)} fault{many} of perftui's own, in {', '.join(places)}{more}"

    def forget(self) -> None:
        """Begin anew."""
        self._counts.clear()
        self._stories.clear()
        self._unwritten.clear()
        self._latest = ""


def _append(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    full = os.path.exists(path) and os.path.getsize(path) > MAX_LOG_BYTES
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if full else os.O_APPEND)
    with open(os.open(path, flags, 0o600), "w", encoding="utf-8", errors="backslashreplace") as log:
        log.write(text)


FAULTS = Faults()
"""Those of this process."""
