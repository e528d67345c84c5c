"""The senders as one: processes of their own that send a step together, and what they tell added up."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from perftui.ramp.sender import TELL_S, Order, Setup, Told
from perftui.sources.target import TargetError
from perftui_agent.sketch import LatencySketch

PER_PROCESS_RPS = 4000.0
"""What one sender is good for on a slow core; beyond it several share the rate, where there are cores."""

LEAST_S = 0.5
"""What one sender needs is not told from less."""

OURS = ("-m", "perftui.ramp.sender")
"""The sender, as arguments of Python's."""

ENDED = "a process that sends the requests has ended by itself"
ENDED_ADVICE = "what it said last stands above; if nothing, it was killed: see free memory, and try again"


class LoadError(TargetError):
    """The senders can't work."""


@dataclass
class StepTold:
    """What all senders have told of one step, added up."""

    rate: float
    seconds: float
    sent: int = 0
    done: int = 0
    in_time: int = 0
    errors: int = 0
    turned_away: int = 0
    held: int = 0
    unfinished: int = 0
    latency: LatencySketch = field(default_factory=LatencySketch)
    late: LatencySketch = field(default_factory=LatencySketch)
    failures: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    busiest: float = 0.0
    """Of a core, the busiest sender."""
    waited: float = 0.0
    """Of the time, in which one was ready to run and did not get to: the one that waited longest."""
    under_way: int = 0
    """Now, or at the last word."""
    at_s: float = 0.0
    lately: list[Told] = field(default_factory=list)
    """The words of the last second or so."""

    def add(self, told: Told) -> None:
        """Add a word."""
        self.sent += told.sent
        self.done += told.done
        self.in_time += told.in_time
        self.errors += told.errors
        self.turned_away += told.turned_away
        self.held += told.held
        self.unfinished += told.unfinished
        self.latency.merge(told.latency)
        self.late.merge(told.late)
        self.failures.update(told.failures)
        self.cpu_s += told.cpu_s
        self.at_s = max(self.at_s, told.at_s)
        self.lately = [*(each for each in self.lately if each.at_s > told.at_s - 1.0), told]

    def recent(self) -> StepTold:
        """Return what happened in the last second."""
        recent = StepTold(self.rate, 1.0)
        for told in self.lately:
            recent.sent += told.sent
            recent.done += told.done
            recent.errors += told.errors
            recent.latency.merge(told.latency)
            recent.late.merge(told.late)
        return recent

    def quantile_ms(self, q: float) -> float | None:
        """Return a quantile of the latencies, in ms."""
        value = self.latency.quantile(q)
        return None if value is None else value / 1e6


class Pace:
    """How much of a core one sender needs while it sends what counts, and how long it has none."""

    def __init__(self, order: Order) -> None:
        self._from_s, self._to_s = order.warm_s, order.warm_s + order.seconds + TELL_S
        self._at_s = self._whole_s = self._used_s = self._waited_s = 0.0

    def add(self, told: Told) -> None:
        """Add a word, which tells of what was since the one before; what is not counted is left out."""
        if self._from_s <= self._at_s and told.at_s <= self._to_s:
            self._whole_s += told.at_s - self._at_s
            self._used_s += told.cpu_s
            self._waited_s += told.waited_s
        self._at_s = told.at_s

    @property
    def busy(self) -> float:
        """Of a core; 0 where it has sent for too short a time to say."""
        return self._used_s / self._whole_s if self._whole_s > LEAST_S else 0.0

    @property
    def waited(self) -> float:
        """Of the time, in which it was ready to run and did not get to."""
        return self._waited_s / self._whole_s if self._whole_s > LEAST_S else 0.0


class Load:
    """Senders that are up: `async with Load(setup) as load`, then `await load.step(…)`."""

    def __init__(self, setup: Setup, processes: int = 1, command: Sequence[str] = OURS) -> None:
        self._setup = setup
        self._command = command
        self._number = processes
        self._senders: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Load:
        for place in range(self._number):
            sender = await asyncio.create_subprocess_exec(
                sys.executable, *self._command,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=8_000_000,
                # ctrl+c is for whoever gives the orders.
                start_new_session=True,
            )  # fmt: skip
            self._senders.append(sender)
            setup = msgspec.structs.replace(
                self._setup,
                seed=self._setup.seed + 1000 * place,
                most_open=max(self._setup.most_open // self._number, 1),
            )
            await self._say(sender, setup)
        return self

    async def __aexit__(self, *_: object) -> None:
        for sender in self._senders:
            if sender.stdin:
                sender.stdin.close()
        for sender in self._senders:
            try:
                async with asyncio.timeout(2.0):
                    await sender.wait()
            except TimeoutError:
                sender.kill()
                await sender.wait()

    async def step(self, order: Order, seen: Callable[[StepTold], bool]) -> StepTold:
        """Send one step; `seen` is told four times a second, and ends it by returning True."""
        whole = StepTold(order.rate, order.seconds)
        share = msgspec.structs.replace(order, rate=order.rate / self._number)
        for sender in self._senders:
            await self._say(sender, share)
        stopping = False
        under_way: dict[int, int] = {}
        paces = [Pace(order) for _ in self._senders]

        async def follow(place: int, sender: asyncio.subprocess.Process) -> None:
            nonlocal stopping
            assert sender.stdout is not None  # noqa: S101 - it was asked for
            while line := await sender.stdout.readline():
                told = msgspec.json.decode(line, type=Told)
                whole.add(told)
                under_way[place] = told.under_way
                whole.under_way = sum(under_way.values())
                paces[place].add(told)
                whole.busiest = max(pace.busy for pace in paces)
                whole.waited = max(pace.waited for pace in paces)
                if told.last:
                    return
                if not stopping and seen(whole):
                    stopping = True
                    await self.stop()
            raise LoadError(ENDED, ENDED_ADVICE)

        await asyncio.gather(*(follow(place, sender) for place, sender in enumerate(self._senders)))
        return whole

    async def stop(self) -> None:
        """End the step that is going on, at once."""
        for sender in self._senders:
            await self._say(sender, Order())

    async def _say(self, sender: asyncio.subprocess.Process, said: Setup | Order) -> None:
        if sender.stdin is None or sender.returncode is not None:
            raise LoadError(ENDED, ENDED_ADVICE)
        try:
            sender.stdin.write(msgspec.json.encode(said) + b"\n")
            await sender.stdin.drain()
        except ConnectionError:  # that of a pipe would pass for a reader of stdout who has gone
            raise LoadError(ENDED, ENDED_ADVICE) from None


def processes_for(limit_rps: float, cores: int | None = None) -> int:
    """Return how many senders a rate wants, no more than a third of the cores."""
    most = max((cores or os.cpu_count() or 1) // 3, 1)
    return max(1, min(most, -(-int(limit_rps) // int(PER_PROCESS_RPS))))


def pinned_to(cores: Sequence[int], processes: int) -> list[int] | None:
    """Return the processors of the senders: the last ones, where enough are left for the service."""
    return list(cores[-processes:]) if len(cores) >= 4 and processes <= len(cores) // 3 else None
