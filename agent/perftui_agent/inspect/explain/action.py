"""Explains a statement because a client has asked: on the road of all actions."""

from __future__ import annotations

from perftui_agent.inspect.explain.explainer import CannotExplainError, Explainer
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.explain import ExplainRequest, Explanation


async def take_explanation(
    request: ExplainRequest, pid: int, own_pid: int, explainer: Explainer | None
) -> Explanation | Refusal:
    """Return the plan of the statement that is asked for, or why there is none."""
    if pid != own_pid or explainer is None:
        return Refusal(
            id=request.id,
            reason=f"only worker {pid} itself has run its statements, and it does not answer",
            advice="ask another worker of the service",
        )
    try:
        return await explainer.explain(
            request.fingerprint, request_id=request.id, pid=pid, why="the plan that a client has asked for"
        )
    except CannotExplainError as error:
        return Refusal(id=request.id, reason=error.reason, advice=error.advice)
