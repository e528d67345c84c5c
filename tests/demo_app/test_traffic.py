"""The shop's customers: how many come, of which kind, and when they stop."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_app import traffic
from demo_app.traffic import CYCLE, Traffic, check_local, parse_duration, rate_at
from demo_app.visits import MIX, pick
from tests.support.servers import free_port, running

DURATIONS_S = st.floats(10, 10_000)


@given(share=st.floats(0, 1), duration_s=DURATIONS_S, rps=st.floats(0.1, 500))
def test_the_rate_is_bounded(share: float, duration_s: float, rps: float) -> None:
    """At every moment of a run between a fifth of the steady rate and that of the rush arrive."""
    rate = rate_at(share * duration_s, duration_s, rps)
    assert 0.199 * rps <= rate <= 1.601 * rps


@given(share=st.floats(0, 0.999), duration_s=DURATIONS_S)
def test_the_rate_changes_gradually(share: float, duration_s: float) -> None:
    """In a thousandth of a run, or a second, the rate never changes by more than a tenth."""
    step_s = min(1.0, duration_s / 1000)
    before = rate_at(share * duration_s, duration_s, 1)
    after = rate_at(share * duration_s + step_s, duration_s, 1)
    assert abs(after - before) < 0.1


def test_a_run_warms_up_then_is_steady_then_has_a_rush() -> None:
    """The phases of a run follow one another: few customers, the steady rate, a rush, the steady rate."""
    warm_up_s = traffic.WARM_UP_S
    moments_s = [0, warm_up_s, warm_up_s + 100, warm_up_s + 200, warm_up_s + CYCLE[-1][0]]
    assert [rate_at(at_s, 1800, 40) for at_s in moments_s] == [8.0, 40.0, 40.0, 64.0, 40.0]


def test_a_seed_brings_the_same_customers_again() -> None:
    """Two runs with one seed send the same requests, and another seed others."""
    runs = [[pick(rng) for _ in range(50)] for rng in map(random.Random, (1, 1, 2))]
    assert runs[0] == runs[1] != runs[2]


def test_visits_follow_their_weights() -> None:
    """Of many visits, each kind has about its share."""
    rng = random.Random(3)
    paths = Counter(pick(rng).path.split("?")[0].split("/")[1] for _ in range(5000))
    total = sum(weight for weight, _ in MIX)
    assert paths["checkout"] / 5000 == pytest.approx(6 / total, rel=0.3)
    assert paths["reports"] / 5000 == pytest.approx(1 / total, rel=0.6)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("10m", 600), ("1.5h", 5400), ("45", 45), (" 2 m ", 120)]
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """A duration is a number with s, m or h; without a unit it is seconds."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize("text", ["", "0s", "-3m", "ten", "3d", "1e9s", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Nothing else is taken for a duration, and the error says what is."""
    with pytest.raises(ValueError, match="write 90s, 10m or 1h"):
        parse_duration(text)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000/", "http://localhost:8000", "http://[::1]:8000", "http://127.3.2.1:80"]
)
def test_traffic_goes_to_this_host(url: str) -> None:
    """Every spelling of the loopback is taken."""
    assert url.rstrip("/") == check_local(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://10.0.0.1:80",
        "https://localhost",
        "http://0.0.0.0:1",
        "localhost:8000",
        "",
    ],
)
def test_traffic_goes_nowhere_else(url: str) -> None:
    """Another host, or what is no plain HTTP address, is refused."""
    with pytest.raises(ValueError, match="only"):
        check_local(url)


def test_customers_go_home_when_the_shop_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run against nobody ends by itself, long before its time is up."""
    monkeypatch.setattr(traffic, "GIVE_UP_AFTER_S", 1.5)
    run = Traffic(f"http://127.0.0.1:{free_port()}", 100, 3600, random.Random(1))
    with pytest.raises(traffic.ShopGoneError, match="has not answered"):
        asyncio.run(run.run())
    assert run.results["ConnectError"] > 0


def test_a_run_ends_with_its_time_and_says_what_happened(data_dir: Path) -> None:
    """The command sends its requests, prints how they ended, and returns 0."""
    with running(workers=1, env={"SHOP_DATA_DIR": str(data_dir)}) as shop:
        options = [shop.url, "--rps", "30", "--for", "3s", "--seed", "5"]
        command = [sys.executable, "-W", "error", "-m", "demo_app.traffic", *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2xx" in done.stdout
    assert "Error" not in done.stdout


def test_customers_wait_in_bounded_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody is served, no more than the bound are in flight; the rest is turned away and counted."""

    async def swamp() -> tuple[int, int]:
        most = now = 0

        async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal most, now
            now += 1
            most = max(most, now)
            await reader.read()  # until the customer hangs up
            now -= 1
            writer.close()

        server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        run = Traffic(f"http://127.0.0.1:{port}", 300, 1.0, random.Random(1))
        async with server, asyncio.timeout(30):
            await run.run()
        return most, run.results["turned away"]

    monkeypatch.setattr(traffic, "MAX_IN_FLIGHT", 5)
    monkeypatch.setattr(traffic, "TIMEOUT_S", 2.0)
    most, turned_away = asyncio.run(swamp())
    assert most <= 5 + traffic.DOWNLOADS + traffic.WATCHERS
    assert turned_away > 50
