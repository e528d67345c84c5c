"""What a project promises in its perftui.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui.commands.check import every_objective
from perftui.commands.project import read_project
from perftui.config import ConfigError
from perftui.model.happenings import SloVerdict
from tests.perftui.findings.pictures import picture


def test_the_nearest_file_counts_as_far_as_the_repository_goes(tmp_path: Path) -> None:
    """That of a folder above as well, but none from outside."""
    (tmp_path / "perftui.toml").write_text('[check]\nslo = ["p95<1s"]\n')
    inner = tmp_path / "repository" / "tests"
    inner.mkdir(parents=True)
    assert [str(each) for each in read_project(inner).objectives] == ["p95<1s"]
    (tmp_path / "repository" / ".git").mkdir()
    assert read_project(inner).objectives == ()
    (tmp_path / "repository" / "perftui.toml").write_text(
        '[check]\nslo = ["GET /pay: p99<=300ms for 30s"]\nfail_on = ["high", "n-plus-one"]\n'
    )
    found = read_project(inner).objectives
    assert [str(each) for each in found] == ["GET /pay: p99<=300ms for 30s", "high=none", "n-plus-one=none"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[check]\nslo = 5\n", 'check.slo: write a list of texts: slo = ["p95<200ms"]'),
        ('[check]\nslo = ["p95<200"]\n', "check.slo: 'p95<200': '200' is no bound of p95"),
        ('[check]\nfail_on = ["n+1"]\n', "check.fail_on: 'n+1' is no kind of finding"),
        ('[check]\nslos = ["p95<1s"]\n', "check, slos: there is no such setting; did you mean slo?"),
        ("check = 1\n", "check is a table"),
        ("[check\n", "perftui.toml: "),
    ],
)
def test_what_is_wrong_in_it_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    """In one line, and it is no verdict."""
    (tmp_path / "perftui.toml").write_text(text)
    with pytest.raises(ConfigError) as error:
        read_project(tmp_path)
    assert said in error.value.message
    assert error.value.exit_code == 2


def test_of_the_same_figure_of_a_route_the_last_promise_counts(tmp_path: Path) -> None:
    """The command line's before the project's, the project's before the service's; each says whose it is."""
    (tmp_path / "perftui.toml").write_text(
        '[check]\nslo = ["p95<300ms", "GET /a: p95<1s", "p95<1s for 5s"]\n'
    )
    shop = picture(
        slo=[SloVerdict("p95<200ms", "all", None, None), SloVerdict("errors<1%", "all", None, None)]
    )
    found = every_objective(shop, read_project(tmp_path).objectives)
    assert [(str(each), each.source) for each in found] == [
        ("p95<300ms", "perftui.toml"),
        ("errors<1%", "the service"),
        ("GET /a: p95<1s", "perftui.toml"),
        ("p95<1s for 5s", "perftui.toml"),
    ]
