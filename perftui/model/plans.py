"""What is known of statements' plans over a window, and what is to be done about one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from perftui_agent.wire.explain import MissingIndex, PlanNote, Verdict

MAX_PLANS = 200

FINE = "The plan is all right: what takes the time is something else, such as a lock or the disk."

_ADVICE: Mapping[str, str] = {
    "unused-index": "Have the database know its values: ANALYZE.",
    "estimate": "Have the database know its values: ANALYZE.",
    "unusable-index": "Compare the column itself with a value, or index the expression that is compared; "
    "for a pattern that begins with anything, search by words or trigrams.",
    "most-rows": "No index helps here: fetch fewer rows or columns, page by the key, or keep what was found.",
    "full": "It reads all there is: filter, page by the key, or keep what was found.",
    "sort": "Ask for no more rows than are shown (LIMIT), or have an index in the order that is asked for.",
    "small-table": FINE,
    "stops-early": FINE,
}
"""By the kind of the verdict; the first of these that a plan has counts."""


def latest_plans(told: Iterable[PlanNote]) -> Mapping[str, PlanNote]:
    """Return the latest of each statement, by fingerprint."""
    latest: dict[str, PlanNote] = {}
    for each in told:
        have = latest.get(each.fingerprint)
        if have is None or each.taken_at >= have.taken_at:
            latest[each.fingerprint] = each
    kept = sorted(latest.values(), key=lambda each: each.taken_at)[-MAX_PLANS:]
    return {each.fingerprint: each for each in kept}


def advice_on(missing: Sequence[MissingIndex], verdicts: Sequence[Verdict], kind: str = "") -> str:
    """Return what is to be done about a plan; what to run comes last, and nothing behind it."""
    if missing:
        index = "an index" if len(missing) == 1 else f"{len(missing)} indexes"
        live = ", CONCURRENTLY while the service runs" if kind == "postgresql" else ""
        guesses = any(each.kind == "estimate" for each in verdicts)
        try_it = "Have the database know its values (ANALYZE), then try" if guesses else "Try"
        return f"{try_it} {index}{live}: {'; '.join(each.create for each in missing)}"
    for each in verdicts:
        if each.kind in _ADVICE:
            return _ADVICE[each.kind]
    return FINE


def subject_of(missing: MissingIndex) -> str:
    """Return what a missing index is called: `orders (customer_id, status)`."""
    return f"{missing.table} ({', '.join(missing.columns)})"
