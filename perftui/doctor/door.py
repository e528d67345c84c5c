"""Whether the remote doors of this host's services open to the token of this shell."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings

NAME = "remote door"


def check_doors(place: Surroundings) -> list[Check]:
    """Return what each service answered that was knocked at; nothing without a token to knock with."""
    found = []
    for door in place.doors:
        if not door.problem:
            found.append(Check(NAME, "ok", f"{door.target} opens to the token of this shell"))
        elif door.knows_token:
            found.append(Check(NAME, "wrong", door.problem, door.advice))
        else:
            # A service may well have no door on purpose.
            found.append(Check(NAME, "note", door.problem, door.advice))
    return found
