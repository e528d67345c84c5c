"""The faults built into this shop, one in each file, named after the finding that tells of it.

With a fault off, the same endpoint does the same work the way it should be done, so both can be measured.
`registry` has all of them, `switches` says which are on.
"""

from __future__ import annotations

from demo_app.faults.switches import USUAL, Mode, UnknownFaultError, active, mode, parse

__all__ = ["USUAL", "Mode", "UnknownFaultError", "active", "mode", "parse"]
