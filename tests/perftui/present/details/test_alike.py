"""What is the same in several threads and workers is told once."""

from __future__ import annotations

from msgspec.structs import replace

from perftui.present.details.alike import tasks_alike, threads_alike
from perftui.present.details.dump import dumps_rows
from perftui.present.documents.dumps import alike_document, dump_document
from perftui.present.documents.stacks import stacks
from perftui.present.text.cells import text_of
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump, WaitingTasks
from tests.support.fake_dump import blocked_dump


def frame(function: str, line: int = 1, file: str = "/srv/shop/app/crud.py") -> StackFrame:
    return StackFrame(function=function, file=file, line=line, short_file="app/crud.py")


def thread(name: str, *frames: StackFrame, number: int = 1, **what: object) -> ThreadDump:
    return replace(ThreadDump(name=name, thread_id=number, frames=list(frames)), **what)


def dump(pid: int, *threads: ThreadDump, tasks: list[WaitingTasks] | None = None, **what: object) -> Dump:
    made = Dump(
        id="1", pid=pid, taken_at=0, took_ns=1, taken_by=pid, threads=list(threads), tasks=tasks or []
    )
    return replace(made, **what)


def waiting(count: int, line: int, **what: object) -> WaitingTasks:
    inner = frame("Queue.get", file="/usr/lib/python3.12/asyncio/queues.py")
    return replace(
        WaitingTasks(frames=[inner, frame("take", line)], count=count, waits_for="Queue.get"), **what
    )


def test_stacks_that_are_the_same_are_one_with_who_is_in_them() -> None:
    """Of one pool in one worker, and of all workers; another line is another stack."""
    sync = [
        thread(f"AnyIO worker thread-{n}", frame("load"), number=n, route="GET /x", age_ns=n * 10**9)
        for n in (1, 2)
    ]
    dumps = [dump(7, *sync), dump(8, *sync, thread("AnyIO worker thread-3", frame("load", 2), number=3))]
    first, second = threads_alike(dumps)
    assert (first.name, first.workers) == ("AnyIO worker × 4", (7, 8))
    assert (second.name, second.workers) == ("AnyIO worker thread-3", (8,))
    assert first.serving == "GET /x × 4, up to 2.00s"
    text = "\n".join(stacks(*dumps))
    assert "AnyIO worker × 4 (waiting)  serves GET /x × 4, up to 2.00s  of 7, 8" in text
    assert text.count("load") == 2


def test_tasks_of_several_workers_are_added_up() -> None:
    """By where they wait; the service's own before the server's, however many these are."""
    server = WaitingTasks(frames=[frame("serve", file="/usr/lib/python3.12/asyncio/events.py")], count=50)
    dumps = [
        dump(7, tasks=[waiting(3, 61, routes={"GET /a": 2}), server], tasks_count=53),
        dump(
            8,
            tasks=[waiting(4, 61, routes={"GET /a": 4}, oldest_ns=3 * 10**9), waiting(1, 90)],
            tasks_count=5,
        ),
    ]
    groups = tasks_alike(dumps)
    assert [group.count for group in groups] == [7, 1, 50]
    assert (groups[0].workers, groups[0].serving) == ((7, 8), "GET /a × 6, up to 3.00s")
    assert groups[0].inside == "Queue.get"
    text = "\n".join(stacks(*dumps))
    assert "58 tasks wait" in text
    assert "7 × app/crud.py:61 take  waits for Queue.get  serves GET /a × 6, up to 3.00s  of 7, 8" in text


def test_a_screen_of_several_workers_names_them_at_each_stack() -> None:
    """Of one alone nobody needs to be told whose it is."""
    dumps = [blocked_dump(4121), blocked_dump(4122)]
    lines = [text_of(row.line).rstrip() for row in dumps_rows(dumps, 120)]
    assert any(line.startswith(" ▲ MainThread × 2  holds the GIL") for line in lines)
    assert any("workers 4121 4122" in line for line in lines)
    assert any(line.startswith("  16 × app/crud.py:61 list_orders") for line in lines)
    alone = [text_of(row.line) for row in dumps_rows(dumps[:1], 120)]
    assert not any("worker 4121" in line for line in alone)


def test_whatever_the_wire_tells_of_doubts_stands_in_text_json_and_on_the_screen() -> None:
    """Which rung, why, what was left out, and what nobody could tell."""
    odd = dump(
        7,
        thread("MainThread", frame("f"), frames_cut=3, task="Task-1 serve", route="GET /x", age_ns=10**9),
        tasks=[waiting(2, 5, frames_cut=4, names=["Task-2 take"], awaits={"app/crud.py:9 child": 2})],
        tasks_count=9,
        tasks_cut=7,
        method="faulthandler",
        taken_by=0,
        note="written on a signal: tracing pid 7 is not permitted",
        threads_cut=2,
        locals_of="f",
        locals_cut=5,
    )
    text = "\n".join(stacks(odd))
    screen = "\n".join(text_of(row.line) for row in dumps_rows([odd], 200))
    for said in (
        "written on a signal: tracing pid 7 is not permitted",
        "the process wrote its stacks itself: who runs and who holds the GIL is not known",
        "2 threads more than are told of",
        "7 frames left out of deep stacks",
        "7 tasks more than are told of",
        "no frame of f in any thread or task",
        "app/crud.py:9 child",
        "Task-1 serve",
    ):
        assert said in text, said
        assert said in screen, said
    assert "faulthandler, asked by perftui itself" in text
    document = dump_document("t", odd)
    assert (document["method"], document["taken_by"], document["tasks_count"], document["tasks_cut"]) == (
        "faulthandler",
        None,
        9,
        7,
    )
    assert document["threads"][0]["active"] is None
    assert (document["threads"][0]["route"], document["threads"][0]["age_ms"]) == ("GET /x", 1000.0)
    assert document["tasks"][0]["awaits"] == {"app/crud.py:9 child": 2}
    assert document["locals_cut"] == 5


def test_what_a_sibling_cannot_tell_is_not_none() -> None:
    """No tasks, and tasks that nobody could tell of, are two things."""
    by_a_sibling = dump(7, thread("MainThread", frame("f")), taken_by=8, tasks=None)
    by_a_sibling = replace(by_a_sibling, tasks=None)
    assert any("only a worker knows that answers for itself" in line for line in stacks(by_a_sibling))
    assert dump_document("t", by_a_sibling)["tasks"] is None
    assert dump_document("t", dump(7))["tasks"] == []


def test_machines_get_what_is_alike_by_reference() -> None:
    """Each thread by worker and number; its frames once."""
    document = alike_document([blocked_dump(4121), blocked_dump(4122)])
    assert document["threads"][0]["threads"] == [
        {"worker": 4121, "thread_id": 1},
        {"worker": 4122, "thread_id": 1},
    ]
    assert document["threads"][0]["frames"][0] == "app/reports.py:42 build_report"
    assert (document["tasks"][0]["count"], document["tasks"][0]["workers"]) == (16, [4121, 4122])
