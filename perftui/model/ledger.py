"""How rows of one kind are kept: told apart by a key, made of frames, added up, and bounded.

There is one for routes, one for statements, and so on, each beside the part it keeps. What is past its bound
is added up as one row: forgotten is what matters least, not what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from perftui.model.steps import EVERY, Steps

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")
Part = TypeVar("Part")

OTHER = "(other)"
"""The route, statement or pool of those for which there was no room, as agents call it too."""


@dataclass(frozen=True, slots=True)
class Ledger(Generic[Key, Row, Part]):
    """Rows of frames by `key`, folded to parts by `fold`, which `add` adds up."""

    key: Callable[[Row], Key]
    fold: Callable[[Sequence[Row]], Part]
    add: Callable[[Sequence[Part]], Part]
    cost: Callable[[Part], int]
    """How much one matters beside the others."""
    bound: int
    other: Key
    """Where those past the bound are."""

    def folded(self, rows: Iterable[Row]) -> Steps[Mapping[Key, Part]]:
        """Return the parts of all `rows`."""
        grouped: dict[Key, list[Row]] = {}
        key_of = self.key
        for row in rows:
            key = key_of(row)
            have = grouped.get(key)
            if have is not None:
                have.append(row)
            else:
                grouped[key] = [row]
        folded = {}
        for place, (key, of_key) in enumerate(grouped.items()):
            folded[key] = self.fold(of_key)
            if not place % EVERY:
                yield
        return self._bounded(folded)

    def added(self, several: Sequence[Mapping[Key, Part]]) -> Steps[Mapping[Key, Part]]:
        """Return all parts of the same key added up."""
        return self._bounded((yield from added(several, self.add)))

    def _bounded(self, parts: Mapping[Key, Part]) -> Mapping[Key, Part]:
        if len(parts) <= self.bound + 1:
            return parts
        ordered = sorted(parts, key=lambda key: (key != self.other, self.cost(parts[key])), reverse=True)
        kept = {key: parts[key] for key in ordered[: self.bound]}
        kept[self.other] = self.add([parts[key] for key in ordered[self.bound :]])
        return kept


def added(
    several: Sequence[Mapping[Key, Part]], add: Callable[[Sequence[Part]], Part]
) -> Steps[Mapping[Key, Part]]:
    """Return the parts of the same key added up, however many; what is there once stays as it is."""
    some = [parts for parts in several if parts]
    if len(some) < 2:
        return some[0] if some else {}
    grouped: dict[Key, list[Part]] = {}
    for parts in some:
        for key, part in parts.items():
            have = grouped.get(key)
            if have is not None:
                have.append(part)
            else:
                grouped[key] = [part]
    sums = {}
    for place, (key, of_key) in enumerate(grouped.items()):
        sums[key] = of_key[0] if len(of_key) == 1 else add(of_key)
        if not place % EVERY:
            yield
    return sums
