"""Profiles as files: each is opened by a parser that is not ours."""

from __future__ import annotations

import io
import json
import pstats
from pathlib import Path
from xml.etree import ElementTree

import pytest

from perftui.model.flame import samples_of
from perftui.present.documents.profiles import WRITERS, profile_document, profile_text, writer_for
from perftui_agent.wire.actions import ProfiledFrame, ProfiledStack
from tests.support.fake_profile import profile_of

PROFILE = profile_of(4121)
SAMPLES = samples_of([PROFILE])


def test_a_file_is_known_by_the_end_of_its_name() -> None:
    """The four formats, in any case; other names are none of ours."""
    assert [writer_for(f"x{ending}") is WRITERS[ending] for ending in WRITERS] == [True] * 4
    assert writer_for("FLAME.SVG") is WRITERS[".svg"]
    assert writer_for("profile.json") is None


def test_collapsed_lines_add_up() -> None:
    """Each line is a stack from its route inwards and its microseconds, as flamegraph tools read it."""
    lines = WRITERS[".collapsed"](SAMPLES, "shop").decode().splitlines()
    total = 0
    for line in lines:
        stack, _, number = line.rpartition(" ")
        assert len(stack.split(";")) >= 4
        total += int(number)
    assert total == SAMPLES.ns // 1000
    assert any(line.startswith("GET /reports;Server.run (uvicorn/server.py:70);") for line in lines)


def test_speedscope_has_a_profile_for_each_route() -> None:
    """Its own JSON: frames shared, samples by index, and weights that add up to the end."""
    document = json.loads(WRITERS[".speedscope.json"](SAMPLES, "shop"))
    assert document["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    names = [profile["name"] for profile in document["profiles"]]
    assert names == ["all", "GET /reports", "GET /orders", "(no request)", "GET /config"]
    frames = len(document["shared"]["frames"])
    for profile in document["profiles"]:
        assert profile["type"] == "sampled"
        assert len(profile["samples"]) == len(profile["weights"])
        assert sum(profile["weights"]) == profile["endValue"]
        assert all(0 <= at < frames for sample in profile["samples"] for at in sample)


def test_pstats_are_read_by_python(tmp_path: Path) -> None:
    """`pstats` loads, sorts and prints it, with the function's own seconds and its callers."""
    path = tmp_path / "x.pstats"
    path.write_bytes(WRITERS[".pstats"](SAMPLES, "shop"))
    printed = io.StringIO()
    stats = pstats.Stats(str(path), stream=printed)
    stats.sort_stats("tottime").print_stats(3)
    stats.print_callers("rolling_medians")
    text = printed.getvalue()
    assert "rolling_medians" in text.splitlines()[8]
    assert " 9.600 " in text
    assert "build" in text


def test_the_picture_is_an_svg_that_needs_nothing() -> None:
    """Well-formed, without script or link; each frame has its share in words."""
    data = WRITERS[".svg"](SAMPLES, 'shop <&"> evil')
    root = ElementTree.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    titles = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any(title.startswith("rolling_medians shop/reports.py:53: 61.9 %") for title in titles)
    assert b"<script" not in data
    assert b"href" not in data


@pytest.mark.parametrize("ending", WRITERS)
def test_hostile_names_break_no_format(ending: str) -> None:
    """Names with quotes, separators, escapes and lone surrogates are carried or replaced, never raised at."""
    profile = profile_of(1)
    profile.frames.append(ProfiledFrame('x";<b>\x1b[31m\ud800\n', "/srv/a;b\udcff.py", 1, "a;b\udcff.py"))
    profile.stacks.append(ProfiledStack([len(profile.frames) - 1], 10_000_000, 1, 'GET /";<i>'))
    data = WRITERS[ending](samples_of([profile]), "\x1b]0;title\x07")
    assert b"\x1b" not in data


def test_nothing_seen_is_still_a_file() -> None:
    """A profile in which nothing was at work is written all the same."""
    for write in WRITERS.values():
        assert write(samples_of([]), "idle")


def test_the_document_names_engine_routes_and_stacks() -> None:
    """The keys that scripts rely on."""
    document = profile_document(SAMPLES, [PROFILE])
    assert (document["engine"], document["mode"], document["missed"]) == ("sampler", "wall", 0)
    assert document["attributed"] == pytest.approx(0.87)
    assert document["routes"]["GET /reports"] == 610
    first = document["stacks"][0]
    assert first["stack"][-1] == "shop/reports.py:53 rolling_medians"
    assert (first["route"], first["samples"]) == ("GET /reports", 480)


def test_the_text_begins_with_the_hottest_line() -> None:
    """By own time with the sampling error, then by which way."""
    lines = profile_text(SAMPLES, [PROFILE], 80)
    assert lines[0] == "953 samples · 20.0 s of 1 worker · wall"
    assert lines[1].startswith("64% GET /reports  23% GET /orders  13% (no request)")
    assert lines[4].split() == ["50%", "62%", "46–55", "%", "shop/reports.py:53", "rolling_medians"]
    assert max(map(len, lines)) <= 80
