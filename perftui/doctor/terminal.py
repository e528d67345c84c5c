"""Whether the dashboard can be drawn on this terminal."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings

LEAST = (80, 24)

NAME = "terminal"


def check_terminal(place: Surroundings) -> list[Check]:
    """Return what is the matter with the terminal, or that nothing is."""
    shell = place.shell
    if not shell.is_terminal:
        sentence = "this is no terminal: the dashboard needs one, the other verbs do not"
        return [Check(NAME, "note", sentence, "over ssh: ssh -t HOST perftui connect")]
    if shell.term in {"", "dumb"}:
        said = f"TERM is {shell.term}" if shell.term else "TERM is not set"
        mend = "export TERM=xterm-256color, or the name of your terminal"
        return [Check(NAME, "wrong", f"{said}: nothing can be drawn", mend)]
    found = [*_size(place), *_signs(place), *_inside(place)]
    if not found:
        found.append(Check(NAME, "ok", f"{shell.term}, {shell.columns}×{shell.rows}, {_colours(place)}"))
    return found


def _size(place: Surroundings) -> list[Check]:
    columns, rows = place.shell.columns, place.shell.rows
    if columns >= LEAST[0] and rows >= LEAST[1]:
        return []
    sentence = f"{columns}×{rows} cells: below {LEAST[0]}×{LEAST[1]} rows and columns are cut"
    return [Check(NAME, "note", sentence, "make the window larger, or its letters smaller")]


def _signs(place: Surroundings) -> list[Check]:
    found = []
    if not place.shell.utf8:
        sentence = "the locale is not UTF-8, so signs and charts are drawn in ASCII"
        found.append(Check(NAME, "note", sentence, "export LC_ALL=C.UTF-8"))
    if place.shell.no_colour:
        found.append(Check(NAME, "note", "NO_COLOR is set: state is told by signs alone", "unset NO_COLOR"))
    return found


def _inside(place: Surroundings) -> list[Check]:
    shell = place.shell
    if shell.inside == "screen":
        sentence = "inside screen: y can't copy to your clipboard (OSC 52 is not passed on)"
        return [Check(NAME, "note", sentence, "E writes a file instead; or use tmux")]
    if shell.inside == "tmux" and not shell.term.startswith(("tmux", "screen")):
        sentence = f"inside tmux TERM is {shell.term}, which is not what tmux draws like"
        return [Check(NAME, "note", sentence, "in ~/.tmux.conf: set -g default-terminal tmux-256color")]
    if shell.inside == "tmux":
        sentence = "inside tmux: y copies to your clipboard only where tmux passes it on"
        return [Check(NAME, "note", sentence, "in ~/.tmux.conf: set -g set-clipboard on")]
    return []


def _colours(place: Surroundings) -> str:
    if place.shell.colour in {"truecolor", "24bit"}:
        return "16 million colours"
    return "256 colours" if "256" in place.shell.term else "16 colours"
