"""Which supervisor ends a worker, and after how long."""

from __future__ import annotations

import sys
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from perftui_agent.siblings.supervision import Supervisor, supervisor_in
from tests.support.frames import worker


def frame_in(file: str, **names: Any) -> FrameType:
    """Return the frame of code that stands in `file` and has these names."""
    source = f"def serve({', '.join(names)}):\n    return look()\n"
    space: dict[str, Any] = {"look": lambda: sys._getframe(1)}
    exec(compile(source, file, "exec"), space)
    frame: FrameType = space["serve"](**names)
    return frame


@pytest.mark.parametrize(
    ("file", "names", "expected"),
    [
        (
            "/site/uvicorn/_subprocess.py",
            {"config": SimpleNamespace(timeout_worker_healthcheck=9)},
            Supervisor("uvicorn", 77, 9.0),
        ),
        (
            "/site/gunicorn/workers/base.py",
            {"self": SimpleNamespace(cfg=SimpleNamespace(timeout=30))},
            Supervisor("gunicorn", 77, 30.0),
        ),
        ("/site/gunicorn/workers/base.py", {"self": SimpleNamespace(cfg=SimpleNamespace(timeout=0))}, None),
        ("/site/uvicorn/_subprocess.py", {"config": object()}, None),
        ("/srv/app.py", {"config": SimpleNamespace(timeout_worker_healthcheck=9)}, None),
    ],
)
def test_its_patience_is_read_where_the_server_keeps_it(
    file: str, names: dict[str, Any], expected: Supervisor | None
) -> None:
    """Wherever it was set; gunicorn's 0 is endless, and of an unknown server nothing is said."""
    assert supervisor_in(frame_in(file, **names), 77) == expected


def test_who_went_before_its_patience_was_over_was_ended_by_somebody_else() -> None:
    """The kernel, or a hand: what is not known is not said."""
    uvicorn = Supervisor("uvicorn", 77, 5.0)
    assert uvicorn.has_ended(worker(1, supervisor_pid=77), 5.3)
    assert not uvicorn.has_ended(worker(1, supervisor_pid=77), 3.0)
    assert not uvicorn.has_ended(worker(1, supervisor_pid=78), 5.3)
