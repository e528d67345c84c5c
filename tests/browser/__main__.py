"""Open a report in a real browser and read it as a stranger would: `python -m tests.browser [PAGE.html]`.

Without a page it starts the demo shop, sends it secrets besides, records it, and writes the report of the
recording. Chromium opens it without a screen; what counts is what it did, not what the file says: that no
request left, that no script failed, that the script has run, that cause and route can be read in the document
as it stands then, and that no secret can. A page that does ask, and fails, is opened first: were it not
noticed, nothing else here would mean anything.

It needs a Chromium (`$CHROMIUM`, else `chromium` on the path), so it is run by hand, not with the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import httpx

PERFTUI = (sys.executable, "-m", "perftui")

SECRET = "s3cret"

RECORDED_S = 40

CAUSE, ROUTE = "loop-blocked", "GET /reports"
"""What is wrong with the demo shop, and where."""

TRAITOR = """<!doctype html><title>x</title><h1>x</h1><img src="http://perftui.invalid/pixel.png">
<script>undefined_function()</script>"""

BROWSER = "not an origin"
"""Who has asked for what no page asked for."""

LOCAL = ("file:", "data:", "blob:", "about:", "chrome:", "devtools:", "chrome-extension:")


@dataclass(frozen=True, slots=True)
class Opened:
    """What came of opening a page."""

    document: str
    """As it stands once its script has run."""
    requests: tuple[str, ...]
    """The addresses it asked for, those of files apart."""
    errors: tuple[str, ...]
    """What the console said."""
    took_s: float


class Reader(HTMLParser):
    """What a reader sees: the headline, the findings below Why, the parts of the page."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.headline = ""
        self.findings: list[str] = []
        self.sections: list[str] = []
        self.tools_shown = False
        self._inside: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "section":
            self.sections.append(given.get("id") or "")
        if tag == "article":
            self.findings.append("")
        if tag == "p" and given.get("class") == "tools":
            self.tools_shown = "hidden" not in given
        if tag in {"h1", "article"}:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._inside:
            self._inside.remove(tag)

    def handle_data(self, data: str) -> None:
        if "h1" in self._inside:
            self.headline += data
        if "article" in self._inside:
            self.findings[-1] += data


def chromium() -> str:
    """Return the browser there is."""
    found = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not found:
        raise SystemExit("there is no Chromium here: apt install chromium, or CHROMIUM=/path/to/it")
    return found


def open_page(page: Path) -> Opened:
    """Open a page and return what it did."""
    with tempfile.TemporaryDirectory(prefix="perftui-browser-") as profile:
        net_log = Path(profile) / "net.json"
        began = time.monotonic()
        done = subprocess.run(
            [
                chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--disable-default-apps", "--disable-extensions", f"--user-data-dir={profile}/data",
                "--enable-logging=stderr", f"--log-net-log={net_log}", "--virtual-time-budget=3000",
                "--dump-dom", page.resolve().as_uri(),
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        took_s = time.monotonic() - began
        requests = tuple(_requests(net_log))
    errors = tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return Opened(done.stdout, requests, errors, took_s)


def _requests(net_log: Path) -> Iterator[str]:
    """Yield the addresses that the page asked for, of a log of Chromium's network stack."""
    text = net_log.read_text()
    try:
        log = json.loads(text)
    except ValueError:  # it ended before the log did
        log = json.loads(text.rstrip().rstrip(",") + "]}")
    named = {number: name for name, number in log["constants"]["logEventTypes"].items()}
    seen: set[str] = set()
    for event in log["events"]:
        told = event.get("params", {})
        url = told.get("url", "")
        # What no page has asked for is the browser's own: the time, and whose it is.
        if told.get("initiator", BROWSER) == BROWSER or url.startswith(LOCAL):
            continue
        if url and named.get(event["type"], "").startswith("URL_REQUEST"):
            seen.add(url)
    yield from sorted(seen)


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo shop; yield its target."""
    process = subprocess.Popen([*PERFTUI, "demo", "--headless"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(30)


def report_of_the_demo(directory: Path) -> Path:
    """Record the demo shop, with secrets among its requests, and return the report of the recording."""
    recording, page = directory / "demo.perftui", directory / "demo.html"
    with demo() as target:
        record = subprocess.Popen(
            [*PERFTUI, "record", target, "-o", str(recording), "--for", f"{RECORDED_S}s"]
        )
        with httpx.Client(base_url=f"http://{target}", trust_env=False, timeout=30.0) as client:
            headers = {"x-api-key": f"{SECRET}-header", "cookie": f"session={SECRET}-cookie"}
            while record.poll() is None:
                for path in ("/items/1", "/reports", "/orders", f"/{SECRET}-path"):
                    # What the shop does to its customers is not what is tried here.
                    with contextlib.suppress(httpx.HTTPError):
                        client.get(f"{path}?token={SECRET}-query", headers=headers)
                time.sleep(0.5)
    subprocess.run(
        [*PERFTUI, "report", str(recording), "-o", str(page)], check=True, stdout=subprocess.DEVNULL
    )
    return page


def judged(opened: Opened) -> list[tuple[bool, str]]:
    """Return what is to hold of a page, and whether it does."""
    seen = Reader(opened.document)
    return [
        (not opened.requests, f"no request leaves ({', '.join(opened.requests) or 'none did'})"),
        (not opened.errors, f"no script fails ({'; '.join(opened.errors) or 'the console is empty'})"),
        (seen.tools_shown, "the script has run: the charts can be zoomed"),
        (bool(seen.headline.strip()), f"the headline is read: {' '.join(seen.headline.split())}"),
        ("why" in seen.sections, f"the parts of the page: {', '.join(seen.sections)}"),
        (SECRET not in opened.document, "no secret is read"),
    ]


def of_the_demo(opened: Opened) -> list[tuple[bool, str]]:
    """Return what is to hold of the page of the demo shop besides."""
    seen = Reader(opened.document)
    causes = [each for each in seen.findings if CAUSE in each]
    place = re.search(r"\S+\.py:\d+ \w+", causes[0]) if causes else None
    return [
        (bool(causes), f"the cause is read: {CAUSE}{f' in {place[0]}' if place else ''}"),
        (any(ROUTE in each for each in causes), f"the route is read beside it: {ROUTE}"),
    ]


def main() -> int:
    """Open the pages, print what came of it; return 1 if something does not hold."""
    with tempfile.TemporaryDirectory(prefix="perftui-report-") as directory:
        traitor = Path(directory) / "traitor.html"
        traitor.write_text(TRAITOR)
        control = open_page(traitor)
        told = [
            (
                any("perftui.invalid" in each for each in control.requests),
                "control: a request that leaves is seen",
            ),
            (
                any("undefined_function" in each for each in control.errors),
                "control: a script that fails is seen",
            ),
        ]
        page = Path(sys.argv[1]) if len(sys.argv) > 1 else report_of_the_demo(Path(directory))
        opened = open_page(page)
        told += judged(opened)
        if len(sys.argv) == 1:
            told += of_the_demo(opened)
        print(f"{page.name}: {page.stat().st_size / 1000:.0f} kB, opened in {opened.took_s:.1f} s")
    for holds, sentence in told:
        print(f"{'✓' if holds else '✗'} {sentence}")
    return 0 if all(holds for holds, _ in told) else 1


if __name__ == "__main__":
    sys.exit(main())
