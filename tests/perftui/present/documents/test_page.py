"""The page of an incident: it holds what a stranger needs, asks no network, and takes data for data."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import msgspec

from perftui.findings.over_time import Stood, stood
from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.happenings import Event
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.page import render
from perftui.present.documents.page.render import html, markdown
from perftui.present.documents.page.taken import Taken, drawn
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump
from perftui_agent.wire.identity import SloTarget
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.requests import SlowRequest, Span
from tests.support.fake_profile import profile_of
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

A = worker(4121)
HELD = "app/reports.py:42 build"
EVIL = "GET /<script>alert(1)</script>"


def picture(label: str = "GET /orders", statement: str = "SELECT 1") -> Summary:
    sent = msgspec.structs.replace(
        frame(1, T + 1, [route(label, [300.0] * 90 + [4000.0] * 10)]),
        statements=[StatementFrame(fingerprint="f", statement=statement, latency=sketch([2.0]))],
        incidents=[Incident(kind="loop-blocked", at=T * 10**9, ns=2 * 10**9, where=HELD)],
        slowest=[
            SlowRequest(id="1", route=label, method="GET", path="/orders", status=200, ended_at=T * 10**9,
                        total_ns=4 * 10**9, spans=[Span(kind="loop", name=HELD,
                                                        start_ns=0, ns=2 * 10**9)])
        ],
    )  # fmt: skip
    return summarize(dashboard_of(joined(A, slo=[SloTarget(p95_ms=200)]), received(A, sent)), T + 1.5, 60.0)


def made(summary: Summary, *taken: Taken) -> str:
    return html(summary, stood([summary]), taken, made_at=float(T), version="1")


class References(HTMLParser):
    """Everything in a page that would have something fetched or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            is_link = name in {"href", "xlink:href"} and not (value or "").startswith("#")
            if is_link or name in {"src", "srcset", "data", "action", "style"} or name.startswith("on"):
                self.found.append((name, value))


def test_a_stranger_reads_what_was_wrong_since_when_and_whom_it_hurt() -> None:
    """The headline names the cause; the first sentences count the requests."""
    page = made(picture())
    assert re.search(r'<h1 class="high">app/reports.py:42 build: held worker 4121 up to 2.0 s', page)
    assert "100 of 100 requests (100%) took longer than was promised." in page
    assert "0 of 100 requests (0.0%) failed with a 5xx." in page
    assert "reports.py:42 build held it" in page
    short = markdown(picture(), stood([picture()]), made_at=float(T), version="1")
    assert "held worker 4121 up to 2.0 s" in short
    assert "| GET /orders | 100 |" in short


