"""`perftui ramp` as it is typed: what can't be meant is refused before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from perftui.commands.ramp import ramp

REQUEST = "GET /x"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((REQUEST, "--from", "nan"), "nan is no number of requests a second"),
        ((REQUEST, "--max", "nan"), "nan is no number of requests a second"),
        ((REQUEST, "--from", "inf"), "inf is not in the range"),
        ((REQUEST, "--from", "-1"), "-1.0 is not in the range"),
        ((REQUEST, "--max", "0"), "0.0 is not in the range"),
        ((REQUEST, "--from", "50", "--max", "20"), "50 is more than --max 20"),
        ((REQUEST, "--step", "0"), "0 is no length of time"),
        ((REQUEST, "--step", "10m"), "1s to 2m"),
        ((REQUEST, "--new-connections", "nan"), "nan is no share"),
        ((REQUEST, "--weights", "nan"), "its weight is nan"),
        ((REQUEST, "-o", "ramp.txt"), ".perftui a recording, .json what was found"),
        ((REQUEST, "-o", "nowhere/ramp.json"), "there is no such directory"),
        ((REQUEST, "--mix", "live"), "either requests or --mix live"),
        (("--weights", "10,1", "--mix", "live"), "either --weights or --mix live"),
        ((REQUEST, "--engine", "locust"), "--engine locust and --workers-at HOST:PORT go together"),
        (
            (REQUEST, "--workers-at", "127.0.0.1:5557"),
            "--engine locust and --workers-at HOST:PORT go together",
        ),
        ((), "name a request"),
    ],
)
def test_what_can_not_be_meant_is_refused(arguments: tuple[str, ...], said: str) -> None:
    """In a line that says what is wrong, with exit code 2."""
    done = CliRunner().invoke(ramp, ["8000", *arguments])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_weights_beside_a_file_of_requests_are_refused(tmp_path: Path) -> None:
    """The file has its own."""
    mix = tmp_path / "mix"
    mix.write_text("10 GET /items\n1 GET /healthz\n")
    done = CliRunner().invoke(ramp, ["8000", "--mix", str(mix), "--weights", "1,1"])
    assert done.exit_code == 2
    assert "either --weights or --mix" in done.output
