"""Locust's workers as senders: where they meet, what they run, and what they report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from perftui.ramp.fleet import Fleet, added, fleet_at, locustfile, reached_from
from perftui.ramp.plan import parse_request
from perftui.ramp.sender import Setup, Told
from perftui.sources.target import TargetError

NEAR = Fleet("127.0.0.1", 5557, 2)


class FakeClient:
    """Answers each request with the next status; what was asked is kept."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes | None] = []

    def request(
        self, method: str, path: str, *, data: bytes | None, headers: dict[str, str], **_: object
    ) -> SimpleNamespace:
        self.asked.append((method, path, headers))
        self.bodies.append(data)
        return SimpleNamespace(status_code=self._statuses.pop(0))


class Listeners(list[Callable[..., None]]):
    """An event of Locust's."""

    add_listener = list.append


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What a worker of Locust has after it has read the file, without Locust."""
    locust, runners = ModuleType("locust"), ModuleType("locust.runners")
    vars(runners).update(WORKER_REPORT_INTERVAL=3.0, WorkerRunner=SimpleNamespace)
    events = SimpleNamespace(init=Listeners(), report_to_master=Listeners())
    vars(locust).update(runners=runners, FastHttpUser=object, events=events, task=lambda done: done)
    monkeypatch.setitem(sys.modules, "locust", locust)
    monkeypatch.setitem(sys.modules, "locust.runners", runners)
    plan = [parse_request("GET /items/{7..7}")]
    source = locustfile(Setup("http://10.0.0.5:8000", plan, new_connections=1.0))
    names: dict[str, Any] = {"events": events}
    exec(compile(source, "locustfile.py", "exec"), names)
    return names


def test_a_worker_sends_what_was_typed_and_reports_what_came_of_it(worker: dict[str, Any]) -> None:
    """By the step that the master ordered; latency begins when a request was due."""
    ordered = SimpleNamespace(data={"each_rps": 0.5, "after_s": 0.0, "seconds": 60.0})
    worker["begin"](None, ordered)
    user = worker["Sends"]()
    user.client = FakeClient(200, 503, 0)
    assert user.host == "http://10.0.0.5:8000"
    user.due = time.monotonic()
    for _ in range(3):
        user.send()
    assert user.client.asked == [("GET", "/items/7", {"Connection": "close"})] * 3
    data: dict[str, Any] = {}
    for listener in worker["events"].report_to_master:
        listener("worker-1", data)
    told = Told(0.0)
    added(told, data["perftui"])
    assert (told.sent, told.done, told.errors, told.in_time) == (3, 1, 2, 1)
    assert told.failures == {"503": 1, "no answer": 1}
    assert told.latency.count == 3
    again = Told(0.0)
    for listener in worker["events"].report_to_master:
        listener("worker-1", data)
    added(again, data["perftui"])
    assert again.sent == 0


def test_a_body_is_sent_as_it_stands_but_for_its_numbers(worker: dict[str, Any]) -> None:
    """Its other braces are its own, as where perftui sends by itself."""
    user = worker["Sends"]()
    user.client = FakeClient(200)
    body = '{"item": {7..7}, "quantity": 1}'
    plan = [
        {"method": "POST", "path": "/{a,a}", "weight": 1, "body": body, "content_type": "application/json"}
    ]
    worker["SETUP"]["plan"] = plan
    user.send()
    assert user.client.asked[0][:2] == ("POST", "/a")
    assert user.client.bodies == [b'{"item": 7, "quantity": 1}']


def test_who_waits_too_long_for_an_answer_is_late_by_the_services_fault(worker: dict[str, Any]) -> None:
    """The beat is over when the answer comes: the next is sent at once, and its latency holds the wait."""
    ordered = SimpleNamespace(data={"each_rps": 2.0, "after_s": -100.0, "seconds": 600.0})
    worker["begin"](None, ordered)
    user = worker["Sends"]()
    user.client = FakeClient(200)
    user.due = time.monotonic() - 2.5
    assert user.wait_time() == 0.0
    user.send()
    told = Told(0.0)
    added(told, worker["take"]())
    assert (told.held, told.late.count) == (1, 0)
    assert (told.latency.quantile(0.5) or 0) >= 1.9e9


def test_a_user_whose_beat_is_not_over_waits_for_the_rest_of_it(worker: dict[str, Any]) -> None:
    """And is not held."""
    ordered = SimpleNamespace(data={"each_rps": 0.1, "after_s": 0.0, "seconds": 60.0})
    worker["begin"](None, ordered)
    user = worker["Sends"]()
    user.due = time.monotonic()
    assert 5 < user.wait_time() <= 10
    assert not user.was_held


def test_where_workers_meet_is_an_address_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal says what to type instead; without Locust, how it is installed."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for text, said in (
        ("5557", "no address"),
        ("10.0.0.5:x", "no address"),
        ("203.0.113.9:5557", "not this machine"),
    ):
        with pytest.raises(TargetError, match=said):
            fleet_at(text, 2)
    with pytest.raises(TargetError, match=r"locust is not installed\npip install 'perftui\[locust\]'"):
        fleet_at("127.0.0.1:5557", 2)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    met = fleet_at("127.0.0.1:5557", 2)
    assert met == NEAR
    assert met.told == "locust -f - --worker --master-host 127.0.0.1 --master-port 5557"


def test_workers_elsewhere_send_to_the_address_that_they_know() -> None:
    """The loopback is another one there; a Unix socket is nowhere."""
    far = Fleet("10.0.0.5", 5557, 2)
    assert reached_from(far, "http://127.0.0.1:8000", None) == "http://10.0.0.5:8000"
    assert reached_from(far, "http://10.0.0.6:8000", None) == "http://10.0.0.6:8000"
    assert reached_from(NEAR, "http://127.0.0.1:8000", None) == "http://127.0.0.1:8000"
    with pytest.raises(TargetError, match="Unix socket"):
        reached_from(NEAR, "http://localhost", "/run/x.sock")
