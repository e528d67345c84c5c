"""A quota of CPU for running processes, as the demo shop's fault `cpu-throttled` has it."""

from __future__ import annotations

from demo_app.faults.quota import limited, why_not

__all__ = ["limited", "why_not"]
