"""All the probes of one life of the agent: here they are made, with what each needs of the others."""

from __future__ import annotations

from collections.abc import Callable

from perftui_agent.belongings import Belongings
from perftui_agent.listeners import ListeningSocket
from perftui_agent.probes.caches.probe import CacheProbe
from perftui_agent.probes.caches.redis import RedisProbe
from perftui_agent.probes.http.changes import RoutesProbe
from perftui_agent.probes.http.channels import ChannelProbe
from perftui_agent.probes.http.in_flight import InFlightProbe
from perftui_agent.probes.http.long_polls import LongPolls
from perftui_agent.probes.http.serialization import SerializationProbe
from perftui_agent.probes.http_client.aiohttp import AiohttpProbe
from perftui_agent.probes.http_client.httpx import HttpxProbe
from perftui_agent.probes.http_client.httpx2 import httpx2_probe
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.probes.loop.event_loop import LoopProbe
from perftui_agent.probes.loop.executors import ExecutorProbe
from perftui_agent.probes.loop.gil import GilProbe
from perftui_agent.probes.loop.multiprocessing_threads import MultiprocessingThreads
from perftui_agent.probes.loop.threadpool import ThreadpoolProbe
from perftui_agent.probes.machine.accept_queue import AcceptQueueProbe
from perftui_agent.probes.machine.contention import ContentionProbe
from perftui_agent.probes.machine.garbage import GarbageProbe
from perftui_agent.probes.machine.process import ProcessProbe
from perftui_agent.probes.probe import Probe
from perftui_agent.probes.probe_set import ProbeSet
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.probes.work.arq import ArqProbe
from perftui_agent.probes.work.background_tasks import BackgroundTaskProbe
from perftui_agent.probes.work.celery import CeleryProbe
from perftui_agent.probes.work.outliving import OutlivingProbe
from perftui_agent.probes.work.taskiq import TaskiqProbe


class EveryProbe:
    """Those of which something is asked between frames, by name, and the set of all."""

    def __init__(self, own: Belongings, listening: Callable[[], list[ListeningSocket]]) -> None:
        settings, window, guard = own.settings, own.window, own.guard
        self.loop = LoopProbe(settings.block_ms, window, own.pace)
        self.gil = GilProbe(self.loop, guard)
        self.process = ProcessProbe()
        self.pool = PoolProbe(window, guard, own.engines, own.holders)
        self.accept_queue = AcceptQueueProbe(listening)
        self.channels = ChannelProbe(window)
        self.outliving = OutlivingProbe(window, guard, self.loop)
        own.pace.at_each_tick = self.outliving.look_from_loop
        probes: list[Probe] = [
            self.loop,
            self.gil,
            own.arrivals,
            own.sides,
            self.process,
            ContentionProbe(),
            self.accept_queue,
            ExecutorProbe(window, guard),
            MultiprocessingThreads(window, guard),
            BackgroundTaskProbe(window, guard),
            self.outliving,
            CeleryProbe(window, guard),
            TaskiqProbe(window, guard),
            ArqProbe(window, guard),
            ThreadpoolProbe(window, guard, self.loop),
            GarbageProbe(),
            InFlightProbe(window, self.loop, LongPolls(settings.long_polls), self.pool.who_holds),
            self.channels,
            RoutesProbe(guard),
            SerializationProbe(),
            SqlAlchemyProbe(
                window,
                guard,
                settings.slow_query_ms,
                keeps_runs=settings.actions and settings.sql_text == "shape",
            ),
            self.pool,
            CacheProbe(window, guard),
            RedisProbe(window, guard),
            HttpxProbe(window, guard),
            httpx2_probe(window, guard),
            AiohttpProbe(window, guard),
            Urllib3Probe(window, guard),
        ]
        self.set = ProbeSet(probes, guard)

    @property
    def may_rest(self) -> bool:
        """Whether a sign of life may come later than at the next beat."""
        return self.loop.may_rest and self.channels.may_rest

    def look(self) -> None:
        """Look at what may not wait for the frame; called on the agent's thread at each beat."""
        self.loop.look()
        self.gil.look()
        self.accept_queue.look(drains=self.loop.turns_in_time)
        self.channels.look()
        self.outliving.look_from_beside()
