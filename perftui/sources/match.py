"""Which workers a target means."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from functools import lru_cache

import psutil

from perftui.sources.target import LOOPBACK_NAMES, LocalTarget, PidTarget, PortTarget, ServiceTarget
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.registration import Registration
from perftui_agent.wire.texts import encodable_text

_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - read, not bound


def matches(target: LocalTarget, registration: Registration) -> bool:
    """Tell whether `target` means this worker."""
    if isinstance(target, PidTarget):
        return target.pid in {registration.worker.pid, registration.worker.supervisor_pid}
    if isinstance(target, ServiceTarget):
        return _is_service(target, registration.worker)
    if isinstance(target, PortTarget):
        return any(serves(target, address) for address in registration.tcp)
    path = os.path.realpath(target.path)
    return path in map(os.path.realpath, registration.unix) or encodable_text(path) in registration.unix


def _is_service(target: ServiceTarget, worker: WorkerIdentity) -> bool:
    name, version = encodable_text(target.name), encodable_text(target.version)
    if not version:
        return worker.service == name
    # A name may have an @ in it as well.
    return (worker.service, worker.version) == (name, version) or worker.service == f"{name}@{version}"


def matching(targets: Iterable[LocalTarget], registrations: Iterable[Registration]) -> list[Registration]:
    """Return the workers that any of `targets` means."""
    wanted = tuple(targets)
    return [each for each in registrations if any(matches(target, each) for target in wanted)]


def is_local(host: str) -> bool:
    """Tell whether a host name or address is this host."""
    return bool(addresses_of(host) & local_addresses()) or any(
        ipaddress.ip_address(address).is_loopback for address in addresses_of(host)
    )


@lru_cache(maxsize=64)
def addresses_of(host: str) -> frozenset[str]:
    """Return the addresses of a host name or address; none if it can't be resolved."""
    if host.lower() in LOOPBACK_NAMES:
        return frozenset({"127.0.0.1", "::1"})
    try:
        return frozenset({str(ipaddress.ip_address(host))})
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return frozenset()
    return frozenset(str(address[4][0]) for address in found)


@lru_cache(maxsize=1)
def local_addresses() -> frozenset[str]:
    """Return the addresses of this host's interfaces."""
    try:
        interfaces = psutil.net_if_addrs()
    except OSError:
        interfaces = {}
    found = {
        each.address.partition("%")[0]
        for addresses in interfaces.values()
        for each in addresses
        if each.family in {socket.AF_INET, socket.AF_INET6}
    }
    return frozenset(found | {"127.0.0.1", "::1"})


def serves(target: PortTarget, address: str) -> bool:
    """Tell whether a socket bound to `address` (`host:port`) takes what is sent to `target`."""
    host, _, port = address.rpartition(":")
    if port != str(target.port):
        return False
    if target.host is None:
        return True
    bound = host.strip("[]")
    return bound in addresses_of(target.host) or (
        (bound in _WILDCARDS and is_local(target.host)) or target.host in _WILDCARDS
    )
