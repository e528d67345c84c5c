"""Whether there is anybody to look at."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings

NAME = "target"


def check_target(place: Surroundings) -> list[Check]:
    """Return who is found, who is not and why."""
    found = [Check(NAME, "wrong", each.problem, each.advice) for each in place.absent]
    found += [Check(NAME, "note", f"not reached from here: {reason}") for reason in place.elsewhere]
    if place.workers:
        names = ", ".join(dict.fromkeys(each.service for each in place.workers if each.service))
        count = len(place.workers)
        found.append(Check(NAME, "ok", f"{count} worker{'s' if count > 1 else ''} of {names or 'a service'}"))
    elif not place.absent:
        mend = "add `instrument(app)` to an app, or: python -m perftui_agent run -- <its command>"
        if place.uid:
            mend += "; those of other users: sudo perftui doctor"
        found.append(Check(NAME, "note", "no instrumented service of this user runs on this host", mend))
    return found
