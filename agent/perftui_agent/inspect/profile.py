"""The profile of a worker: where its threads spend their time, for some seconds.

Takes a request, gives a `Profile`, or a `Refusal` that says why there is none. Two engines: py-spy, exact and
from outside; and the agent's own sampler, where py-spy may not trace or each sample is to name its request.
Meanwhile it tells what it has seen so far; whoever asked may end it early and gets that.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from perftui_agent.inspect.process_state import read_state, resume_if_left_stopped, threads_in
from perftui_agent.inspect.pyspy_record import Recorded, Recording
from perftui_agent.inspect.refusals import refusal_of
from perftui_agent.inspect.sampler import Eyes, Sampler
from perftui_agent.inspect.seen import Seen, add_spied, sampled, told
from perftui_agent.inspect.spy_output import Failure
from perftui_agent.inspect.text import printable
from perftui_agent.wire.actions import (
    HIGHEST_RATE_HZ,
    LONGEST_PROFILE_S,
    Profile,
    ProfileRequest,
    Progress,
)
from perftui_agent.wire.dumps import Refusal

Tell: TypeAlias = Callable[[Progress], Awaitable[None]]
"""Takes what is to be told while it goes on."""

TELL_EVERY_S = 1.0

SEGMENTS_S = (2.0, 4.0, 8.0)
"""How long py-spy samples before it is asked what it has seen, the last again and again: a start of it costs
a tenth of a second, and between two the rate can change."""

LOWEST_RATE_HZ = 5
RATE_BY_THREADS = 500
"""py-spy stops the process for each thread it reads: at 100 Hz 45 threads cost half the throughput."""

SAMPLER_RATE_HZ = 50

_ANY_THREADS = "RSDTtWKPXZI"


async def take_profile(
    request: ProfileRequest, pid: int, *, eyes: Eyes | None, tell: Tell, finish: asyncio.Event
) -> Profile | Refusal:
    """Return a profile of `pid`; `eyes` see the app if that is this very process, else None.

    The process isn't left stopped when this returns, raises or is cancelled.
    """
    for_s = min(max(request.for_s, 0.1), LONGEST_PROFILE_S)
    rate_hz = min(max(request.rate_hz, 1), HIGHEST_RATE_HZ)
    by_sampler = request.by_route or request.engine == "sampler"
    if not by_sampler:
        answer = await _by_spy(request, pid, for_s, rate_hz, tell, finish)
        if not isinstance(answer, Refusal) or request.engine == "py-spy" or eyes is None:
            return answer
        if request.mode == "gil":
            return answer
        because = f"{answer.reason} ({answer.advice})"
    elif eyes is None:
        return Refusal(
            id=request.id,
            reason=f"only worker {pid} itself can join samples with requests, and it does not answer",
            advice="without routes: perftui profile --worker " + str(pid),
        )
    elif request.mode == "gil":
        return Refusal(
            id=request.id,
            reason="who holds the GIL can't be told from inside, and with requests only from there",
            advice="by request: --mode cpu; by GIL: without --route",
        )
    else:
        because = "only it knows the requests" if request.by_route else "asked for"
    return await _by_sampler(request, pid, for_s, rate_hz, eyes, tell, finish, because)


async def _by_spy(
    request: ProfileRequest, pid: int, for_s: float, rate_hz: int, tell: Tell, finish: asyncio.Event
) -> Profile | Refusal:
    taken_at, began = time.time_ns(), time.monotonic()
    before = read_state(pid)
    if before is None:
        return refusal_of(Failure.GONE, request.id, pid)
    if before.is_stopped:
        return refusal_of(Failure.STOPPED, request.id, pid)
    threads = len(threads_in(pid, _ANY_THREADS)) or 1
    rate_hz = min(rate_hz, max(RATE_BY_THREADS // threads, LOWEST_RATE_HZ))
    seen: Seen = {}
    missed = 0
    notes: dict[str, None] = {}
    if rate_hz < request.rate_hz:
        notes[f"{rate_hz} Hz for its {threads} threads"] = None

    def profile() -> Profile:
        frames, stacks, cut = told(seen)
        return Profile(
            id=request.id,
            pid=pid,
            taken_at=taken_at,
            took_ns=int((time.monotonic() - began) * 1e9),
            engine="py-spy",
            because="it may trace here",
            mode=request.mode,
            rate_hz=rate_hz,
            samples=sum(stack.count for stack in stacks),
            missed=missed,
            frames=frames,
            stacks=stacks,
            stacks_cut=cut,
            note="; ".join(notes),
        )

    segment = 0
    try:
        while not finish.is_set() and (left_s := for_s - (time.monotonic() - began)) > 0.05:
            seconds = min(SEGMENTS_S[min(segment, len(SEGMENTS_S) - 1)], left_s)
            segment += 1
            recorded = await _recorded(pid, seconds, rate_hz, request.mode, finish)
            if recorded.failure is not None:
                if seen:
                    notes[f"ended early: {refusal_of(recorded.failure, request.id, pid).reason}"] = None
                    break
                return refusal_of(recorded.failure, request.id, pid, printable(recorded.detail, 200))
            add_spied(seen, recorded.stacks, 1_000_000_000 // rate_hz)
            missed += recorded.unread
            if recorded.too_much and rate_hz > LOWEST_RATE_HZ:
                rate_hz = max(rate_hz // 2, LOWEST_RATE_HZ)
                notes[f"lowered to {rate_hz} Hz: py-spy could not keep up"] = None
            await _tell(tell, profile(), for_s)
    finally:
        mended = resume_if_left_stopped(before)
        if mended:
            notes[mended] = None
    return profile()


async def _recorded(pid: int, seconds: float, rate_hz: int, mode: str, finish: asyncio.Event) -> Recorded:
    """Return one segment, shorter if it is to end early."""
    recording = Recording()
    run = asyncio.ensure_future(recording.run(pid, seconds=seconds, rate_hz=rate_hz, mode=mode))
    early = asyncio.ensure_future(finish.wait())
    try:
        await asyncio.wait({run, early}, return_when=asyncio.FIRST_COMPLETED)
        if early.done():
            recording.finish()
        return await run
    finally:
        early.cancel()
        if not run.done():
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)


async def _by_sampler(
    request: ProfileRequest,
    pid: int,
    for_s: float,
    rate_hz: int,
    eyes: Eyes,
    tell: Tell,
    finish: asyncio.Event,
    because: str,
) -> Profile | Refusal:
    taken_at = time.time_ns()
    sampler = Sampler(eyes, rate_hz=min(rate_hz, SAMPLER_RATE_HZ), working_only=request.mode == "cpu")
    tally = sampler.tally

    def profile() -> Profile:
        # One call of C, so that the sampler's thread adds nothing in between.
        frames, stacks, cut = told(sampled(dict(tally.stacks)))
        return Profile(
            id=request.id,
            pid=pid,
            taken_at=taken_at,
            took_ns=(tally.ended_ns or time.perf_counter_ns()) - tally.began_ns,
            engine="sampler",
            because=because,
            mode=request.mode,
            rate_hz=tally.rate_hz,
            samples=tally.samples,
            missed=tally.missed,
            attributed=tally.attributed / tally.working if tally.working else None,
            frames=frames,
            stacks=stacks,
            stacks_cut=cut + tally.cut,
        )

    try:
        sampler.start()
    except RuntimeError as error:
        return Refusal(id=request.id, reason=f"no thread can be started for the sampler: {error}")
    until = time.monotonic() + for_s
    try:
        while not finish.is_set() and not sampler.ended and (left_s := until - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(finish.wait(), min(left_s, TELL_EVERY_S))
            await _tell(tell, profile(), for_s)
    finally:
        sampler.stop()
    while not sampler.ended:  # noqa: ASYNC110 - a thread's end, within one sample
        await asyncio.sleep(0.002)
    if sampler.fault is not None and not tally.samples:
        return Refusal(id=request.id, reason=f"the sampler failed: {type(sampler.fault).__name__}")
    return profile()


async def _tell(tell: Tell, profile: Profile, for_s: float) -> None:
    done = min(profile.took_ns / 1e9 / for_s, 1.0)
    await tell(Progress(id=profile.id, done=done, text=f"{profile.samples} samples", profile=profile))
