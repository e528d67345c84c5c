"""Routes that go by another name from one version to the next: same method, same shape of the path.

What a parameter is called does not matter, nor which version of an interface it is (`/v1/`, `/v2/`); if
several would fit, none is taken for another.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from perftui_agent.wire.parts import RouteLabel

_PARAMETER = re.compile(r"\{[^{}:]*(:[^{}]*)?\}")
_VERSION = re.compile(r"/v\d+(?:\.\d+)*(?=/|$)")


def renamed(old: Collection[RouteLabel], new: Collection[RouteLabel]) -> Mapping[RouteLabel, RouteLabel]:
    """Return what routes of `new` were called in `old`."""
    gone, came = (_by_shape(a, b) for a, b in ((old, new), (new, old)))
    return {
        labels[0]: gone[shape][0]
        for shape, labels in came.items()
        if len(labels) == 1 and len(gone.get(shape, ())) == 1
    }


def _by_shape(these: Collection[RouteLabel], others: Collection[RouteLabel]) -> dict[str, list[RouteLabel]]:
    """Return the routes that are not among `others`, by the shapes of their paths."""
    found: dict[str, list[RouteLabel]] = {}
    for label in these:
        if label not in others:
            found.setdefault(_VERSION.sub("/v", _PARAMETER.sub(r"{\1}", label)), []).append(label)
    return found
