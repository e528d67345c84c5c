"""What each worker of Locust runs for `perftui ramp --engine locust`; sent to it by the master.

It stands alone: a worker needs `locust` and nothing of perftui. Users keep a beat of their own, each request
has the moment at which it was due, and its latency begins there: one whose user still waited for an answer to
the one before is late.
"""

import random
import re
import time
from collections import Counter

import locust.runners
from locust import FastHttpUser, events, task

SETUP = {}  # replaced by what is sent: base_url, plan, new_connections, timeout_s

locust.runners.WORKER_REPORT_INTERVAL = 0.5

_NUMBERS = re.compile(r"\{(-?\d{1,15})\.\.(-?\d{1,15})\}")
_WORDS = re.compile(r"\{([^{}]*,[^{}]*)\}")


class Step:
    """What is counted now: requests that are due within its time."""

    gap_s = 1.0
    """Between two requests of one user."""
    counted_from = ends_at = 0.0
    counts: Counter = Counter()
    failures: Counter = Counter()
    latency_us: Counter = Counter()
    late_us: Counter = Counter()


def begin(environment, msg, **_):
    """Begin a step that the master has ordered."""
    Step.gap_s = 1.0 / msg.data["each_rps"]
    Step.counted_from = time.monotonic() + msg.data["after_s"]
    Step.ends_at = Step.counted_from + msg.data["seconds"]
    take()


def take():
    """Return what was counted since it was asked last."""
    counted = {name: dict(getattr(Step, name)) for name in ("counts", "failures", "latency_us", "late_us")}
    for name in counted:
        setattr(Step, name, Counter())
    return counted


def count(due, sent, was_held, status):
    """Count a request that is over."""
    now = time.monotonic()
    failed = status == 0 or status >= 500
    if not failed and Step.counted_from <= now <= Step.ends_at:
        Step.counts["in_time"] += 1
    if not Step.counted_from <= due <= Step.ends_at:
        return
    Step.counts.update(sent=1, done=not failed, errors=failed, held=was_held)
    Step.latency_us[_rounded(now - due)] += 1
    if not was_held:
        Step.late_us[_rounded(sent - due)] += 1
    if failed:
        Step.failures[str(status) if status else "no answer"] += 1


def _rounded(seconds):
    """Microseconds to three digits: a report holds hundreds of different ones, not thousands."""
    return int(float(f"{max(seconds, 0) * 1e6:.3g}"))


def numbered(text):
    """Put a number for each of its ranges: all that differs in a body, whose other braces are its own."""
    return _NUMBERS.sub(lambda match: str(random.randint(*sorted((int(match[1]), int(match[2]))))), text)


def _filled(text):
    return _WORDS.sub(lambda match: random.choice(match[1].split(",")), numbered(text))


class Sends(FastHttpUser):
    """Sends a request whenever its beat says so."""

    host = SETUP.get("base_url", "http://127.0.0.1")
    network_timeout = connection_timeout = SETUP.get("timeout_s", 10.0)
    due = 0.0
    was_held = False

    def on_start(self):
        """Begin somewhere within the beat: all users together are a steady rate."""
        self.due = time.monotonic() + random.random() * Step.gap_s
        self._rest()

    def wait_time(self):
        """Wait for the next beat; none if it is over."""
        self.due += Step.gap_s
        left_s = self.due - time.monotonic()
        self.was_held = left_s < 0
        return max(left_s, 0.0)

    @task
    def send(self):
        """Send one of the plan."""
        plan = SETUP["plan"]
        (request,) = random.choices(plan, [each["weight"] for each in plan])
        headers = {}
        if random.random() < SETUP["new_connections"]:
            headers["Connection"] = "close"
        body = request["body"]
        if body is not None:
            headers["Content-Type"] = request["content_type"]
            body = numbered(body).encode()
        due, was_held, sent = self.due, self.was_held, time.monotonic()
        response = self.client.request(
            request["method"],
            _filled(request["path"]),
            name=request["path"],
            data=body,
            headers=headers,
            allow_redirects=False,
        )
        count(due, sent, was_held, response.status_code or 0)

    def _rest(self):
        import gevent

        gevent.sleep(max(self.due - time.monotonic(), 0))


def _init(environment, **_):
    if isinstance(environment.runner, locust.runners.WorkerRunner):
        environment.runner.register_message("perftui", begin)


def _report(client_id, data, **_):
    data["perftui"] = take()


events.init.add_listener(_init)
events.report_to_master.add_listener(_report)
