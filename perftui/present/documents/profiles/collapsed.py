"""The stacks a line each, root first, as flamegraph.pl, inferno and speedscope read them."""

from __future__ import annotations

from perftui.model.flame import NO_REQUEST, Line, Samples


def collapsed(samples: Samples, _title: str) -> bytes:
    """Return the file: `route;place;place microseconds`; a profile that knows routes has them as roots."""
    by_route = any(stack.route for stack in samples.stacks)
    lines = []
    for stack in samples.stacks:
        names = [stack.route or NO_REQUEST] if by_route else []
        names += [frame_name(line, samples.names) for line in stack.frames]
        text = ";".join(name.replace(";", ",").replace("\n", " ") for name in names)
        lines.append(f"{text} {max(round(stack.ns / 1000), 1)}")
    return ("\n".join(sorted(lines)) + "\n").encode("utf-8", "replace")


def frame_name(line: Line, names: dict[str, str]) -> str:
    """Return a frame as people say it."""
    file = names.get(line.function.file, line.function.file)
    return f"{line.function.name} ({file}:{line.line})"
