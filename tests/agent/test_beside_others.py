"""Promise 4: beside other instruments in any order, each request counts once and theirs work as ever."""

from __future__ import annotations

import pytest

from tests.support.timed import in_a_process, in_forks

COMMON = """
    import asyncio, time, warnings
    warnings.simplefilter("ignore")  # theirs are not ours to mend
    import httpx
    from fastapi import FastAPI
    from perftui_agent import instrument
    from perftui_agent.instrumentation import the_agent
    from tests.support.timed import timed

    def new_app():
        app = FastAPI()

        @app.get("/items/{item_id}")
        async def item(item_id: int) -> int:
            if item_id == 500:
                raise ValueError("broken")
            return item_id
        return app

    def counted(app):
        the_agent().own.window.empty()
        with timed(app) as service:
            for item_id in (1, 2, 500):
                service.get(f"/items/{item_id}")
            (route,) = service.seen.routes.values()
            assert route.route == "GET /items/{item_id}", route.route
            assert (route.status.success, route.status.server_error) == (2, 1), route.status
"""

OPENTELEMETRY = """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def theirs(app):
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

    def seen_by_theirs():
        return sum(span.kind.name == "SERVER" for span in exporter.get_finished_spans())
"""

FASTAPI = """
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    plain_app = new_app

    def new_app():
        app = FastAPI(telemetry={"tracer_provider": provider})
        app.router = plain_app().router
        return app

    def theirs(app):
        pass

    def seen_by_theirs():
        return sum(span.kind.name == "SERVER" for span in exporter.get_finished_spans())
"""

SENTRY = """
    import sentry_sdk
    from sentry_sdk.integrations import iter_default_integrations
    from sentry_sdk.transport import Transport
    tuple(iter_default_integrations(True))  # imports them, and with them half of what is installed
    transactions = []

    class Local(Transport):
        def capture_envelope(self, envelope):
            transactions.extend(item for item in envelope.items if item.type == "transaction")

    def theirs(app):
        sentry_sdk.init(dsn="https://public@example.invalid/1", transport=Local, traces_sample_rate=1.0)

    def seen_by_theirs():
        sentry_sdk.flush()
        return len(transactions)
"""

PROMETHEUS = """
    from prometheus_client import REGISTRY
    from prometheus_fastapi_instrumentator import Instrumentator

    def theirs(app):
        Instrumentator().instrument(app)

    def seen_by_theirs():
        return sum(
            sample.value
            for metric in REGISTRY.collect() if metric.name == "http_requests"
            for sample in metric.samples if sample.name == "http_requests_total"
        )
"""

INSTRUMENTS = {"opentelemetry": OPENTELEMETRY, "sentry": SENTRY, "prometheus": PROMETHEUS}

ORDERS = {
    "ours first": "app = instrument(new_app()); theirs(app)",
    "theirs first": "app = new_app(); theirs(app); instrument(app)",
    "ours on both sides": "app = instrument(new_app()); theirs(app); instrument(app)",
    "ours for every app, then theirs": """
    from starlette.applications import Starlette
    from perftui_agent.instrumentation import instrument_every_app
    instrument_every_app(Starlette)
    app = new_app()
    theirs(app)
    instrument(new_app())
    """,
}


@pytest.fixture(scope="module", params=INSTRUMENTS)
def counts(request: pytest.FixtureRequest) -> dict[str, str]:
    """How many requests another instrument has counted, in each order."""
    bodies = {
        order: f"    {source}\n    counted(app)\n    print(seen_by_theirs())\n"
        for order, source in ORDERS.items()
    }
    return in_forks(COMMON + INSTRUMENTS[request.param], bodies)


@pytest.mark.parametrize("order", ORDERS)
def test_promise_4_each_request_counts_once_beside_another_instrument(
    counts: dict[str, str], order: str
) -> None:
    """Three requests are three for us and three for them, whoever came first."""
    assert float(counts[order]) == 3


def test_promise_4_each_request_counts_once_beside_fastapis_own_telemetry() -> None:
    """FastAPI's own spans are as many as the requests, and so are ours."""
    pytest.importorskip("fastapi.telemetry", reason="this FastAPI has none")
    source = f"{COMMON}{FASTAPI}\n    counted(instrument(new_app()))\n    print(seen_by_theirs())\n"
    assert float(in_a_process(source)) == 3


def test_promise_4_each_request_counts_once_beside_all_of_them() -> None:
    """Every instrument at once, each as often as it has been asked for."""
    parts = [
        f"{instrument}\n    theirs_of_{name}, seen_by_{name} = theirs, seen_by_theirs\n"
        for name, instrument in INSTRUMENTS.items()
    ]
    use = "\n".join(f"    instrument(app)\n    theirs_of_{name}(app)" for name in INSTRUMENTS)
    seen = ", ".join(f"seen_by_{name}()" for name in INSTRUMENTS)
    source = f"{COMMON}{''.join(parts)}\n    app = new_app()\n{use}\n    counted(app)\n    print({seen})\n"
    assert [float(count) for count in in_a_process(source).split()] == [3, 3, 3]
