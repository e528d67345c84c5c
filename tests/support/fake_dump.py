"""A made-up dump of a worker that is held."""

from __future__ import annotations

from perftui_agent.wire.dumps import Dump, FrameLocals, StackFrame, ThreadDump, WaitingTasks
from tests.support.fake_figures import NOON


def blocked_dump(pid: int, locals_of: str = "") -> Dump:
    """Return a dump of a worker that is held by the service's own code."""
    variables = FrameLocals(
        function=_OWN.function,
        file=_OWN.file,
        line=_OWN.line,
        short_file=_OWN.short_file,
        at="MainThread",
        values={"month": "'2026-11'", "rows": "[<app.models.Row>, … 48000 in all]"},
    )
    return Dump(
        id="1",
        pid=pid,
        taken_at=int(NOON * 1e9),
        took_ns=31_000_000,
        taken_by=pid + 1,
        threads=[
            _thread("MainThread", [_OWN, _OWN_CALLER, *_SERVER], gil=True, main=True, active=True),
            _thread("perftui-agent", [_SELECT], number=2),
            *(_thread("AnyIO worker thread", [_QUEUE], number=3 + place) for place in range(3)),
        ],
        tasks=[
            WaitingTasks(
                frames=[_POOL, _OWN_WAITS, *_SERVER],
                count=8,
                waits_for="Queue.get",
                names=[f"Task-{number} RequestResponseCycle.run_asgi" for number in range(5)],
                routes={"GET /orders": 8},
                oldest_ns=3_200_000_000,
            ),
            WaitingTasks(
                frames=[_SERVER[0]],
                count=3,
                waits_for="Event.wait",
                routes={"GET /orders": 3},
                oldest_ns=3_100_000_000,
                awaits={"app/crud.py:61 list_orders": 3},
            ),
        ],
        tasks_count=11,
        locals_of=locals_of,
        locals=[variables] if locals_of else [],
    )


def _thread(
    name: str,
    frames: list[StackFrame],
    *,
    gil: bool = False,
    main: bool = False,
    active: bool = False,
    number: int = 1,
) -> ThreadDump:
    return ThreadDump(name=name, thread_id=number, active=active, holds_gil=gil, is_main=main, frames=frames)


_OWN = StackFrame(
    function="build_report",
    file="/srv/shop/app/reports.py",
    line=42,
    short_file="app/reports.py",
    source="    rows = sorted(rows, key=slow_key)",
)
_OWN_WAITS = StackFrame(
    function="list_orders",
    file="/srv/shop/app/crud.py",
    line=61,
    short_file="app/crud.py",
    source="    async with engine.connect() as connection:",
)
_POOL = StackFrame(
    function="QueuePool._do_get",
    file="/srv/venv/lib/python3.12/site-packages/sqlalchemy/pool/impl.py",
    line=177,
    short_file="sqlalchemy/pool/impl.py",
)
_OWN_CALLER = StackFrame(
    function="reports",
    file="/srv/shop/app/routes.py",
    line=118,
    short_file="app/routes.py",
    source="    return build_report(month)",
)
_SERVER = [
    StackFrame(
        function=name,
        file=f"/srv/venv/lib/python3.12/site-packages/{file}",
        line=200 + place,
        short_file=file,
    )
    for place, (name, file) in enumerate(
        [
            ("run_endpoint_function", "fastapi/routing.py"),
            ("app", "fastapi/routing.py"),
            *[("__call__", "starlette/middleware/errors.py")] * 8,
            ("run_asgi", "uvicorn/protocols/http/httptools_impl.py"),
            ("run", "uvicorn/server.py"),
        ]
    )
]
_SELECT = StackFrame(
    function="select", file="/usr/lib/python3.12/selectors.py", line=468, short_file="selectors.py"
)
_QUEUE = StackFrame(
    function="wait", file="/usr/lib/python3.12/threading.py", line=355, short_file="threading.py"
)
