"""What is told of a remote door that does not open: what is wrong, and what to type next.

Takes what connecting raised. A door to which one has no token is none: nobody can tell the two apart.
"""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from perftui.sources.stream import OPEN_TIMEOUT_S
from perftui.sources.target import RemoteTarget, TargetError

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class NoWebSocketsError(TargetError):
    """The token is right, and the server takes no WebSockets."""


def told_of(target: RemoteTarget, error: BaseException) -> TargetError:
    """Return what is told of a door that did not open for `error`."""
    where = f"{target.host}:{target.port}"
    match error:
        case InvalidStatus():
            return _answered(target, error)
        case InvalidMessage():
            return TargetError(f"{where} does not speak HTTP", _other_scheme(target))
        case ssl.SSLCertVerificationError():
            return TargetError(
                f"the certificate of {where} is not trusted here: {error.verify_message}",
                "have this system trust its authority, or: SSL_CERT_FILE=/path/to/ca.pem perftui …",
            )
        case ssl.SSLError():
            return TargetError(
                f"{where} does not speak TLS as it should: {error.reason}", _other_scheme(target)
            )
        case socket.gaierror():
            return TargetError(f"{target.host} is no host that is known here", "is its name right?")
        case ConnectionResetError() | EOFError():
            return TargetError(f"{where} hangs up before it answers", _other_scheme(target))
        case ConnectionRefusedError():
            return TargetError(f"nothing listens at {where}", "does the service run, and on this port?")
        case ConnectionClosed() if error.rcvd is not None and error.rcvd.reason:
            return TargetError(f"{target}: {error.rcvd.reason}", "try again when others have left")
        case TimeoutError():
            return TargetError(
                f"{where} does not answer within {OPEN_TIMEOUT_S:g} s",
                "the event loop of its only worker may be held: on its host type perftui dump",
            )
    return TargetError(
        f"{target} can't be reached: {str(error) or type(error).__name__}", f"is it up? curl -I {target}"
    )


def _answered(target: RemoteTarget, error: InvalidStatus) -> TargetError:
    status, headers = error.response.status_code, error.response.headers
    if status == HTTPStatus.UPGRADE_REQUIRED and b"perftui" in (error.response.body or b""):
        return NoWebSocketsError(
            f"{target}: the token is right, and the server takes no WebSockets",
            "serve it without --ws none, and with websockets or wsproto installed",
        )
    if status in _REDIRECTS:
        return TargetError(
            f"{target} sends elsewhere: {headers.get('Location', '(it does not say where)')}",
            "the token goes nowhere but where you say: name that as the target",
        )
    return TargetError(
        f"nothing answers here, or the token is wrong: {target} (HTTP {status})",
        "the service needs token=… or PERFTUI_TOKEN; below a prefix name it: https://host/prefix",
    )


def _other_scheme(target: RemoteTarget) -> str:
    scheme, _, rest = target.url.partition("://")
    return f"perhaps it is {'http' if scheme.lower() == 'https' else 'https'}://{rest}"
