"""What is taken out of frames as columns is put back as it was, or not at all."""

from __future__ import annotations

import copy
import random
from itertools import chain

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perftui.model.events import FrameReceived, HistoryReceived
from perftui.model.packed import MAX_IN_A_BUCKET, packed
from perftui.recording.blocks import BlockError
from perftui.recording.columns import put_back, taken_apart
from perftui.recording.entries import COLUMNS, apart, entries_of, entry, together
from perftui.recording.numbers import LARGEST, column_of, numbers_of
from perftui_agent.sketch import LARGEST as LARGEST_VALUE
from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.after import BackgroundFrame
from perftui_agent.wire.channels import ChannelFrame
from perftui_agent.wire.codec import encode_part
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import CacheFrame
from perftui_agent.wire.process import GcStats
from tests.support.frames import T, frame, received, route, sketch, worker
from tests.support.rich_service import rich_service


def counted(values: list[int]) -> LatencySketch:
    """Return the sketch of some values."""
    made = LatencySketch()
    for value in values:
        made.add(value)
    return made


counts = st.integers(0, LARGEST)
impossible = st.builds(
    LatencySketch, counts, counts, counts, st.dictionaries(st.integers(-5, 5000), counts, max_size=5)
)
sketches = st.one_of(
    st.lists(st.integers(0, LARGEST_VALUE), max_size=60).map(counted),
    st.lists(st.integers(0, 300), max_size=200).map(counted),
    impossible,
)


