"""Each named fault happens when it is on, and doesn't when it is off."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

import demo_app
from demo_app import faults
from demo_app.faults.error_burst import FAILS_ONE_IN
from demo_app.faults.registry import FAULTS
from demo_app.faults.switches import KINDS, Switches, written
from demo_app.goods import ITEMS
from perftui.findings.find import RULES
from tests.support.servers import Service, wait_until


def what_it_does(shop: Service, path: str) -> dict[str, Any]:
    """GET `path` and return what the watched shop did meanwhile."""
    shop.get("/seen")
    [response] = shop.get(path)
    assert response.status_code == 200, response.text
    seen: dict[str, Any] = shop.get("/seen")[0].json()
    return seen


def lines_statements(shop: Service) -> int:
    statements = what_it_does(shop, "/orders?before=2000")["statements"]
    return sum("FROM order_lines" in statement for statement in statements)


def test_n_plus_one(faulty: Service, healthy: Service) -> None:
    """A page of 50 orders asks for lines 50 times, or once."""
    assert (lines_statements(faulty), lines_statements(healthy)) == (50, 1)


def test_loop_blocked(faulty: Service, healthy: Service) -> None:
    """The report is computed on the event loop's thread, or on another."""
    path = "/reports?lines=1000"
    assert what_it_does(faulty, path)["built_on_loop"]
    assert not what_it_does(healthy, path)["built_on_loop"]


def search_plan(shop: Service, kind: str) -> str:
    """Return how SQLite runs the statement that a search sends."""
    [statement] = what_it_does(shop, "/search?q=lam")["statements"]
    [path] = Path(shop.env["SHOP_DATA_DIR"]).glob(f"*-{kind}.sqlite3")
    parameters = ["lam%", *([20] * (statement.count("?") - 1))]
    with contextlib.closing(sqlite3.connect(path)) as database:
        rows = database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "; ".join(row[3] for row in rows)


def test_missing_index(faulty: Service, healthy: Service) -> None:
    """A search reads all terms, or goes by the index."""
    assert "SCAN search_terms" in search_plan(faulty, "scan")
    assert "SEARCH search_terms USING INDEX ix_search_terms_term" in search_plan(healthy, "indexed")


def test_large_payload(faulty: Service, healthy: Service) -> None:
    """The catalogue is megabytes, or a page."""
    [everything], [page] = faulty.get("/catalog"), healthy.get("/catalog")
    assert (len(everything.json()), len(page.json())) == (ITEMS, 100)
    assert len(everything.content) > 2_000_000


def test_error_burst(faulty: Service, healthy: Service) -> None:
    """One order in fifty or so can't be charged: an unhandled exception, or a clear answer."""
    assert 0.01 <= 1 / FAILS_ONE_IN <= 0.02
    answers = []
    for shop in (faulty, healthy):
        with shop.client() as client:
            answers.append(client.post("/pay", json={"order_id": FAILS_ONE_IN}).status_code)
    assert answers == [500, 409]
    # The server logs it once it has answered.
    wait_until(lambda: "GatewayError: connection reset by gateway" in faulty.log(), "the log", faulty.log)


def connections(shop: Service) -> tuple[int, int]:
    """Return the size of the pool, and how many connections a checkout holds while it asks the bank."""
    shop.get("/seen")
    with shop.client() as client:
        cart = {"customer_id": 3, "lines": [{"item_id": 4, "quantity": 1}]}
        assert client.post("/checkout", json=cart).status_code == 201
    seen = shop.get("/seen")[0].json()
    return seen["pool_size"], seen["connections_held"]


def test_pool_exhausted(faulty: Service, healthy: Service) -> None:
    """A checkout holds one of four connections while the bank is asked, or none of twenty."""
    assert connections(faulty) == (4, 1)
    assert connections(healthy) == (20, 0)


def test_cache_thrash(faulty: Service, healthy: Service) -> None:
    """Looking at 40 items twice asks the database each time, or once each."""

    def selects(shop: Service) -> int:
        shop.get("/seen")
        with shop.client() as client:
            for item_id in [*range(500, 540), *range(500, 540)]:
                client.get(f"/items/{item_id}")
        return len(shop.get("/seen")[0].json()["statements"])

    assert (selects(faulty), selects(healthy)) == (80, 40)


def test_each_usual_fault_has_a_test() -> None:
    """No fault that the shop has of itself is only claimed: for each there is a test of its name here."""
    tested = {name.removeprefix("test_").replace("_", "-") for name in globals()}
    assert set() == set(faults.USUAL) - tested


def test_there_is_a_fault_of_every_kind_of_finding() -> None:
    """What can be told of can be shown: each kind has a fault of its name, each with a near miss."""
    assert set(RULES) == set(KINDS) == set(FAULTS)
    assert all(fault.kind == kind and fault.near for kind, fault in FAULTS.items())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", dict.fromkeys(faults.USUAL, "on")),
        ("none", {}),
        ("", {}),
        ("n-plus-one, near:db-lock", {"n-plus-one": "on", "db-lock": "near"}),
    ],
)
def test_faults_are_switched_by_name(text: str, expected: dict[str, faults.Mode]) -> None:
    """SHOP_FAULTS takes all, none, or names; what is written of it reads the same."""
    assert expected == faults.parse(text) == faults.parse(written(faults.parse(text)))


def test_an_unknown_fault_is_refused_with_those_that_are_near() -> None:
    """A misspelt fault is an error that says what may have been meant, not a shop that is silently well."""
    with pytest.raises(faults.UnknownFaultError, match=r"no fault 'n\+one': did you mean .*n-plus-one"):
        faults.parse("n+one")


def test_a_process_follows_the_file_and_takes_no_half_of_it(tmp_path: Path) -> None:
    """What another process writes is followed; a line without its end is not all of it yet."""
    file = tmp_path / "faults"
    here, there = Switches("none", file), Switches("n-plus-one", file)
    assert not here.follow()
    there.write({"gc-pause": "near", "db-lock": "on"})
    assert here.follow()
    assert here.modes == {"gc-pause": "near", "db-lock": "on"}
    file.write_text("none")
    assert not here.follow()
    assert here.modes


def test_every_fault_names_code_that_exists() -> None:
    """Each place a fault tells to look at is a file and a function of the shop."""
    package = Path(demo_app.__file__).parent
    for fault in FAULTS.values():
        for place in fault.look.split(", "):
            file, name = place.split(" ")
            assert name in (package / file).read_text(), place
