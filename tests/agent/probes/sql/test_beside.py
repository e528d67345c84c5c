"""The probe beside engines, listeners and instruments of others, before and after it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine.default import DefaultDialect

from tests.agent.probes.sql.vocabulary import BOOK_BY_ID, counts, select_book
from tests.support.databases import Database, Seen, seeing


def test_engine_made_before(sync_database: Database) -> None:
    """An engine that has been at work before the probe attaches counts from then on."""
    engine = sync_database.sync_engine()
    with engine.connect() as connection:
        connection.execute(text("SELECT 7"))
        with seeing() as seen:
            connection.execute(text("SELECT 7"))
            assert counts(seen) == {"SELECT ?": 1}
        connection.execute(text("SELECT 7"))
        assert counts(seen) == {}
    engine.dispose()


def test_engine_options(sync_database: Database, seen: Seen) -> None:
    """An engine with options of its own shares events with the one it comes from: still once."""
    engine = sync_database.sync_engine()
    with seen.request(), engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("SELECT 7"))
    engine.dispose()
    assert counts(seen)["SELECT ?"] == 1


def test_attaching_again(sync_database: Database, seen: Seen) -> None:
    """Probes that attach again and again count once; detached, they leave SQLAlchemy as it was."""
    for _ in range(3):
        assert seen.sql.attach() == "on"
    with seen.request():
        sync_database.run(select_book)
    assert counts(seen)[BOOK_BY_ID] == 1
    seen.sql.detach()
    seen.pool.detach()
    with seen.request():
        sync_database.run(select_book)
    assert counts(seen) == {}
    assert DefaultDialect.do_execute.__module__ == "sqlalchemy.engine.default"


def test_beside_others_that_rewrite(sync_database: Database, seen: Seen) -> None:
    """An instrument that adds a comment to each statement changes no count, no shape, and costs nothing."""
    engine = sync_database.sync_engine()
    numbers = iter(range(100))

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def comment(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        return f"{statement} /* traceparent='00-{next(numbers)}' */", parameters

    with seen.request(), engine.connect() as connection:
        for _ in range(5):
            connection.execute(text("SELECT 7"))
    engine.dispose()
    assert counts(seen)["SELECT ?"] == 5
    assert sum(known.shape.shown == "SELECT ?" for known in seen.window.known_texts.values()) == 1


BESIDE = """
import sentry_sdk
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from sentry_sdk.integrations.sqlalchemy import SqlalchemyIntegration
from sqlalchemy import create_engine, event, text
from tests.support.databases import seeing

sentry_sdk.init(
    traces_sample_rate=1.0, default_integrations=False, integrations=[SqlalchemyIntegration()]
)
engine = create_engine("sqlite://")
# It says that it knows SQLAlchemy up to 2.0 only; it works with 2.1.
SQLAlchemyInstrumentor().instrument(
    engine=engine, tracer_provider=TracerProvider(), enable_commenter=True, skip_dep_check=True
)
sent = []
event.listen(engine, "after_cursor_execute", lambda c, cursor, statement, *_: sent.append(statement))
with seeing() as seen:
    for _ in range(5):
        with seen.request(), sentry_sdk.start_transaction(name="GET /"), engine.connect() as connection:
            connection.execute(text("SELECT 7"))
    counts = seen.counts()
    texts = [known for known in seen.window.known_texts.values() if known.shape.kind == 'sql']
    print(counts, len(texts), "traceparent" in sent[0])
"""


def test_beside_opentelemetry_and_sentry() -> None:
    """Beside OpenTelemetry, which comments each statement, and Sentry a statement still counts once."""
    # In a process of its own: neither takes its listeners off again.
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, check=False)
    assert done.stdout == "{'SELECT ?': 5} 1 True\n", done.stderr
