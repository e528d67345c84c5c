"""Where a ramp sends to: what the workers of the target listen on, if that is this machine's."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.ramp.safety import is_this_machine
from perftui.sources.target import LiveTarget, PortTarget, RemoteTarget, TargetError, UnixTarget
from perftui_agent.wire.registration import Registration

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104 - told apart, not bound to


def address_of(
    target: LiveTarget, registrations: Sequence[Registration], i_own: str | None
) -> tuple[str, str | None]:
    """Return where to send to, and by which Unix socket; `TargetError` where nothing may be sent."""
    if isinstance(target, UnixTarget):
        return "http://localhost", target.path
    if isinstance(target, RemoteTarget):
        return _address_of_remote(target, i_own), None
    addresses = [_split(each) for registration in registrations for each in registration.tcp]
    if not addresses:
        unix = [each for registration in registrations for each in registration.unix]
        if unix:
            return "http://localhost", unix[0]
        raise TargetError(f"{target} listens nowhere that is known", "name its port: perftui ramp 8000 …")
    host, port = addresses[0]
    if isinstance(target, PortTarget):
        host, port = next((each for each in addresses if each[1] == target.port), addresses[0])
        if port == target.port and target.host is not None:
            host = target.host
    host = _ANY.get(host, host)
    _refuse_other_machine(host, i_own)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", None


def _address_of_remote(target: RemoteTarget, i_own: str | None) -> str:
    scheme, _, rest = target.url.rstrip("/").partition("://")
    if scheme.lower() != "http" or "/" in rest:
        raise TargetError(
            f"{target}: a ramp is sent over plain HTTP and without a prefix, to the servers themselves",
            f"log in there: ssh -t {target.host} perftui ramp 8000 …",
        )
    _refuse_other_machine(target.host, i_own)
    return f"http://{rest}"


def _refuse_other_machine(host: str, i_own: str | None) -> None:
    if not is_this_machine(host) and i_own != host:
        raise TargetError(
            f"{host} is not this machine: nothing is sent to it", f"if it is yours: --i-own {host}"
        )


def _split(address: str) -> tuple[str, int]:
    """`127.0.0.1:8000` and `[::]:8000` in two, as a worker has registered it."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)
