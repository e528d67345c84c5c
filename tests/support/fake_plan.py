"""A plan as a worker would tell it, for screens and documents without any database."""

from __future__ import annotations

from perftui_agent.wire.explain import Explanation, MissingIndex, PlanNote, Verdict

SENTENCE = "some 120,000 rows of search_terms are read to find about 0.1 % of them"

CREATE = "CREATE INDEX ix_search_terms_term ON search_terms (term)"

VERDICT = Verdict(kind="scan", table="search_terms", columns=("term",), sentence=SENTENCE)

MISSING = MissingIndex(
    table="search_terms",
    columns=("term",),
    create=CREATE,
    checked="SQLite's planner takes it, in a copy of the schema",
)


def scanning(fingerprint: str) -> Explanation:
    """Return the plan of a search that reads all terms."""
    return Explanation(
        id="e",
        pid=4121,
        taken_at=0,
        took_ns=12_000_000,
        fingerprint=fingerprint,
        statement="SELECT item_id FROM search_terms WHERE term LIKE ? ORDER BY item_id",
        database="shop.db",
        kind="sqlite",
        run_ns=311_000_000,
        plan=["SCAN search_terms", "USE TEMP B-TREE FOR ORDER BY"],
        verdicts=[VERDICT],
        missing=[MISSING],
    )


def note_of(fingerprint: str, *, missing: bool = True) -> PlanNote:
    """Return what an agent tells of such a plan; else of one that is all right."""
    return PlanNote(
        fingerprint=fingerprint,
        taken_at=1,
        database="shop.db",
        kind="sqlite",
        verdicts=(VERDICT,) if missing else (Verdict(kind="most-rows", table="t", sentence="most are kept"),),
        missing=(MISSING,) if missing else (),
    )
