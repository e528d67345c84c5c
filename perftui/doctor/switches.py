"""Whether something was switched off on purpose, and forgotten."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings

NAME = "switches"

_OFF = {"0", "false", "no", "off"}


def check_switches(place: Surroundings) -> list[Check]:
    """Return what this shell's variables would do to a service that is started from it."""
    found = []
    if _is_off(place, "PERFTUI_ENABLED"):
        sentence = "PERFTUI_ENABLED is off in this shell: services started from it have no agent"
        found.append(Check(NAME, "note", sentence, "unset PERFTUI_ENABLED"))
    if _is_off(place, "PERFTUI_ACTIONS"):
        sentence = "PERFTUI_ACTIONS is off in this shell: services started from it refuse dumps"
        found.append(Check(NAME, "note", sentence, "unset PERFTUI_ACTIONS, or instrument(app, actions=True)"))
    return found


def _is_off(place: Surroundings, variable: str) -> bool:
    return place.variables.get(variable, "").strip().lower() in _OFF
