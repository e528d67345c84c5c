"""What workers that are gone have left in the directory of this one's service: read for who is not here.

Reads files of megabytes: not on the agent's loop.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from perftui_agent.wire.boxes import MAX_BOX_BYTES, read_evidence, whole_messages
from perftui_agent.wire.codec import WireError, decode_from_agent
from perftui_agent.wire.frames import Frame, Hello
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.incidents import Evidence
from perftui_agent.wire.lives import file_stem
from perftui_agent.wire.messages import FromAgent
from perftui_agent.wire.parts import WorkerId
from perftui_agent.wire.registration import check_private

MAX_FRAMES = 120
"""What one that was followed can have left unsaid, and two minutes more."""


class _Head(msgspec.Struct):
    type: str
    seq: int = 0
    thinned: bool = False


_head: msgspec.msgpack.Decoder[_Head] = msgspec.msgpack.Decoder(_Head)


def last_frames(directory: Path, worker: WorkerId, service: str, after_seq: int) -> list[Frame]:
    """Return the latest frames after `after_seq` in a worker's box, oldest first; none if it left no box."""
    check_private(directory)
    pid = worker.split("/")[1:2]
    for path in sorted(directory.glob("*.ring")):
        if [path.name.partition("-")[0]] != pid:
            continue
        with path.open("rb") as file:
            data = file.read(MAX_BOX_BYTES)
        hello = next(map(_decoded, whole_messages(data)), None)
        if isinstance(hello, Hello) and hello.worker.id == worker and hello.worker.service == service:
            return _frames_after(after_seq, data)
    return []


def _decoded(message: bytes) -> FromAgent | None:
    try:
        return decode_from_agent(message)
    except WireError:
        return None


def _frames_after(after_seq: int, data: bytes) -> list[Frame]:
    found: dict[int, bytes] = {}
    for message in whole_messages(data):
        try:
            head = _head.decode(message)
        except (msgspec.DecodeError, msgspec.ValidationError):
            continue
        if head.type == "frame" and not head.thinned and head.seq > after_seq:
            found[head.seq] = message
    latest = [_decoded(found[seq]) for seq in sorted(found)[-MAX_FRAMES:]]
    return [frame for frame in latest if isinstance(frame, Frame)]


def evidence_of_the_dead(
    directory: Path, service: str, without: Collection[WorkerId]
) -> list[tuple[WorkerIdentity, list[Evidence]]]:
    """Return what is kept in the boxes of a service's workers, as far as they can be read."""
    found: list[tuple[WorkerIdentity, list[Evidence]]] = []
    check_private(directory)
    for path in sorted(directory.glob("*.ring")):
        try:
            hello, evidence = read_evidence(path)
        except (OSError, WireError):
            continue
        if hello is None or not evidence or path.name != f"{file_stem(hello.worker)}.ring":
            continue
        if hello.worker.service == service and hello.worker.id not in without:
            found.append((hello.worker, evidence))
    return found
