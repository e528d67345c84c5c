"""What a trigger says, in words: which figure was over, and how it was looked at."""

from __future__ import annotations

from perftui_agent.trigger import Trigger
from perftui_agent.triggers.watch import Firing
from perftui_agent.wire.actions import Profile
from perftui_agent.wire.dumps import Dump

_IN_SECONDS = frozenset({"p50", "p95", "p99", "lag"})


def sentence(firing: Firing) -> str:
    """Return what was over: `p95 was 1.42 s over 10 s, of 812 requests`."""
    trigger = firing.trigger
    subject = f"{trigger.route}: {trigger.metric}" if trigger.route else trigger.metric
    of = f", of {firing.requests} requests" if firing.requests and trigger.metric != "lag" else ""
    return f"{subject} was {figure(trigger, firing.value)} over {trigger.window_s:g} s{of}"


def figure(trigger: Trigger, value: float) -> str:
    """Return a figure with its unit."""
    if trigger.metric in _IN_SECONDS:
        return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.0f} ms"
    if trigger.metric == "errors":
        return f"{value * 100:.1f} %"
    if trigger.metric == "cpu":
        return f"{value:.0f} %"
    if trigger.metric == "memory":
        return f"{value / 1e6:.0f} MB"
    if trigger.metric == "rps":
        return f"{value:.1f}/s"
    return f"{value:g}"


def how_taken(result: Dump | Profile) -> str:
    """Return by what it was taken: `profile of 20 s by the agent's own sampler, 1000 samples`."""
    if isinstance(result, Profile):
        by = "the agent's own sampler" if result.engine == "sampler" else result.engine
        return f"profile of {result.took_ns / 1e9:.0f} s by {by}, {result.samples} samples"
    return f"dump by {result.method}"
