"""The stacks in speedscope's own format: one profile, or one for each route (https://www.speedscope.app)."""

from __future__ import annotations

import json
from typing import Any

from perftui.model.flame import Line, Samples

SCHEMA = "https://www.speedscope.app/file-format-schema.json"


def speedscope(samples: Samples, title: str) -> bytes:
    """Return the file; weights are nanoseconds."""
    frames: dict[Line, int] = {}
    profiles = [_profile("all", samples, frames)]
    routes = samples.routes()
    if len(routes) > 1:
        profiles += [_profile(route, samples.only(route=route), frames) for route, _ in routes]
    document = {
        "$schema": SCHEMA,
        "exporter": "perftui",
        "name": title,
        "activeProfileIndex": 0,
        "shared": {
            "frames": [
                {
                    "name": line.function.name,
                    "file": samples.names.get(line.function.file, line.function.file),
                    "line": line.line,
                }
                for line in frames
            ]
        },
        "profiles": profiles,
    }
    return json.dumps(document, ensure_ascii=True).encode()


def _profile(name: str, samples: Samples, frames: dict[Line, int]) -> dict[str, Any]:
    stacks = sorted(samples.stacks, key=lambda stack: stack.frames)
    return {
        "type": "sampled",
        "name": name,
        "unit": "nanoseconds",
        "startValue": 0,
        "endValue": sum(stack.ns for stack in stacks),
        "samples": [[frames.setdefault(line, len(frames)) for line in stack.frames] for stack in stacks],
        "weights": [stack.ns for stack in stacks],
    }