def test_nothing_is_fetched_and_only_its_own_script_and_style_may_run() -> None:
    """The policy allows two hashes, and they are those of what stands in the page."""
    page = made(picture(), drawn(profile_of(4121)))
    assert References(page).found == []
    assert not re.findall(r"(?:https?:)?//[a-z]", page.replace("http://www.w3.org/2000/svg", ""))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for kind in ("style", "script"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_names_from_outside_are_text() -> None:
    """A route, a statement, a frame of a stack: none of them becomes markup, on the page or in Markdown."""
    frames = [StackFrame(function="<b>f</b>", file="/srv/<i>.py", line=1, source="x = '</code><script>'")]
    dump = Dump(
        id="1", pid=1, taken_at=T * 10**9, took_ns=1, taken_by=1,
        threads=[ThreadDump(name="<u>t</u>", thread_id=1, active=True, is_main=True, frames=frames)],
    )  # fmt: skip
    page = made(picture(EVIL, "SELECT '<img src=x>' FROM \x1b[31mt"), drawn(dump))
    tags = References(page).tags
    assert (tags.count("script"), tags.count("img"), tags.count("u")) == (1, 0, 0)
    assert "\x1b" not in page
    assert "&lt;b&gt;f&lt;/b&gt;" in page
    short = markdown(picture(EVIL), (), made_at=float(T), version="1")
    assert "<script>" not in short


def test_nothing_wrong_is_said_to_be_nothing_wrong() -> None:
    """A page of a healthy time makes nothing up; one of nothing at all has no figure."""
    empty = Summary("8000", None, float(T), 60.0)
    page = made(empty)
    assert "Nothing stood out" in page
    assert "No rule found anything wrong in this time." in page


def test_what_goes_on_after_responses_and_on_open_connections_is_told() -> None:
    """On the page and in Markdown: by function and by route, with names from outside as text."""
    summary = msgspec.structs.replace(
        picture(),
        background=(
            BackgroundSummary(name="app/mail.py:12 cheap", kind="task", count=300, total_ms=30.0),
            BackgroundSummary(
                name="app/mail.py:40 <i>send</i>", kind="background", route="POST /orders",
                count=40, p95_ms=1200.0, total_ms=40_000.0, held=3, held_ms=900.0,
            ),
        ),
        channels=(
            ChannelSummary(
                route="WS /chat/{room}", kind="websocket", open=7, sent=120, sent_per_s=2.0,
                handled=400, handling_p95_ms=310.0,
            ),
        ),
    )  # fmt: skip
    page = made(summary)
    assert page.index("app/mail.py:40 &lt;i&gt;send&lt;/i&gt;") < page.index("app/mail.py:12 cheap")
    assert '<td class="n">1.20s</td><td class="n">40.0s</td>' in page
    assert '<span class="note">300ms each</span>' in page
    assert "<td>WS /chat/{room}</td><td>websocket</td>" in page
    short = markdown(summary, (), made_at=float(T), version="1")
    assert "| app/mail.py:40 \\<i\\>send\\</i\\> | background | POST /orders | 40 | 0 | 0 | 1.20s |" in short
    assert "| WS /chat/{room} | websocket | 7 | – | 2.0 | – | 310ms | 0 | 0 |" in short


def test_it_stays_small_and_says_what_it_left_out() -> None:
    """Of twenty large dumps those that fit are kept, the newest first."""
    frames = [StackFrame(function="f" * 200, file="/srv/app.py", line=line) for line in range(40)]
    threads = [
        ThreadDump(name=f"t{n}", thread_id=n, active=True, is_main=True, frames=frames) for n in range(30)
    ]
    taken = [
        drawn(Dump(id="1", pid=pid, taken_at=T * 10**9, took_ns=1, taken_by=1, threads=threads))
        for pid in range(20)
    ]
    page = made(picture(), *taken)
    assert len(page.encode()) <= render.MOST_BYTES
    assert "<b>Dump of worker 0</b>" in page
    assert "Left out, so that this page stays small: Dump of worker 19" in page


def test_that_nobody_is_served_any_more_comes_first() -> None:
    """Whatever else was wrong before: how many are left, and each loss once in what happened."""
    summary = picture()
    (row,) = summary.workers
    lost = Event(T + 1.0, "worker-lost", "4121", "worker 4121 is gone")
    gone = replace(summary, workers=(replace(row, state="gone", gone_since=T + 1.0),), events=(lost,))
    text = markdown(gone, stood([gone]), made_at=float(T), version="1")
    assert text.startswith("# shop: worker 4121: is gone")
    assert "0 of 1 workers" in text
    assert text[text.index("## Timeline") :].count("worker-lost") == 1


def test_markdown_tells_what_of_a_request_is_in_no_span_and_of_statements_the_tables() -> None:
    """So that parts add up, and a headline is a line."""
    columns = ", ".join(f"items.column_{number}" for number in range(20))
    many = replace(
        stood([picture()])[0].finding,
        kind="n-plus-one",
        severity="high",
        subject="GET /orders",
        sentence=f"50× SELECT {columns} FROM items",
    )
    text = markdown(picture(), [Stood(many, float(T), float(T), False)], made_at=float(T), version="1")
    assert text.splitlines()[0] == "# shop: GET /orders: 50× SELECT … FROM items"
    assert "loop wait 2.00s reports.py:42 build held it; 2.00s in none of these: its own code\n" in text
    assert "\n\n## Why\n" in text


def test_a_finding_that_is_over_is_told_as_over() -> None:
    """Since when and until when, in words."""
    (finding, *_) = stood([picture()])
    over = Stood(finding.finding, float(T), T + 90.0, is_over=True)
    page = html(picture(), (over,), made_at=float(T), version="1")
    assert "for 90 s, over by the end" in page
