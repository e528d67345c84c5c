"""Switches faults on, off, and to their near misses, and says when each was told of, and when no more.

Several at once where they don't disturb each other: what holds a loop, stops a worker, takes its CPU or the
connections that an agent would look through is alone, and so is a target that all requests count for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from demo_app.faults.registry import FAULTS
from demo_app.faults.switches import NEAR
from perftui.findings.low_hit_ratio import WARM_AFTER_S
from perftui.model.happenings import Finding
from tests.faults.shop import Shop, serving
from tests.faults.watcher import Picture, Watcher

NAMED_S = 15.0
GONE_S = 30.0
SETTLES_S = 5.0
"""What was on before has ended after that, an index is made again (up to 2 s) and who waited is served: what
it did is in nobody's window who begins to watch then."""

SILENT_S = 17.0
"""How long a near miss is watched: longer than any fault may take to be told of."""

GIVE_UP_S = 12.0
"""How much longer than it may take is waited, to say by how much it was missed."""

WARM_S = 10.0
"""How long a shop serves before it is looked at: what it does for the first time takes longer."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    ("slo-breach",),
    ("memory-growth",),
    ("n-plus-one", "error-burst", "cache-stampede", "slow-messages", "stuck-request"),
    ("upstream-slow", "upstream-errors", "chatty-upstream", "client-per-request", "client-pool-exhausted"),
    ("missing-index",),
    ("slow-query",),
    ("repeated-query", "cache-thrash", "low-hit-ratio"),
    ("large-payload",),
    ("slow-serialization",),
    ("loop-blocked",),
    ("threadpool-exhausted",),
    ("pool-exhausted",),
    ("db-lock",),
    ("worker-imbalance",),
    ("cpu-saturated",),
    ("cpu-throttled",),
    ("gc-pause",),
    ("queueing",),
    ("backlog-overflow",),
    ("worker-restarted",),
    ("worker-lost",),
    ("idle-in-transaction",),
    ("db-connections",),
)
"""What is on at the same time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one fault."""

    kind: str
    subject: str
    """Whom the findings of its kind named."""
    named_s: float | None
    gone_s: float | None
    near: tuple[str, ...]
    """What was told of it while only its near miss was on."""
    waited: float
    """How much of the time workers waited for a processor from when it was switched on until it was named."""
    beside: tuple[str, ...]
    """What else was high then, or of its kind and about another, told with the first of them: a target that a
    busy machine misses, a statement that is slow there."""

    @property
    def missed(self) -> bool:
        """Whether it took too long, named another, or its near miss was told of."""
        late = self.named_s is None or self.named_s > NAMED_S
        stays = self.gone_s is None or self.gone_s > GONE_S
        return late or stays or bool(self.near)

    def cells(self) -> tuple[str, ...]:
        """Return it as a row: kind, subject, named after, gone after, near miss."""
        return (
            self.kind,
            self.subject or "–",
            "never" if self.named_s is None else f"{self.named_s:.1f} s",
            "stays" if self.gone_s is None else f"{self.gone_s:.1f} s",
            "silent" if not self.near else "; ".join(self.near),
            f"{self.waited:.0%}",
            "; ".join(self.beside),
        )


def run(
    kinds: Sequence[str],
    workers: int = 2,
    rps: float = 16.0,
    keep: Path | None = None,
    together: Iterable[Sequence[str]] = TOGETHER,
) -> Iterator[Outcome]:
    """Yield what became of each of these, on as few shops as can be; keep a recording of each shop."""
    groups = [tuple(kind for kind in group if kind in kinds) for group in together]
    on_server = [group for group in groups if group and _wants_a_server(group)]
    others = [group for group in groups if group and not _wants_a_server(group)]
    if others:
        yield from _on_one_shop(others, "none", workers, rps, keep)
    if on_server:
        yield from _on_one_shop(on_server, NEAR + on_server[0][0], workers, rps, keep)


def _wants_a_server(group: Sequence[str]) -> bool:
    return any("postgresql" in FAULTS[kind].needs for kind in group)


def _on_one_shop(
    groups: Sequence[Sequence[str]], fault: str, workers: int, rps: float, keep: Path | None
) -> Iterator[Outcome]:
    with serving(fault=fault, workers=workers, rps=rps) as shop, shop.kept(keep, groups[0][0]):
        began_s = shop.switch(())
        time.sleep(WARM_S)
        before: _Tried | None = None
        with Watcher(shop.target) as watcher:
            for group in groups:
                if "low-hit-ratio" in group:
                    time.sleep(max(0.0, began_s + WARM_AFTER_S - time.monotonic()))
                tried = _Tried(shop, watcher, group)
                tried.near_miss()
                yield from before.outcomes() if before else ()
                tried.fault()
                before = tried
            shop.switch(())
            yield from before.outcomes() if before else ()


class _Tried:
    """Some kinds whose near misses are on, then they themselves, then those of the next ones."""

    def __init__(self, shop: Shop, watcher: Watcher, kinds: Sequence[str]) -> None:
        self._shop, self._watcher, self._kinds = shop, watcher, kinds
        self._near: dict[str, tuple[str, ...]] = {}
        self._beside: tuple[str, ...] = ()
        self._named: dict[str, float | None] = {}
        self._subjects: dict[str, str] = {}
        self._subjects_of: dict[str, str] = {}
        self._waited = 0.0
        self._on_s = self._off_s = 0.0

    def near_miss(self) -> None:
        """Have the near misses of these, and nothing else, for some time."""
        self._shop.switch(f"{NEAR}{kind}" for kind in self._kinds)
        time.sleep(SETTLES_S)
        with Watcher(self._shop.target) as watcher:
            time.sleep(SILENT_S)
            self._subjects_of = self._shop.subjects()
        told = [each for picture in watcher.pictures for each in picture.findings]
        subjects = self._subjects_of
        for kind in self._kinds:
            self._near[kind] = _sentences(each for each in told if _is_about(kind, subjects[kind], each))
        self._beside = _sentences(
            each
            for each in told
            if (each.severity == "high" or each.kind in self._kinds)
            and not _is_about(each.kind, subjects.get(each.kind, "$^"), each)
        )

    def fault(self) -> None:
        """Have the faults, until each has been named or should have been; then none."""
        self._on_s = on_s = self._shop.switch(self._kinds)
        within_s = NAMED_S + GIVE_UP_S
        subjects = self._subjects_of
        for kind in self._kinds:
            named = partial(_is_named, kind, subjects[kind])
            self._named[kind] = self._watcher.first(named, on_s, within_s)
        self._subjects = {kind: _subjects(self._watcher.since(on_s), kind) for kind in self._kinds}
        waits = [picture.waited for picture in self._watcher.since(on_s)]
        self._waited = median(waits) if waits else 0.0
        self._off_s = self._shop.switch(())

    def outcomes(self) -> Iterator[Outcome]:
        """Yield what became of each, once none is told of any more."""
        within_s = GONE_S + GIVE_UP_S
        for kind in self._kinds:
            gone = partial(_is_gone, kind, self._subjects_of[kind])
            gone_s = self._watcher.first(gone, self._off_s, within_s)
            beside = self._beside if kind == self._kinds[0] else ()
            yield Outcome(
                kind,
                self._subjects[kind],
                self._named[kind],
                gone_s,
                self._near[kind],
                self._waited,
                beside,
            )


def _is_named(kind: str, subject: str, picture: Picture) -> bool:
    return any(_is_about(kind, subject, each) for each in picture.findings)


def _is_about(kind: str, subject: str, finding: Finding) -> bool:
    return finding.kind == kind and re.search(subject, finding.subject) is not None


def _is_gone(kind: str, subject: str, picture: Picture) -> bool:
    return not _is_named(kind, subject, picture)


def _subjects(pictures: Sequence[Picture], kind: str) -> str:
    told = [each.subject for picture in pictures for each in picture.findings if each.kind == kind]
    return " | ".join(subject[:60] for subject in dict.fromkeys(told))


def _sentences(told: Iterable[Finding]) -> tuple[str, ...]:
    """Return what was said, once for each."""
    said = {
        each.identity: f"{each.kind} {each.subject[:40]} ({each.severity}): {each.sentence}" for each in told
    }
    return tuple(sorted(said.values()))
