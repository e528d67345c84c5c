"""Who may come in by the remote door: whoever has the token, and no browser.

The token comes in a header, `Authorization: Bearer …`, the one that logs and error reporters leave out.
Whatever a proxy says of where somebody comes from means nothing here.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

_SCHEME = b"bearer "


class Lock:
    """A token, as far as it has to be known: what it looks like is not kept."""

    def __init__(self, token: str) -> None:
        self._digest = hashlib.sha256(token.encode()).digest()

    def opens_for(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Tell whether these headers of a request have the token, once, and no `Origin`."""
        given = b""
        times, is_browser = 0, False
        for name, value in headers:
            name = name.lower()
            if name == b"authorization":
                given = value
                times += 1
            elif name == b"origin":
                is_browser = True
        scheme, token = given[: len(_SCHEME)], given[len(_SCHEME) :].strip()
        # Of the digests, all of one length: the time it takes does not even tell that of the token.
        same = hmac.compare_digest(hashlib.sha256(token).digest(), self._digest)
        return same and scheme.lower() == _SCHEME and times == 1 and not is_browser
