"""What a worker's agent can't measure there: the kernel is not asked, a library is of another version."""

from __future__ import annotations

from perftui.doctor.surroundings import Check, Surroundings, Worker

_LOST = {
    "queue": "how long requests wait in the kernel is not known, so latencies begin at the app",
    "clients": "clients that leave are not told apart",
}
"""What is lost with a probe, where it is not plain."""

_MENDS = {
    "queue": 'have a proxy say when it took a request: instrument(app, queue_header="X-Request-Start")',
}

ABSENT = (
    *("not imported", "no request yet", "no thread used yet", "no cache is watched"),
    "actions are switched off",
)
"""Reasons that are no fault: the app does without, or it is said elsewhere."""

RIGHTS = "ptrace"
"""Said with the dump."""


def check_probes(_place: Surroundings, worker: Worker) -> list[Check]:
    """Return the probes that are off although there is something to measure."""
    standing = worker.standing
    if standing is None:
        return []
    found = []
    for name, status in standing.probes.items():
        reason = status.removeprefix("off: ")
        if not status.startswith("off") or name == RIGHTS or reason.startswith(ABSENT):
            continue
        sentence = f"{name} is off: {reason}"
        if lost := _LOST.get(name):
            sentence += f"; {lost}"
        found.append(Check("probes", "note", sentence, _MENDS.get(name, ""), worker.pid))
    if not worker.has_box:
        sentence = "it keeps no black box: nothing is known of it before one attaches, or after its end"
        mend = "start it without PERFTUI_BLACKBOX_MB=0, or instrument(app, blackbox_mb=8)"
        found.append(Check("probes", "note", sentence, mend, worker.pid))
    return found
