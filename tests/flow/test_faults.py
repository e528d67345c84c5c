"""Faults of the demo shop that are switched on and off while it serves: three of them, at one time.

All of them, against the bounds that hold on a machine of one's own: `python -m tests.faults`.
"""

from __future__ import annotations

from tests.faults.run import run

KINDS = ("upstream-errors", "client-per-request", "n-plus-one")
"""Those that are counted: however busy the machine is, their near misses are none."""


def test_faults_are_named_with_their_subject_and_gone_when_they_are() -> None:
    """Each is told of by its own subject, and not once it is off; what is nearly like it never is."""
    outcomes = {outcome.kind: outcome for outcome in run(KINDS, together=[KINDS])}
    assert set(outcomes) == set(KINDS)
    for outcome in outcomes.values():
        assert outcome.named_s is not None, outcome
        assert outcome.gone_s is not None, outcome
        assert outcome.near == ()
