"""What the app's threads hand over reaches the agent's thread, all of it and once."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from perftui_agent.handover import MAX_WAITING, count, hand_over, take_counted, take_parts
from perftui_agent.records import RequestPart, RequestRecord, Shape, SpanRecord

THREADS = 6
EACH = 4_000


@pytest.fixture(autouse=True)
def threads_that_take_turns_at_every_chance() -> Iterator[None]:
    """Have threads let each other run as often as the interpreter can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def in_threads(work: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


def test_parts_by_many_threads_arrive_once() -> None:
    """While another takes out what is there, and the request ends in the midst of it."""
    record = RequestRecord()
    refused = [0] * THREADS

    def work(number: int) -> None:
        for moment in range(EACH):
            part = SpanRecord(None, "sql", str(number), moment, moment + 1)
            refused[number] += not hand_over(record, part)

    taken: list[RequestPart] = []
    threads = in_threads(work)
    while len(taken) < THREADS * EACH // 2 and any(thread.is_alive() for thread in threads):
        taken += take_parts(record)
    record.ended_ns = 1
    taken += take_parts(record)
    for thread in threads:
        thread.join()
    assert take_parts(record) == [], "nobody leaves anything with a request that is over"
    assert len(taken) + sum(refused) == THREADS * EACH
    parts = [part for part in taken if isinstance(part, SpanRecord)]
    by_thread = {name: [part.started_ns for part in parts if part.name == name] for name in "012345"}
    assert all(len(set(moments)) == len(moments) for moments in by_thread.values())


def test_what_many_threads_count_is_the_sum_of_what_each_counts() -> None:
    """For several statements, of which some are met while others count the same one."""
    record = RequestRecord()
    shapes = [Shape(str(number), "SELECT", str(number)) for number in range(50)]
    refused = [0] * THREADS

    def work(number: int) -> None:
        for moment in range(EACH):
            refused[number] += not count(record, shapes[moment % 50], moment)

    taken: dict[Shape, list[int]] = {}

    def take() -> None:
        for shape, took_ns in take_counted(record):
            taken.setdefault(shape, []).extend(took_ns)

    threads = in_threads(work)
    while sum(map(len, taken.values())) < THREADS * EACH // 2 and any(
        thread.is_alive() for thread in threads
    ):
        take()
    record.ended_ns = 1
    take()
    for thread in threads:
        thread.join()
    take()
    assert sum(map(len, taken.values())) + sum(refused) == THREADS * EACH


def test_a_request_has_only_so_much_waiting() -> None:
    """Beyond that it goes the way that has room for all requests together."""
    record = RequestRecord()
    handed = [hand_over(record, SpanRecord(None, "sql", "s", 0, 1)) for _ in range(MAX_WAITING + 5)]
    assert handed == [True] * MAX_WAITING + [False] * 5
    assert len(take_parts(record)) == MAX_WAITING
    assert hand_over(record, SpanRecord(None, "sql", "s", 0, 1))


def test_nothing_is_left_with_a_request_that_is_over() -> None:
    """Whether or not it has left anything before."""
    for before in (0, 1):
        record = RequestRecord()
        for _ in range(before):
            assert hand_over(record, SpanRecord(None, "sql", "s", 0, 1))
            assert count(record, Shape("f", "SELECT", "s"), 1)
        record.ended_ns = 1
        assert not hand_over(record, SpanRecord(None, "sql", "s", 0, 1))
        assert not count(record, Shape("f", "SELECT", "s"), 1)
