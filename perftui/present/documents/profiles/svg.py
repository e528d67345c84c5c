"""A flame graph as a picture: one SVG that needs no network and no script, with a word for each frame.

Width is time, down is deeper; the colour says whose code it is. Hovering tells a frame's share of the whole.
"""

from __future__ import annotations

from xml.sax.saxutils import escape

from perftui.model.flame import NO_REQUEST, Node, Samples, tree
from perftui.present.details.threads import is_own_file

WIDTH = 1200
ROW = 18
MARGIN = 8
HEAD = 46
CHARACTER = 6.6
"""Width of one, at 11 px."""

_STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1b1b1b}"
    ".head{font-size:14px;font-weight:bold}.sub{fill:#555}"
    ".own{fill:#f2a65a}.lib{fill:#d9dde3}.std{fill:#eceef1}.route{fill:#9cc9e3}"
    "rect{stroke:#fff;stroke-width:.6}rect:hover{stroke:#000}"
    "@media (prefers-color-scheme:dark){svg{background:#16181d}.head,.sub{fill:#ddd}rect{stroke:#16181d}}"
)


def svg(samples: Samples, title: str) -> bytes:
    """Return the picture."""
    boxes, height = boxes_of(samples)
    seconds = samples.ns / 1e9
    about = f"{samples.count} samples of {seconds:.1f} s, workers watched for {samples.wall_ns / 1e9:.1f} s"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        f' height="{height}" role="img" aria-label="{_text(title)}">\n<style>{_STYLE}</style>\n'
        f'<text class="head" x="{MARGIN}" y="20">{_text(title)}</text>\n'
        f'<text class="sub" x="{MARGIN}" y="37">{_text(about)}</text>\n' + "\n".join(boxes) + "\n</svg>\n"
    ).encode("utf-8", "replace")


def boxes_of(samples: Samples, least_share: float = 0.001) -> tuple[list[str], int]:
    """Return the frames as SVG elements, those below a share of the whole left out, and the height they need.

    They start `HEAD` from the top and are `WIDTH` wide.
    """
    routes = samples.routes()
    by_route = any(route != NO_REQUEST for route, _ in routes)
    least = samples.ns * least_share
    roots: list[tuple[str, int, tuple[Node, ...]]] = []
    if by_route:
        roots = [(route, ns, tree(samples.only(route=route), least_ns=least)) for route, ns in routes]
    else:
        roots = [("all", samples.ns, tree(samples, least_ns=least))]
    boxes: list[str] = []
    depth = 0
    at_ns = 0
    scale = (WIDTH - 2 * MARGIN) / max(samples.ns, 1)
    for name, ns, nodes in roots:
        boxes.append(_box(name, "route", at_ns * scale, 0, ns * scale, _share(name, ns, samples)))
        depth = max(depth, _draw(nodes, at_ns, 1, scale, samples, boxes))
        at_ns += ns
    return boxes, HEAD + (depth + 1) * ROW + MARGIN


def _draw(
    nodes: tuple[Node, ...], at_ns: int, depth: int, scale: float, samples: Samples, boxes: list[str]
) -> int:
    """Draw nodes side by side and what they call below; return the deepest row."""
    deepest = depth - 1
    for node in nodes:
        file = samples.names.get(node.function.file, node.function.file)
        name = f"{node.function.name} {file}:{node.line}"
        told = _share(name, node.total_ns, samples)
        boxes.append(_box(name, _kind(node.function.file), at_ns * scale, depth, node.total_ns * scale, told))
        deepest = max(deepest, depth, _draw(node.children, at_ns, depth + 1, scale, samples, boxes))
        at_ns += node.total_ns
    return deepest


def _box(name: str, kind: str, x: float, row: int, width: float, told: str) -> str:
    room = int((width - 6) / CHARACTER)
    shown = name if len(name) <= room else name[: room - 1] + "…" if room > 3 else ""
    x, y = x + MARGIN, HEAD + row * ROW
    text = f'<text x="{x + 3:.1f}" y="{y + 13}">{_text(shown)}</text>' if shown else ""
    box = f'class="{kind}" x="{x:.1f}" y="{y}" width="{max(width, 0.2):.1f}" height="{ROW}"'
    return f"<g><title>{_text(told)}</title><rect {box}/>{text}</g>"


def _share(name: str, ns: int, samples: Samples) -> str:
    return f"{name}: {100 * ns / max(samples.ns, 1):.1f} %, {ns / 1e6:.0f} ms"


def _kind(file: str) -> str:
    if is_own_file(file):
        return "own"
    return "lib" if "-packages" in file else "std"


def _text(text: str) -> str:
    return escape("".join(char if char.isprintable() else " " for char in text), {'"': "&quot;"})
