"""`perftui report` on a service in trouble: the page names cause and route, and holds no secret."""

from __future__ import annotations

import contextlib
from pathlib import Path

import httpx

from tests.support.servers import running, write_app

SOURCE = """
import time
from fastapi import FastAPI, Header
from perftui_agent import Slo, instrument
from sqlalchemy import create_engine, text

app = instrument(FastAPI(), service="shop", slo=Slo(p95_ms=50), triggers=["p95>50ms for 1s: dump"])
engine = create_engine("sqlite://")

@app.get("/reports/{name}")
async def reports(name: str, q: str = "", x_key: str = Header("")):
    with engine.connect() as connection:
        connection.execute(text("SELECT :secret, 's3cret-literal'"), {"secret": "s3cret-bind"})
    time.sleep(0.7)  # holds the loop
    return {"name": name}

@app.get("/broken")
async def broken():
    raise ValueError("s3cret-message")
"""


def test_the_page_names_cause_and_route_and_holds_no_secret(tmp_path: Path) -> None:
    """Binds, headers, query strings and messages stay where they are; cause and route are read."""
    with running(write_app(tmp_path, SOURCE)) as service:
        service.wait_registered()
        secrets = {"x-key": "s3cret-header", "cookie": "s3cret-cookie"}
        with service.client() as client:
            for number in range(8):
                client.get(f"/reports/{number}?q=s3cret-query", headers=secrets)
                # The server closes the connection of what it did not catch.
                with contextlib.suppress(httpx.HTTPError):
                    httpx.get(f"{service.url}/broken", trust_env=False)
        page, short = tmp_path / "incident.html", tmp_path / "incident.md"
        done = service.perftui("report", service.target, "-o", str(page), "--for", "2s")
        assert (done.returncode, done.stdout.strip()) == (0, str(page)), done.stderr
        assert service.perftui("report", service.target, "-o", str(short), "--for", "1s").returncode == 0
        kept, later = tmp_path / "kept.perftui", tmp_path / "later.md"
        assert service.perftui("record", service.target, "-o", str(kept), "--for", "1s").returncode == 0
        done = service.perftui("report", str(kept), "-o", str(later))
        assert (done.returncode, done.stdout.strip()) == (0, str(later)), done.stderr
        wrong = service.perftui("report", service.target, "-o", str(tmp_path / "incident.pdf"))
        assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 2)
    text = page.read_text()
    assert "reports" in text.partition("</h1>")[0].rpartition("<h1")[2]
    for told in (text, short.read_text(), later.read_text()):
        assert "loop-blocked" in told
        assert "GET /reports/{name}" in told.replace("\\", "")
        assert "ValueError" in told
        assert "s3cret" not in told
    assert len(text) < 2_000_000
