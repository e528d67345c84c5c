"""Times how responses are made into bytes: what FastAPI does between the endpoint and its response.

It asks for a response's arguments when an endpoint has returned (`_build_response_args`), validates what that
was and makes it JSON, makes the response, and asks whether one of its status has a body
(`is_body_allowed_for_status_code`). So the time is from the one question to the other: both are plain
functions with next to no arguments, where a wrapper of `serialize_response` in between is another coroutine
that passes eleven on. A FastAPI that does not ask so has that wrapped. What fails on the way is no response,
and takes no time. The time is kept on the record of the request, so a request costs no record of its own.

What an endpoint returns as a finished response was made within the endpoint, but for the rendering, which is
`JSONResponse.render`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from time import perf_counter_ns
from typing import Any

from perftui_agent.probes.probe import NOT_IMPORTED, ON, ProbeStatus
from perftui_agent.records import current_request
from perftui_agent.whose import request_now
from perftui_agent.wire.frames import Frame

_BEGINS, _ENDS, _SERIALIZE = "_build_response_args", "is_body_allowed_for_status_code", "serialize_response"
"""Functions of `fastapi.routing`."""

_current = current_request.get


class SerializationProbe:
    """Wraps FastAPI's functions in their module, and Starlette's method on its class."""

    name = "serialization"

    def __init__(self) -> None:
        self._replaced: list[tuple[Any, str, Any, Any]] = []
        """Owner, name, original and what stands there now."""

    def attach(self) -> ProbeStatus:
        """Wrap them once the app has imported FastAPI."""
        routing = sys.modules.get("fastapi.routing")
        responses = sys.modules.get("starlette.responses")
        if routing is None or responses is None:
            return NOT_IMPORTED
        if self._replaced:
            return ON
        serialize = getattr(routing, _SERIALIZE, None)
        if not inspect.iscoroutinefunction(serialize):
            return f"off: a FastAPI without {_SERIALIZE}"
        begins, ends = getattr(routing, _BEGINS, None), getattr(routing, _ENDS, None)
        if _parameters(begins) == ["status_code", "solved_result"] and _parameters(ends) == ["status_code"]:
            self._replace(routing, _BEGINS, _beginning(begins))
            self._replace(routing, _ENDS, _ending(ends))
        else:
            self._replace(routing, _SERIALIZE, _timed_serialize(serialize))
        json_response = getattr(responses, "JSONResponse", None)
        if json_response is not None and inspect.isfunction(vars(json_response).get("render")):
            self._replace(json_response, "render", _timed_render(json_response.render))
        return ON

    def detach(self) -> None:
        """Put the originals back, where nobody else has wrapped ours meanwhile."""
        while self._replaced:
            owner, name, original, wrapper = self._replaced.pop()
            if vars(owner).get(name) is wrapper:
                setattr(owner, name, original)

    def fill(self, frame: Frame) -> None:
        """Nothing is read: what was measured came with the requests."""

    def _replace(self, owner: Any, name: str, wrapper: Any) -> None:
        self._replaced.append((owner, name, vars(owner)[name], wrapper))
        setattr(owner, name, wrapper)


def _beginning(original: Any) -> Any:
    """Return what FastAPI asks when an endpoint has returned."""

    @functools.wraps(original)
    def begins(*, status_code: Any, solved_result: Any) -> Any:
        record = _current()
        if record is not None and (record.ended_ns or record.doubted):
            record = request_now()  # asked only where the answer may be another: the call costs 0.3 µs
        if record is not None:
            record.returned_ns = perf_counter_ns()
        return original(status_code=status_code, solved_result=solved_result)

    return begins


def _ending(original: Any) -> Any:
    """Return what it asks when it has made the response."""

    @functools.wraps(original)
    def ends(status_code: Any) -> Any:
        record = _current()
        if record is not None and (record.ended_ns or record.doubted):
            record = request_now()
        if record is not None and record.returned_ns:
            # What rendering has added by now lies in between.
            record.serialize_started_ns = returned_ns = record.returned_ns
            record.serialize_ns = perf_counter_ns() - returned_ns
        return original(status_code)

    return ends


def _timed_serialize(original: Any) -> Any:

    @functools.wraps(original)
    async def serialize(*args: Any, **kwargs: Any) -> Any:
        started_ns = perf_counter_ns()
        content = await original(*args, **kwargs)
        record = request_now()
        if record is not None:
            record.serialize_started_ns = started_ns
            record.serialize_ns = perf_counter_ns() - started_ns
        return content

    return serialize


def _parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters) if inspect.isfunction(function) else []


def _timed_render(original: Any) -> Any:

    @functools.wraps(original)
    def render(self: Any, content: Any) -> Any:
        started_ns = perf_counter_ns()
        body = original(self, content)
        record = request_now()
        if record is not None:
            if not record.serialize_ns:
                record.serialize_started_ns = started_ns
            record.serialize_ns += perf_counter_ns() - started_ns
        return body

    return render
