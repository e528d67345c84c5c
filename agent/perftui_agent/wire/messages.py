"""All that goes over a worker's socket, in either direction."""

from __future__ import annotations

from typing import TypeAlias

from perftui_agent.wire.actions import (
    Finish,
    Functions,
    FunctionsRequest,
    Memory,
    MemoryRequest,
    Profile,
    ProfileRequest,
    Progress,
)
from perftui_agent.wire.database import Database, DatabaseRequest
from perftui_agent.wire.dumps import Dump, DumpRequest, Refusal
from perftui_agent.wire.explain import ExplainRequest, Explanation
from perftui_agent.wire.frames import Frame, Hello, History
from perftui_agent.wire.keep import Keep
from perftui_agent.wire.listen import Listen
from perftui_agent.wire.standing import Standing, StandingRequest

ActionRequest: TypeAlias = (
    DumpRequest
    | ProfileRequest
    | MemoryRequest
    | FunctionsRequest
    | StandingRequest
    | DatabaseRequest
    | ExplainRequest
)
"""What a client may ask to be done."""

ActionResult: TypeAlias = Dump | Profile | Memory | Functions | Standing | Database | Explanation
"""What it gets for it, if not a `Refusal`."""

FromAgent: TypeAlias = (
    Hello
    | Frame
    | History
    | Progress
    | Dump
    | Profile
    | Memory
    | Functions
    | Standing
    | Database
    | Explanation
    | Refusal
)
"""What a client may receive."""

FromClient: TypeAlias = (
    DumpRequest
    | ProfileRequest
    | MemoryRequest
    | FunctionsRequest
    | StandingRequest
    | DatabaseRequest
    | ExplainRequest
    | Finish
    | Keep
    | Listen
)
"""What an agent may receive."""
