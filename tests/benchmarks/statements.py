"""CPU that instrumenting adds to a SQL statement, beside its peers, in paired rounds of one process.

Each variant has an engine of its own; ours wraps the dialects in its own rounds alone, and the listeners
that Sentry puts on the Engine class are moved to its engine, so that nobody pays for another's. What is
compared is the median over the rounds of a variant's CPU less the bare engine's in the same round. Ours
includes what the agent's thread does later, and the connection and request that the statements share.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import StaticPool

from perftui_agent.guard import Guard
from perftui_agent.probes.probe import Probe
from perftui_agent.probes.sql.pool import PoolProbe
from perftui_agent.probes.sql.sqlalchemy import SqlAlchemyProbe
from perftui_agent.records import current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode
from tests.support.requests import begin, end

ROUNDS = 60
REQUESTS_A_ROUND = 50
STATEMENTS_A_REQUEST = 10
BUDGET_US = 5.0

SELECTS = [text(f"SELECT {number} AS a{number}, :b AS b") for number in range(STATEMENTS_A_REQUEST)]

Round = Callable[[Engine], None]


def new_engine() -> Engine:
    """Return an engine on an empty database in memory."""
    return create_engine("sqlite://", poolclass=StaticPool)


def work(engine: Engine) -> None:
    """Run one request's statements: no two of one shape."""
    with engine.connect() as connection:
        for number, select in enumerate(SELECTS):
            connection.execute(select, {"b": number}).all()


def work_in_a_loop(engine: Engine) -> None:
    """Run as many statements of one shape: an N+1, which is looked at most closely."""
    with engine.connect() as connection:
        for number in range(STATEMENTS_A_REQUEST):
            connection.execute(SELECTS[0], {"b": number}).all()


class Variant:
    """One way to watch statements. It sees nothing outside of `at_work`."""

    def __init__(self) -> None:
        self.engine = new_engine()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Watch for the length of a round."""
        yield

    @contextmanager
    def request(self) -> Iterator[None]:
        """Be within a request."""
        yield


class Listeners(Variant):
    """The least any instrument must do: two listeners that take the time."""

    def __init__(self) -> None:
        super().__init__()

        def before(_c: Any, _cursor: Any, _s: str, _p: Any, context: Any, _m: bool) -> None:
            context.began = time.perf_counter_ns()

        def after(_c: Any, _cursor: Any, _s: str, _p: Any, context: Any, _m: bool) -> None:
            context.took = time.perf_counter_ns() - context.began

        event.listen(self.engine, "before_cursor_execute", before)
        event.listen(self.engine, "after_cursor_execute", after)


class Ours(Variant):
    """The agent, its thread's work included: done here, in the round that caused it."""

    def __init__(self) -> None:
        super().__init__()
        self.window = Window()
        self.window.open = True
        self.probes: tuple[Probe, ...] = (
            SqlAlchemyProbe(self.window, Guard(), 100.0),
            PoolProbe(self.window, Guard()),
        )

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Attach, and detach when what was put is folded and encoded."""
        for probe in self.probes:
            probe.attach()
        yield
        self.window.fold_pending()
        frame = self.window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1_000_000_000)
        for probe in self.probes:
            probe.fill(frame)
        encode(frame)
        for probe in self.probes:
            probe.detach()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Be within a request, as the HTTP probe makes it."""
        record = begin(self.window)
        token = current_request.set(record)
        yield
        current_request.reset(token)
        end(record)


class OnlyRequests(Ours):
    """The agent without its eyes on databases: what the statements' request costs."""

    def __init__(self) -> None:
        super().__init__()
        self.probes = ()


class OpenTelemetry(Variant):
    """opentelemetry-instrumentation-sqlalchemy with the SDK, spans dropped when they end."""

    def __init__(self) -> None:
        from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
        from opentelemetry.sdk.trace import TracerProvider

        super().__init__()
        self.tracer = TracerProvider().get_tracer("bench")
        provider = TracerProvider()
        # It says that it knows SQLAlchemy up to 2.0 only; its listeners work with 2.1.
        SQLAlchemyInstrumentor().instrument(engine=self.engine, tracer_provider=provider, skip_dep_check=True)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Be within the span of a request."""
        with self.tracer.start_as_current_span("GET /"):
            yield


class Sentry(Variant):
    """sentry-sdk with tracing, nothing sent."""

    def __init__(self) -> None:
        import sentry_sdk
        from sentry_sdk.integrations import sqlalchemy as theirs

        super().__init__()
        self.sdk = sentry_sdk
        sentry_sdk.init(
            dsn="http://key@localhost:1/1",
            transport=lambda _: None,
            traces_sample_rate=1.0,
            default_integrations=False,
            integrations=[theirs.SqlalchemyIntegration()],
        )
        move_listeners(
            self.engine, theirs._before_cursor_execute, theirs._after_cursor_execute, theirs._handle_error
        )

    @contextmanager
    def request(self) -> Iterator[None]:
        """Be within the transaction of a request."""
        with self.sdk.start_transaction(op="http.server", name="GET /"):
            yield


def move_listeners(engine: Engine, before: Any, after: Any, failed: Any) -> None:
    """Take listeners off the Engine class and put them on one engine."""
    for name, listener in (
        ("before_cursor_execute", before),
        ("after_cursor_execute", after),
        ("handle_error", failed),
    ):
        event.remove(Engine, name, listener)
        event.listen(engine, name, listener)
    # A class that was ever listened to takes the slow path, 4 µs a statement, with no listener left.
    Engine._has_events = Dialect._has_events = False


VARIANTS: dict[str, Callable[[], Variant]] = {
    "bare": Variant,
    "two empty listeners": Listeners,
    "perftui-agent": Ours,
    "… of which the request itself": OnlyRequests,
    "opentelemetry-instrumentation": OpenTelemetry,
    "sentry-sdk": Sentry,
}


def measure(variants: dict[str, Variant], request: Round) -> dict[str, list[float]]:
    """Return for each variant the CPU microseconds a statement, round by round."""
    costs: dict[str, list[float]] = {name: [] for name in variants}
    order = list(variants)
    for round_number in range(ROUNDS + 3):
        random.shuffle(order)
        for name in order:
            variant = variants[name]
            gc.collect()
            started = time.process_time_ns()
            with variant.at_work():
                for _ in range(REQUESTS_A_ROUND):
                    with variant.request():
                        request(variant.engine)
            used_us = (time.process_time_ns() - started) / 1000 / REQUESTS_A_ROUND / STATEMENTS_A_REQUEST
            if round_number >= 3:  # the first ones warm up
                costs[name].append(used_us)
    return costs


def main() -> None:
    """Print the tables."""
    variants = {name: make() for name, make in VARIANTS.items()}
    for what, request in (("each of another shape", work), ("all of one shape, an N+1", work_in_a_loop)):
        costs = measure(variants, request)
        added = {
            name: statistics.median(
                cost - base for cost, base in zip(costs[name], costs["bare"], strict=True)
            )
            for name in costs
        }
        mine = added["perftui-agent"]
        bare = statistics.median(costs["bare"])
        print(f"{STATEMENTS_A_REQUEST} statements a request, {what}: {bare:.1f} µs of CPU each; added to it:")
        for name in costs:
            if name != "bare":
                ratio = f"{added[name] / mine:5.1f} × ours" if name != "perftui-agent" else ""
                print(f"  {name:36} {added[name]:7.2f} µs   {ratio}")
    print(f"  budget: ≤ {BUDGET_US:.0f} µs")


if __name__ == "__main__":
    main()
