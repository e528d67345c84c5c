"""All that goes over a worker's socket, in either direction."""

from __future__ import annotations

from typing import TypeAlias

from perftui_agent.wire.actions import Finish, Memory, MemoryRequest, Profile, ProfileRequest, Progress
from perftui_agent.wire.frames import Dump, DumpRequest, Frame, Hello, History, Refusal

ActionRequest: TypeAlias = DumpRequest | ProfileRequest | MemoryRequest
"""What a client may ask to be done."""

ActionResult: TypeAlias = Dump | Profile | Memory
"""What it gets for it, if not a `Refusal`."""

FromAgent: TypeAlias = Hello | Frame | History | Progress | Dump | Profile | Memory | Refusal
"""What a client may receive."""

FromClient: TypeAlias = DumpRequest | ProfileRequest | MemoryRequest | Finish
"""What an agent may receive."""
