"""Which workers a target means."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from perftui.sources.match import local_addresses, matches
from perftui.sources.target import LocalTarget, local_among, parse_live
from perftui_agent.wire.registration import Registration
from tests.support.frames import worker


def registered(tcp: list[str] | None = None, unix: list[str] | None = None) -> Registration:
    """Return the registration of worker 101 of supervisor 100."""
    return Registration(wire=1, worker=worker(101), socket="/run/x.sock", tcp=tcp or [], unix=unix or [])


def target(text: str) -> LocalTarget:
    return local_among(parse_live([text]))[0]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", "127.0.0.1:8000"),
        ("8000", "10.9.8.7:8000"),
        ("8000", "[::]:8000"),
        ("localhost:8000", "127.0.0.1:8000"),
        ("localhost:8000", "[::1]:8000"),
        ("localhost:8000", "0.0.0.0:8000"),
        ("127.0.0.1:8000", "0.0.0.0:8000"),
        ("[::1]:8000", "[::]:8000"),
        ("0.0.0.0:8000", "0.0.0.0:8000"),
    ],
)
def test_a_port_is_found_on_whatever_address_serves_it(text: str, address: str) -> None:
    """A wildcard serves every address of this host, and a bare port means any."""
    assert matches(target(text), registered([address]))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", "127.0.0.1:8001"),
        ("8000", "127.0.0.1:18000"),
        ("127.0.0.1:8000", "[::1]:8000"),
        ("localhost:8000", "10.9.8.7:8000"),
        ("203.0.113.9:8000", "0.0.0.0:8000"),
    ],
)
def test_another_address_is_another_service(text: str, address: str) -> None:
    """Neither another port nor an address that isn't this host's is taken for the target."""
    assert not matches(target(text), registered([address]))


def test_a_wildcard_serves_every_address_of_this_host() -> None:
    """Each interface's own address means a service bound to all of them."""
    for address in local_addresses():
        host = f"[{address}]" if ":" in address else address
        assert matches(target(f"{host}:8000"), registered(["0.0.0.0:8000"]))


def test_a_unix_socket_is_found_through_links(tmp_path: Path) -> None:
    """Two names of one socket mean the same service."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    served = registered(unix=[str(tmp_path / "real" / "shop.sock")])
    assert matches(target(f"unix:{tmp_path}/link/shop.sock"), served)
    assert not matches(target(f"unix:{tmp_path}/link/other.sock"), served)


@pytest.mark.parametrize(("text", "meant"), [("pid:101", True), ("pid:100", True), ("pid:102", False)])
def test_a_pid_means_a_worker_or_its_supervisor(text: str, meant: bool) -> None:
    """Both ways to name a process lead to the worker."""
    assert matches(target(text), registered()) is meant


@pytest.mark.parametrize(("text", "meant"), [("service:shop", True), ("service:Shop", False)])
def test_a_service_is_meant_by_its_exact_name(text: str, meant: bool) -> None:
    """Names are names, not patterns."""
    assert matches(target(text), registered()) is meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("service:shop@v1", True),
        ("service:shop", True),
        ("service:shop@v2", False),
        ("service:shop@", False),
        ("service:other@v1", False),
    ],
)
def test_a_version_means_the_workers_that_run_it(text: str, meant: bool) -> None:
    """Two of them may run side by side during a deploy."""
    running = msgspec.structs.replace(worker(101), version="v1")
    assert matches(target(text), Registration(wire=1, worker=running, socket="/run/x.sock")) is meant


def test_a_service_may_have_an_at_sign_in_its_name() -> None:
    """What could be a version is then part of the name, as long as nobody runs such a version."""
    running = msgspec.structs.replace(worker(101), service="shop@eu")
    assert matches(target("service:shop@eu"), Registration(wire=1, worker=running, socket="/run/x.sock"))
