"""What a trigger has had taken, on the screen of its kind: a profile, a dump, or why there is neither."""

from __future__ import annotations

from perftui.model.evidence import result_of
from perftui.screens.dump import DumpView
from perftui.screens.profile import ProfileView
from perftui.screens.view import Host, View
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.frames import Dump, Refusal


def evidence_view(host: Host, key: str, _trail: tuple[str, ...]) -> View[None]:
    """Return the screen of a piece of evidence by its id, as it was taken then."""
    row = next((row for row in host.picture.summary.evidence if row.evidence.id == key), None)
    if row is None:
        return DumpView(host, "", Refusal(id="", reason="it is not kept any more", advice="esc: back"))
    taken = result_of(row.evidence)
    if isinstance(taken, Profile):
        return ProfileView(host, [row.worker], row.evidence.route, taken)
    if isinstance(taken, Dump):
        return DumpView(host, row.worker, taken)
    why = row.evidence.how or "nothing was taken"
    return DumpView(host, row.worker, Refusal(id="", reason=row.evidence.text, advice=why))
