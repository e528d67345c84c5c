"""Times how responses are made into bytes: FastAPI's `serialize_response`, and `JSONResponse.render`.

The former validates what an endpoint returned and makes it JSON (or what JSON is made of, which the
latter then does). The sum is kept on the request's record, so a request costs no record of its own.
What an endpoint returns as a finished response was made within the endpoint, but for the rendering.
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

_SERIALIZE = "serialize_response"

_current = current_request.get


class SerializationProbe:
    """Wraps FastAPI's function in its module, and Starlette's method on its class."""

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


def _timed_serialize(original: Any) -> Any:
    """Return `original`, timed. What fails is no response, and is not."""

    # To pass on `**kwargs` costs 0.4 µs more: a dictionary of eleven is made and taken apart.
    @functools.wraps(original)
    async def of_known_signature(
        *,
        field: Any = None,
        response_content: Any,
        include: Any = None,
        exclude: Any = None,
        by_alias: bool = True,
        exclude_unset: bool = False,
        exclude_defaults: bool = False,
        exclude_none: bool = False,
        is_coroutine: bool = True,
        endpoint_ctx: Any = None,
        dump_json: bool = False,
    ) -> Any:
        started_ns = perf_counter_ns()
        content = await original(
            field=field,
            response_content=response_content,
            include=include,
            exclude=exclude,
            by_alias=by_alias,
            exclude_unset=exclude_unset,
            exclude_defaults=exclude_defaults,
            exclude_none=exclude_none,
            is_coroutine=is_coroutine,
            endpoint_ctx=endpoint_ctx,
            dump_json=dump_json,
        )
        record = _current()
        if record is None or record.ended_ns or record.doubted:
            record = request_now()  # asked only where the answer may be another: the call costs 0.3 µs
        if record is not None:
            record.serialize_started_ns = started_ns
            record.serialize_ns = perf_counter_ns() - started_ns
        return content

    @functools.wraps(original)
    async def of_any_signature(*args: Any, **kwargs: Any) -> Any:
        started_ns = perf_counter_ns()
        content = await original(*args, **kwargs)
        record = request_now()
        if record is not None:
            record.serialize_started_ns = started_ns
            record.serialize_ns = perf_counter_ns() - started_ns
        return content

    same = _parameters(of_known_signature) == _parameters(original)
    return of_known_signature if same else of_any_signature


def _parameters(function: Any) -> list[tuple[str, object]]:
    parameters = inspect.signature(function, follow_wrapped=False).parameters.values()
    return [(parameter.name, parameter.default) for parameter in parameters]


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
