"""To whom nothing is sent."""

from __future__ import annotations

import pytest

from perftui.ramp.address import address_of
from perftui.ramp.safety import is_this_machine, says_production
from perftui.sources.target import PidTarget, PortTarget, ServiceTarget, TargetError, UnixTarget
from perftui_agent.wire.registration import Registration
from tests.support.frames import worker

OWN = frozenset({"10.0.0.5"})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("10.0.0.5", True),
        ("10.0.0.6", False),
        ("203.0.113.9", False),
        ("no such host", False),
    ],
)
def test_only_addresses_of_this_machine_are_this_machine(host: str, expected: bool) -> None:
    """A name counts by every address that it stands for; one that stands for none is nobody's."""
    assert is_this_machine(host, OWN) is expected


@pytest.mark.parametrize(
    ("environ", "names", "said"),
    [
        ({"ENV": "production"}, (), "ENV=production"),
        ({"APP_ENV": "Prod"}, (), "APP_ENV=Prod"),
        ({"ENVIRONMENT": "eu-production-2"}, (), "ENVIRONMENT=eu-production-2"),
        ({"DEPLOY_STAGE": "live"}, (), "DEPLOY_STAGE=live"),
        ({}, ("shop-prod",), "shop-prod"),
        ({"ENV": "staging", "PRODUCT": "production line"}, ("products",), ""),
        ({"ENVIRONMENT": "reproduction"}, ("delivery",), ""),
    ],
)
def test_a_service_that_says_production_is_found_out(
    environ: dict[str, str], names: tuple[str, ...], said: str
) -> None:
    """By what such variables are called, and by its name; words that only sound like it are none."""
    assert says_production(environ, names) == said


def registration(*tcp: str) -> Registration:
    return Registration(wire=1, worker=worker(), socket="/x.sock", tcp=list(tcp))


def test_where_to_send_is_what_the_workers_listen_on() -> None:
    """By the port that was named, by the first there is for a name, and by a Unix socket."""
    known = [registration("0.0.0.0:8000", "127.0.0.1:9000")]
    assert address_of(PortTarget(9000, "localhost"), known, None) == ("http://127.0.0.1:9000", None)
    assert address_of(ServiceTarget("shop"), known, None) == ("http://127.0.0.1:8000", None)
    assert address_of(UnixTarget("/run/x.sock"), known, None) == ("http://localhost", "/run/x.sock")
    assert (
        address_of(PortTarget(8000), [registration("10.1.2.3:9", "[::]:8000")], None)[0]
        == "http://[::1]:8000"
    )


def test_the_pid_of_a_target_is_no_port() -> None:
    """Not even where a worker listens on a port of that number: what was named is the process."""
    known = [registration("0.0.0.0:9000", "0.0.0.0:8000")]
    assert address_of(PidTarget(8000), known, None) == ("http://127.0.0.1:9000", None)


def test_another_machine_gets_nothing_unless_it_is_named() -> None:
    """`--i-own` names exactly one."""
    known = [registration("203.0.113.9:8000")]
    with pytest.raises(TargetError, match="not this machine"):
        address_of(ServiceTarget("shop"), known, None)
    with pytest.raises(TargetError, match="not this machine"):
        address_of(ServiceTarget("shop"), known, "203.0.113.8")
    assert address_of(ServiceTarget("shop"), known, "203.0.113.9")[0] == "http://203.0.113.9:8000"
