"""A profile as the document that scripts read; CONTRACT names its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perftui.model.flame import NO_REQUEST, Line, Samples
from perftui_agent.wire.actions import Profile

_WHOLE = 1e6


def profile_document(samples: Samples, profiles: Sequence[Profile]) -> dict[str, Any]:
    """Return the document of one or several workers' profiles, whose samples these are."""
    engines = sorted({profile.engine for profile in profiles})
    known = [profile for profile in profiles if profile.attributed is not None]
    working = sum(profile.samples for profile in known)
    routes: dict[str, int] = {}
    for stack in samples.stacks:
        routes[stack.route or NO_REQUEST] = routes.get(stack.route or NO_REQUEST, 0) + stack.count
    return {
        "engine": "+".join(engines),
        "mode": profiles[0].mode,
        "samples": samples.count,
        "missed": sum(profile.missed for profile in profiles),
        "attributed": (
            sum(profile.samples * (profile.attributed or 0.0) for profile in known) / working
            if working
            else None
        ),
        "routes": dict(sorted(routes.items(), key=lambda item: -item[1])) if known else {},
        "seconds": round(samples.wall_ns / 1e9, 3),
        "workers": [
            {
                "pid": profile.pid,
                "engine": profile.engine,
                "because": profile.because,
                "rate_hz": round(profile.rate_hz, 1),
                "samples": profile.samples,
                "missed": profile.missed,
                "cut": profile.stacks_cut,
                "seconds": round(profile.took_ns / 1e9, 3),
                "note": profile.note or None,
            }
            for profile in profiles
        ],
        "stacks": [
            {
                "stack": [_place(line, samples.names) for line in stack.frames],
                "route": stack.route or None,
                "samples": stack.count,
                "ms": round(stack.ns / _WHOLE, 3),
                "on_loop": stack.on_loop,
            }
            for stack in sorted(samples.stacks, key=lambda stack: -stack.ns)
        ],
    }


def _place(line: Line, names: dict[str, str]) -> str:
    file, name = line.function
    return f"{names.get(file, file)}:{line.line} {name}"
