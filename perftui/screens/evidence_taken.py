"""What was taken, of its own accord or for somebody, on the screen of its kind; or why there is nothing."""

from __future__ import annotations

from perftui.model.asked import asked_for
from perftui.model.database import Databases
from perftui.screens.database import DatabaseScreen
from perftui.screens.dump import DumpView
from perftui.screens.explain import ExplainView
from perftui.screens.functions import FunctionsView
from perftui.screens.memory import MemoryView
from perftui.screens.profile import ProfileView
from perftui.screens.view import Host, View
from perftui_agent.wire.actions import Functions, Memory, Profile
from perftui_agent.wire.dumps import Dump, Refusal
from perftui_agent.wire.explain import Explanation


def evidence_view(host: Host, key: str, trail: tuple[str, ...]) -> View[None]:
    """Return the screen of a piece of evidence by its id, as it was taken then."""
    row = next((row for row in host.picture.summary.evidence if row.evidence.id == key), None)
    if row is None:
        return DumpView(host, "", Refusal(id="", reason="it is not kept any more", advice="esc: back"))
    taken = asked_for(row.evidence)
    match taken:
        case Profile():
            return ProfileView(host, [row.worker], row.evidence.route, taken)
        case Dump():
            return DumpView(host, row.worker, taken)
        case Memory():
            return MemoryView(host, row.worker, taken)
        case Functions():
            return FunctionsView(host, row.worker, taken.route, taken)
        case Explanation():
            return ExplainView(host, [row.worker], taken.fingerprint, taken)
        case Databases():
            return DatabaseScreen(host, trail=trail, taken=taken)
    why = row.evidence.how or "nothing was taken"
    return DumpView(host, row.worker, Refusal(id="", reason=row.evidence.text, advice=why))
