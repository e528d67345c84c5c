"""Which workers are of one service."""

from __future__ import annotations

from perftui_agent.wire.lives import place_of
from perftui_agent.wire.registration import Registration


def same_service(one: Registration, other: Registration) -> bool:
    """Tell whether two workers belong together: of one name, on one address or below one supervisor."""
    if one.worker.service != other.worker.service:
        return False
    same_address = {*one.tcp, *one.unix} & {*other.tcp, *other.unix}
    # Servers started from one shell have that shell as their parent, but not a port in common.
    unknown_yet = not (one.tcp or one.unix) or not (other.tcp or other.unix)
    same_supervisor = one.worker.supervisor_pid == other.worker.supervisor_pid and place_of(
        one.worker
    ) == place_of(other.worker)
    return bool(same_address) or (same_supervisor and unknown_yet)
