"""Whether there is a py-spy, and one that knows the Python it is to look at."""

from __future__ import annotations

import re

from perftui.doctor.surroundings import Check, Surroundings, Worker

OLDEST = (0, 4, 3)
"""Older ones fail on Python 3.14, or get names wrong."""

NEWEST_KNOWN = (0, 4, 3)

KNOWN_PYTHONS = ((3, 11), (3, 15))
"""What `NEWEST_KNOWN` reads; of a later py-spy nothing is claimed."""

INSTALL = "python -m pip install 'py-spy>=0.4.3'"

_MUSL = "py-spy has no wheel for musl: build it with cargo install py-spy, or use an image with glibc (slim)"


def check_spy_here(place: Surroundings) -> list[Check]:
    """Return whether py-spy can be typed here; agents have their own."""
    if place.spy:
        return [Check("py-spy", "ok", f"py-spy {place.spy_version or '(version unknown)'}")]
    mend = _MUSL if place.machine.libc == "musl" else INSTALL
    return [Check("py-spy", "note", "there is no py-spy beside this perftui: agents use their own", mend)]


def why_no_spy(worker: Worker) -> tuple[str, str] | None:
    """Return why a worker's py-spy is of no use, and the mend; None if it is of use."""
    standing = worker.standing
    if standing is None or not standing.actions:
        return None
    if not standing.spy:
        mend = _MUSL if standing.machine.libc == "musl" else f"in the service's environment: {INSTALL}"
        return "it has no py-spy", mend
    found = version_of(standing.spy_version)
    if not found:
        return f"{standing.spy} does not start", f"see what it says: {standing.spy} --version"
    if found < OLDEST:
        return f"its py-spy {standing.spy_version} is too old", f"{INSTALL}, where the service runs"
    python = version_of(standing.machine.python)[:2]
    if found <= NEWEST_KNOWN and python and not KNOWN_PYTHONS[0] <= python <= KNOWN_PYTHONS[1]:
        sentence = f"py-spy {standing.spy_version} does not know Python {standing.machine.python}"
        return sentence, "python -m pip install -U py-spy, once a newer one knows it"
    return None


def version_of(text: str) -> tuple[int, ...]:
    """Return the numbers a version begins with; none if it has none."""
    match = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(map(int, match[0].split("."))) if match else ()