def copied(frames: list[Frame]) -> list[Frame]:
    """Return frames that are the same and can be taken apart."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(frames), type=list[Frame])


def rich_frames(seconds: int = 12) -> list[Frame]:
    """Return frames that have something of everything."""
    frames = [each.frame for each in rich_service(seconds) if isinstance(each, FrameReceived)]
    frames[0].gc = GcStats(pauses=sketch([3.0, 3.0, 9.0]))
    frames[1].background = [BackgroundFrame(kind="task", name="mail", route="POST /", wait=sketch([1.0]))]
    frames[2].channels = [ChannelFrame(kind="websocket", route="WS /", first=sketch([2.0]), opened=3)]
    frames[3].caches = [CacheFrame(name="redis", kind="redis", latency=LatencySketch(), evictions=0)]
    return frames


def test_frames_come_back_as_they_were() -> None:
    """Of frames with something of everything nothing is lost, and their numbers are not in them meanwhile."""
    frames = rich_frames()
    bare = copied(frames)
    columns = taken_apart(bare)
    assert {"routes.latency.values", "routes.sql_ns", "routes.ttfb.alike", "gc.pauses.more"} <= set(columns)
    assert all(row.latency == LatencySketch() and not row.sql_ns for each in bare for row in each.routes)
    read = copied(bare)
    put_back(read, columns)
    assert read == frames


@settings(max_examples=60)
@given(st.lists(st.tuples(sketches, sketches, counts, st.booleans()), min_size=1, max_size=8))
def test_sketches_and_counters_of_any_kind_come_back(
    drawn: list[tuple[LatencySketch, LatencySketch, int, bool]],
) -> None:
    """Also those that contradict themselves, or have a bucket that there is not; of any part of a frame."""
    rows = []
    for latency, other, number, same in drawn:
        row = route("GET /")
        row.latency, row.sql_ns, row.body_bytes = latency, number, other
        row.ttfb = latency if same else other
        row.background = None if number % 2 else other
        rows.append(row)
    frames = [frame(1, T, rows)]
    known = copy.deepcopy(frames)
    columns = taken_apart(frames)
    put_back(frames, columns)
    assert frames == known


@given(st.lists(st.lists(st.integers(0, LARGEST_VALUE), min_size=1, max_size=90), min_size=1, max_size=5))
def test_a_packed_sketch_is_what_packing_it_makes(drawn: list[list[int]]) -> None:
    """Read for the model alone, a sketch is that which it would have made of it, however small."""
    rows = [route("GET /") for _ in drawn]
    for row, values in zip(rows, drawn, strict=True):
        row.latency = row.ttfb = counted(values)
    known: list[object] = [packed([row.latency]) for row in rows]
    frames = [frame(1, T, rows)]
    put_back(frames, taken_apart(frames), packs=True)
    assert [row.latency for row in rows] == [row.ttfb for row in rows] == known
    assert packed([row.latency for row in rows]) == packed([counted(list(chain(*drawn)))])


@given(st.lists(st.integers(0, LARGEST), max_size=50))
def test_numbers_are_told_by_their_bytes(numbers: list[int]) -> None:
    """A column takes as many bytes for each number as the largest needs, and gives them back."""
    column = column_of(numbers)
    assert len(column) == len(numbers) * ((max(numbers, default=0).bit_length() + 7) // 8)
    assert list(numbers_of(column, len(numbers))) == numbers
    if any(numbers[1:]):
        with pytest.raises(BlockError):
            numbers_of(column[:-1], len(numbers))


def test_a_column_of_a_field_that_nobody_knows_is_passed_over() -> None:
    """A later wire may count more; what an earlier one did not count stays as it lies in the frame."""
    frames = rich_frames()
    bare = copied(frames)
    columns = taken_apart(bare)
    read = copied(bare)
    put_back(read, {**columns, "routes.new_ns": b"\1\2", "novelties.latency.values": b"\1"})
    assert read == frames
    del columns["routes.sql_ns"]
    put_back(bare, columns)
    assert [row.latency for row in bare[0].routes] == [row.latency for row in frames[0].routes]
    assert {row.sql_ns for each in bare for row in each.routes} == {0}


def test_of_changed_columns_come_frames_or_damage_and_nothing_else() -> None:
    """No bytes of a column are a traceback, or make a frame that could not have been sent."""
    bare = rich_frames()
    columns = taken_apart(bare)
    data = msgspec.msgpack.encode(bare)
    rng, refused = random.Random(4), 0
    for name, column in columns.items():
        other = bytes(rng.randrange(256) for _ in column)
        for changed in (column[:-1], column + b"\1", other, b"\xff" * len(column)):
            frames = msgspec.msgpack.decode(data, type=list[Frame])
            try:
                put_back(frames, {**columns, name: changed})
            except BlockError:
                refused += 1
                continue
            assert copied(frames) == frames
    assert refused > len(columns)


@pytest.mark.parametrize(
    ("told", "value"),
    [
        ("values", column_of([1 << 60])),
        ("values", column_of([MAX_IN_A_BUCKET + 1])),
        ("spare", column_of([3])),
        ("low", column_of([60])),
        ("more", column_of([9, 0, 0])),
        ("steps", column_of([9, 0, 1])),
        ("steps", column_of([1 << 60, 1, 1])),
        ("off", column_of([2 * LARGEST_VALUE + 1])),
    ],
)
def test_a_sketch_that_contradicts_itself_is_damage(told: str, value: bytes) -> None:
    """Neither a bomb nor a figure that nobody counted comes of it."""
    frames = [frame(1, T, [route("GET /", [1, 2, 3])])]
    columns = taken_apart(frames)
    assert len(columns["routes.latency.low"]) > 0
    with pytest.raises(BlockError):
        put_back(frames, {**columns, f"routes.latency.{told}": value})


def test_a_block_holds_its_events_and_their_numbers_apart() -> None:
    """Other events are among the frames as they were, and damage is what does not belong to them."""
    identity = worker()
    event = received(identity, frame(1, T + 1, [route("GET /", [5, 6])]))
    history = HistoryReceived(identity.id, tuple(rich_frames(4)), T + 2.0)
    entries = [entry(event), entry(history)]
    data = apart(entries)
    assert entries_of(data) == entries_of(together(entries)) == [event, history]
    assert len(data) < len(together(entries))
    for wrong in ({"routes.latency.values": b"\1"}, {"routes.latency.values": 3}, "text"):
        with pytest.raises(BlockError):
            entries_of(together([encode_part([COLUMNS, wrong]), *entries]))
