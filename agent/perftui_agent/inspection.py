"""Puts together what answers the requests of clients, and of triggers, about this worker."""

from __future__ import annotations

from collections.abc import Callable

from perftui_agent import apps_routes
from perftui_agent.belongings import Belongings
from perftui_agent.every_probe import EveryProbe
from perftui_agent.inspect.actions import Actions
from perftui_agent.inspect.database.look import Databases
from perftui_agent.inspect.database.own_connection import OwnConnections
from perftui_agent.inspect.database.tables import tables_of
from perftui_agent.inspect.explain.explainer import Explainer
from perftui_agent.inspect.functions import Traffic
from perftui_agent.inspect.inspector import Inspector
from perftui_agent.probes.http.detour import Detour
from perftui_agent.probes.sql.databases import database_of
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.registration import Registration


def inspector_of(
    own: Belongings,
    probes: EveryProbe,
    *,
    worker: WorkerIdentity,
    registrations: Callable[[], list[Registration]],
    actions: Actions,
    databases: Databases,
    explainer: Explainer,
) -> Inspector:
    """Return what looks into this worker, and where it may into its siblings."""
    eyes = probes.loop
    return Inspector(
        own_pid=worker.pid,
        actions_allowed=own.settings.actions,
        registrations=registrations,
        eyes=eyes,
        endpoints=apps_routes.endpoints,
        probes=lambda: probes.set.status,
        actions=actions,
        traffic=Traffic(
            follow=Detour(eyes, own.guard).follow,
            serves=apps_routes.serves,
            walk=apps_routes.walk,
            routes=apps_routes.labels,
            loop=lambda: eyes.loop,
        ),
        databases=databases,
        guard=own.guard,
        explainer=explainer,
    )


def databases_of(own: Belongings, connections: OwnConnections) -> Databases:
    """Return what looks at the databases that the app's engines lead to."""
    shapes = own.window.shapes
    return Databases(
        own.engines,
        connections,
        own.holders.told,
        shapes.told,
        lambda database: {table for text in shapes.examples(database) for table in tables_of(text)},
        database_of,
    )
