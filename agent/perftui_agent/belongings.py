"""What belongs to the agent from its making on: each life of its thread works with the same."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable

from perftui_agent.engines import Engines
from perftui_agent.guard import Guard
from perftui_agent.probes.http.arrival import Arrivals
from perftui_agent.probes.http.server_side import ServerSides
from perftui_agent.probes.loop.pace import LoopPace
from perftui_agent.probes.sql.holders import Holders
from perftui_agent.serve.endpoint import RemoteDoor
from perftui_agent.settings import Settings
from perftui_agent.window.window import Window


class Belongings:
    """Where the app's threads put what they saw, what they were told, and what is known of the process."""

    def __init__(self, loop: Callable[[], AbstractEventLoop | None], start: Callable[[], None]) -> None:
        self.guard = Guard()
        self.window = Window()
        self.engines = Engines()
        self.holders = Holders(loop)
        self.pace = LoopPace()
        self.sides = ServerSides(self.guard)
        self.arrivals = Arrivals(self.pace, self.window, self.guard)
        self.door = RemoteDoor(self.guard, start)
        self.settings = Settings()
        self.service = ""
        self.version = ""
