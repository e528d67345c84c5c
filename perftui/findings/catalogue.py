"""The criteria of every kind of finding, gathered from beside their rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from perftui.findings.criteria import Criteria
from perftui.findings.find import RULES


def _gathered() -> Iterator[tuple[str, Criteria]]:
    for kind, check in RULES.items():
        module = sys.modules[check.__module__]
        told = getattr(module, "CRITERIA", ())
        several = {each.kind: each for each in ((told,) if isinstance(told, Criteria) else told)}
        # What a rule is about stands at the head of its file: `kind`: what it means.
        means = (module.__doc__ or "").partition(": ")[2].partition("\n")[0].rstrip(".")
        yield kind, several.get(kind) or Criteria(kind, means, "", ())


CRITERIA: Mapping[str, Criteria] = MappingProxyType(dict(_gathered()))
"""By kind, in the order of the rules."""
