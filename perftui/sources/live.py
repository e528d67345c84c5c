"""Workers that run: those on this host each over its own Unix socket, others by a remote door.

Finds the workers that the targets mean, follows the stream of each, and keeps watching: a new worker
joins, a dead one is gone and leaves its last words, a dropped connection is made again. Yields what
happened, in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from types import TracebackType

from perftui.clock import AXIS, now
from perftui.model.events import (
    ClockStepped,
    EvidenceKept,
    FrameReceived,
    LinkChanged,
    SourceEvent,
    WorkerFound,
    WorkerGone,
    WorkerJoined,
)
from perftui.sources.absent import explain, only_service
from perftui.sources.dead import Dead
from perftui.sources.discovery import discover
from perftui.sources.host import Host, ThisHost
from perftui.sources.match import matches, matching
from perftui.sources.news import News
from perftui.sources.placing import Placing
from perftui.sources.session import Phase, Session, Sign, retry_after_s
from perftui.sources.stream import (
    LOST,
    EarlierFrames,
    KeptEvidence,
    NotAnsweredError,
    Stream,
    Told,
    WrongWireError,
    wrong_wire,
)
from perftui.sources.target import LiveTarget, LocalTarget, RemoteTarget, TargetError, local_among, parse_live
from perftui.sources.token import TOKEN, usable
from perftui_agent.wire.actions import Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.frames import WIRE_VERSION, Frame, Hello
from perftui_agent.wire.messages import ActionRequest, ActionResult
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import Registration

WATCH_S = 0.5
"""How often the registrations are read: a new worker joins within 2 s."""

STEP_S = 1.0
"""A wall clock that has moved by more against the one that nobody sets was stepped."""

REGISTERING_S = 2.0
"""How long a worker that just started may take to know the addresses it listens on."""


async def find(
    targets: Sequence[LocalTarget], where: Sequence[Path] | None = None
) -> tuple[tuple[LocalTarget, ...], list[Registration]]:
    """Return the targets (the only service's, when none is named) and the workers they mean.

    Raises `TargetError` if one of them means nothing, or its workers can't be talked to.
    """
    wanted = tuple(targets)
    deadline = time.monotonic() + REGISTERING_S
    while True:
        discovery = discover(where)
        known = discovery.registrations
        missing = [target for target in wanted if not any(matches(target, each) for each in known)]
        if wanted and not missing:
            break
        # A worker that has just started may not know yet where it listens.
        if all(each.tcp or each.unix for each in known) or time.monotonic() > deadline:
            if missing:
                raise explain(missing[0], discovery)
            wanted = local_among(parse_live([only_service(discovery).target]))
            break
        await asyncio.sleep(0.1)
    found = matching(wanted, known)
    if all(each.wire != WIRE_VERSION for each in found):
        sentence, _, mend = wrong_wire(found[0].worker.pid, found[0].wire).partition(": ")
        raise TargetError(sentence, mend)
    return wanted, found


async def reachable(targets: Sequence[LiveTarget]) -> tuple[LiveTarget, ...]:
    """Return the targets, the only service's when none is named, once all of them answer; see `find`."""
    for target in targets:
        if isinstance(target, RemoteTarget):
            async with _behind(target):
                pass
    local = local_among(targets)
    return tuple(targets) if targets and not local else (*(await find(local))[0], *_remote_among(targets))


def _behind(target: RemoteTarget) -> AbstractAsyncContextManager[Host]:
    """Return what is behind a remote door, to be entered."""
    from perftui.sources.remote import remote_host  # noqa: PLC0415 - 4 ms, before the first picture of others

    return remote_host(target, usable(target, TOKEN.get()))


def _remote_among(targets: Sequence[LiveTarget]) -> list[RemoteTarget]:
    return [target for target in targets if isinstance(target, RemoteTarget)]


class LiveSource:
    """The live workers that `targets` mean: `async with` it, then iterate over its events."""

    def __init__(
        self,
        targets: Sequence[LiveTarget],
        *,
        where: Sequence[Path] | None = None,
        head_start_s: float = 0.0,
        listens: bool = False,
        gone: Sequence[Dead] = (),
    ) -> None:
        self._gone = tuple(gone)
        """Workers of the targets that are no more: they are told of first, and who comes is waited for."""
        self._listens = listens
        """Whether what others ask the workers for is to be told of, too."""
        self.targets = tuple(targets)
        self.session = Session()
        self._where = where
        self._head_start_s = head_start_s
        self._placings: dict[WorkerId, Placing] = {}
        self._news = News(head_start_s, lambda worker, frame: self._placings[worker].place(frame))
        self._stack = AsyncExitStack()
        self._hosts: list[Host] = []
        self._host_of: dict[WorkerId, Host] = {}
        self._streams: dict[WorkerId, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._heard = asyncio.Event()
        self._wall_ahead_s = AXIS.wall_ahead_s()

    @property
    def name(self) -> str:
        """What is looked at, as one would type it."""
        return " ".join(map(str, self.targets))

    async def __aenter__(self) -> LiveSource:
        """Find the workers and begin to follow them; `TargetError` if there are none."""
        try:
            for target in self.targets:
                if isinstance(target, RemoteTarget):
                    await self._follow_all_on(await self._stack.enter_async_context(_behind(target)))
            if (local := local_among(self.targets)) or not self.targets:
                wanted = local if self._gone else (await find(local, self._where))[0]
                self.targets = self.targets or wanted
                await self._tell_of_the_gone()
                await self._follow_all_on(ThisHost(wanted, self._where))
        except BaseException:
            await self._leave()
            raise
        self._start(self._watch())
        self._start(self._tell_of_the_dead())
        return self

    async def _tell_of_the_gone(self) -> None:
        for one in self._gone:
            worker, at = one.hello.worker, time.monotonic()
            await self._news.put(WorkerFound(worker, now()))
            await self._news.put(WorkerJoined(one.hello, now()))
            if one.evidence:
                await self._news.put(EvidenceKept(worker.id, one.evidence, now()))
            await self._news.put(WorkerGone(worker.id, one.last_at))
            self._news.leave(worker.id, one.frames)
            await self._enter(self.session.found(worker.id, at).seen(worker.id, "died", at))

    async def _follow_all_on(self, host: Host) -> None:
        self._hosts.append(host)
        for registration in host.living():
            await self._add(registration, host)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    def __aiter__(self) -> LiveSource:
        return self

    async def __anext__(self) -> SourceEvent:
        return await self._news.next()

    def look_back(self) -> None:
        """Tell of the past from now on, before the `head_start_s` of the first picture are over."""
        self._news.look_back()

    def phase(self, worker: WorkerId) -> Phase | None:
        """Return how a worker stands now; None if there is no such worker."""
        self.session = self.session.at(time.monotonic())
        return self.session.phase(worker)

    def workers(self) -> tuple[Registration, ...]:
        """Return the workers that aren't gone."""
        return tuple(
            stream.registration
            for worker, stream in self._streams.items()
            if self.session.phase(worker) != "gone"
        )

    async def ask(
        self,
        worker: WorkerId,
        request: ActionRequest,
        timeout_s: float,
        told: Callable[[Progress], None] | None = None,
        finish: asyncio.Event | None = None,
    ) -> ActionResult | Refusal:
        """Ask a worker's agent; `NotAnsweredError` if it doesn't answer."""
        if (stream := self._streams.get(worker)) is None:
            raise NotAnsweredError(f"{worker} is not followed")
        return await stream.ask(request, timeout_s, told, finish)

    def keep(self, workers: Collection[WorkerId], kind: str) -> None:
        """Have workers keep the seconds around now, for a finding that began, before newer overwrite them."""
        for worker in workers:
            if (stream := self._streams.get(worker)) is not None:
                self._start(stream.keep(kind))

    async def settled(self, longest_s: float) -> None:
        """Return when every worker has been heard or is gone, or after `longest_s`."""
        deadline = time.monotonic() + longest_s
        while "connecting" in map(self.phase, self._streams) and (left := deadline - time.monotonic()) > 0:
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._heard.wait()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_S)
            seen: set[WorkerId] = set()
            for host in self._hosts:
                for registration in host.living():
                    seen.add(registration.worker.id)
                    await self._add(registration, host)
            # Who has just been found alive need not be looked at again: of sixteen that is half of a look.
            for worker, stream in self._streams.items():
                if worker not in seen and self.session.phase(worker) != "gone" and self._is_dead(stream):
                    await self._sign(worker, "died")
            await self._look_at_the_clock()
            await self._enter(self.session.at(time.monotonic()))

    async def _look_at_the_clock(self) -> None:
        ahead_s = AXIS.wall_ahead_s()
        if abs(ahead_s - self._wall_ahead_s) > STEP_S:
            await self._news.put(ClockStepped(ahead_s - self._wall_ahead_s, now()))
            self._wall_ahead_s = ahead_s

    def _is_dead(self, stream: Stream) -> bool:
        host = self._host_of[stream.worker.id]
        return host.is_dead(stream.registration, connected=stream.connected)

    async def _add(self, registration: Registration, host: Host) -> None:
        worker = registration.worker.id
        if worker in self._streams:
            # It may have had to register, and to listen, somewhere else.
            self._streams[worker].registration = registration
            return
        self._host_of[worker] = host
        stream = Stream(registration, self._news.turn, host.connect, listens=self._listens)
        self._streams[worker] = stream
        self._placings[worker] = Placing(registration.worker)
        await self._news.put(WorkerFound(registration.worker, now()))
        await self._enter(self.session.found(worker, time.monotonic()))
        self._start(self._follow(stream))

    async def _follow(self, stream: Stream) -> None:
        worker = stream.worker.id

        async def tell(message: Told) -> None:
            at = now()
            match message:
                case Hello():
                    self._placings[worker].greet(message)
                    await self._news.put(WorkerJoined(message, at))
                case Frame():
                    stream.last_seq = message.seq
                    frame, step_s = self._placings[worker].place_live(message)
                    if step_s:
                        await self._news.put(ClockStepped(step_s, at, worker))
                    await self._news.put(FrameReceived(worker, frame, at))
                case KeptEvidence():
                    await self._news.put(EvidenceKept(worker, message.evidence, at))
                case EarlierFrames():
                    await self._news.keep(worker, message.data)
            await self._sign(worker, "heard")

        while True:
            try:
                await stream.follow(tell)
            except WrongWireError:
                return
            except LOST:
                pass
            if not await self._still_there(stream):
                return
            self._news.forget(worker)
            await self._sign(worker, "dropped")
            drops = self.session.workers[worker].drops
            await asyncio.sleep(retry_after_s(drops, random.random()))  # noqa: S311 - spreads load, keeps no secret
            if not await self._still_there(stream):
                return

    async def _still_there(self, stream: Stream) -> bool:
        if not self._is_dead(stream):
            return True
        await self._sign(stream.worker.id, "died")
        return False

    async def _sign(self, worker: WorkerId, sign: Sign) -> None:
        before = self.session.phase(worker)
        session = self.session.seen(worker, sign, time.monotonic())
        if sign == "died" and before != "gone":
            await self._news.put(WorkerGone(worker, now()))
            self._start(self._tell_last_words(self._streams[worker]))
        await self._enter(session)

    async def _tell_last_words(self, stream: Stream) -> None:
        """Tell of the frames that a dead worker wrote down and could not send any more."""
        worker = stream.worker
        frames = await self._host_of[worker.id].frames_left_by(worker, stream.last_seq)
        placed = [self._placings[worker.id].place(frame) for frame in frames]
        self._news.leave(worker.id, placed)

    async def _tell_of_the_dead(self) -> None:
        """Tell what workers of these services have kept that were gone before anybody looked."""
        await asyncio.sleep(self._head_start_s)
        for host in self._hosts:
            followed = [
                stream.worker for stream in self._streams.values() if self._host_of[stream.worker.id] is host
            ]
            for left in await host.evidence_left(followed):
                if left.worker.id not in self._streams:
                    await self._news.put(EvidenceKept(left.worker.id, left.evidence, now()))

    async def _enter(self, session: Session) -> None:
        before, self.session = self.session, session
        self._heard.set()
        if session.link != before.link:
            await self._news.put(LinkChanged(session.link, now()))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
