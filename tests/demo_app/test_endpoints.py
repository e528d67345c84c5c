"""Each of the shop's endpoints, over HTTP, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import random
import re
from collections import Counter

import pytest
from websockets.sync.client import connect

from demo_app.faults.error_burst import FAILS_ONE_IN
from demo_app.goods import ITEMS, ORDERS
from demo_app.visits import pick
from tests.support.servers import Service

OF_A_KIND = 10
"""So many visits of one kind are made."""


def get(shop: Service, path: str, status: int = 200) -> object:
    [response] = shop.get(path)
    assert status == response.status_code, response.text
    return response.json()


def test_a_page_of_items_goes_on_behind_the_last_one(shop: Service) -> None:
    """The second page of items begins behind the last id of the first."""
    with shop.client() as client:
        first = client.get("/items", params={"limit": 10}).json()
        second = client.get("/items", params={"limit": 10, "after": first[-1]["id"]}).json()
    assert list(range(1, 21)) == [item["id"] for item in first + second]


def test_items_are_filtered_by_category(shop: Service) -> None:
    """A page of one category holds items of that category alone."""
    with shop.client() as client:
        page = client.get("/items", params={"category": "decor"}).json()
    assert {"decor"} == {item["category"] for item in page}


def test_an_item_is_the_same_from_the_database_and_from_the_cache(shop: Service) -> None:
    """Repeated looks at one item, at whichever worker, show the same item."""
    bodies = {response.text for response in shop.get("/items/77", times=6)}
    assert len(bodies) == 1
    assert json.loads(bodies.pop())["id"] == 77


def test_an_unknown_item_is_not_found(shop: Service) -> None:
    """An id without an item is a 404 with a sentence."""
    assert {"detail": f"no item {ITEMS + 5}"} == get(shop, f"/items/{ITEMS + 5}", 404)


def test_orders_come_newest_first_with_their_lines(shop: Service) -> None:
    """A page of orders runs backwards, and each order's lines add up to its total."""
    with shop.client() as client:
        orders = client.get("/orders", params={"before": 5000}).json()
    assert list(range(4999, 4949, -1)) == [order["id"] for order in orders]
    for order in orders:
        assert order["total_cents"] == sum(line["quantity"] * line["price_cents"] for line in order["lines"])


def test_an_order_is_found_by_its_id(shop: Service) -> None:
    """One order is returned with its lines."""
    order = get(shop, f"/orders/{ORDERS}")
    assert isinstance(order, dict)
    assert (order["id"], len(order["lines"]) > 0) == (ORDERS, True)


def test_a_checkout_places_an_order(shop: Service) -> None:
    """What was bought can be looked up as an order, at the items' prices."""
    with shop.client() as client:
        price = client.get("/items/4").json()["price_cents"]
        cart = {"customer_id": 3, "lines": [{"item_id": 4, "quantity": 2}]}
        placed = client.post("/checkout", json=cart)
        assert placed.status_code == 201, placed.text
        order = client.get(f"/orders/{placed.json()['order_id']}").json()
    assert (2 * price, 3) == (placed.json()["total_cents"], order["customer_id"])
    assert [{"item_id": 4, "quantity": 2, "price_cents": price}] == order["lines"]


@pytest.mark.parametrize(
    "cart",
    [
        {"customer_id": 3, "lines": [{"item_id": ITEMS + 1, "quantity": 1}]},
        {"customer_id": 10_000_000, "lines": [{"item_id": 4, "quantity": 1}]},
        {"customer_id": 3, "lines": []},
    ],
    ids=["unknown item", "unknown customer", "empty cart"],
)
def test_an_impossible_cart_is_refused(shop: Service, cart: dict[str, object]) -> None:
    """A cart that can't be bought is a 422, not a 500."""
    with shop.client() as client:
        assert client.post("/checkout", json=cart).status_code == 422


def test_a_payment_is_approved(shop: Service) -> None:
    """An order whose card the gateway can cope with is paid."""
    with shop.client() as client:
        receipt = client.post("/pay", json={"order_id": FAILS_ONE_IN + 1})
    assert receipt.json() == {"order_id": FAILS_ONE_IN + 1, "approved": True}


def test_a_report_covers_all_categories(shop: Service) -> None:
    """The report has one row for each category, and they cover the lines that were asked for."""
    report = get(shop, "/reports?lines=2000")
    assert isinstance(report, list)
    assert (len(report), sum(row["lines"] for row in report)) == (8, 2000)


def test_settings_are_served_by_section(shop: Service) -> None:
    """Each section has its own settings, and an unknown one is a 404 that names those there are."""
    settings, unknown = get(shop, "/config"), get(shop, "/config?section=moon", 404)
    assert isinstance(settings, dict)
    assert settings["currency"] == "EUR"
    assert "shop, checkout, search, banner" in str(unknown)


def test_search_finds_items_by_the_beginnings_of_words(shop: Service) -> None:
    """Every hit has a word for each word of the query."""
    hits = get(shop, "/search?q=Oak+lamp")
    assert isinstance(hits, list)
    assert len(hits) == 20
    assert all("oak lamp" in item["name"] for item in hits)


def test_an_invoice_adds_up(shop: Service) -> None:
    """An invoice is text with the order's total."""
    order = get(shop, "/orders/12")
    [invoice] = shop.get("/invoices/12")
    assert isinstance(order, dict)
    assert f"Total {order['total_cents'] / 100:.2f} EUR" in invoice.text


def test_the_export_has_every_line(shop: Service) -> None:
    """The CSV streams a header and then one row for each order line, in order."""
    with shop.client() as client, client.stream("GET", "/export") as response:
        rows = list(response.iter_lines())
        assert "content-length" not in response.headers
    assert rows[0] == "order_id,placed_on,customer_id,item_id,quantity,price_cents"
    order_ids = [int(row.split(",")[0]) for row in rows[1:]]
    assert sorted(order_ids) == order_ids
    assert set(range(1, ORDERS + 1)) <= set(order_ids)


def test_the_back_office_counts_a_day(shop: Service) -> None:
    """The mounted application reports the orders of one day."""
    stats = get(shop, "/admin/stats/2025-03-04")
    assert isinstance(stats, dict)
    assert (stats["day"], stats["orders"] > 50) == ("2025-03-04", True)


@pytest.mark.parametrize("path", ["/items/3", "/orders/3", "/items?limit=2"])
def test_the_public_api_serves_the_same_below_its_prefix(shop: Service, path: str) -> None:
    """The nested routers answer as the shop itself does."""
    assert get(shop, path) == get(shop, f"/api/v1{path}")


def test_prices_come_over_a_websocket(shop: Service) -> None:
    """A connected customer is sent price changes."""
    with connect(f"ws://127.0.0.1:{shop.port}/ws/prices", proxy=None) as websocket:
        change = json.loads(websocket.recv(timeout=10))
    assert {"item_id", "price_cents"} == set(change)


def test_the_shop_says_that_it_is_well(shop: Service) -> None:
    """The load balancer gets its answer."""
    assert get(shop, "/healthz") == {"status": "ok"}


def test_visits_get_answers(shop: Service) -> None:
    """What the traffic asks for exists: nothing but payments fails, and little is not found."""
    rng = random.Random(7)
    asked: Counter[tuple[str, str]] = Counter()
    answers: list[tuple[str, int]] = []
    with shop.client() as client:
        for visit in (pick(rng) for _ in range(200)):
            kind = visit.method, re.sub(r"\d+|\?.*", "", visit.path)
            asked[kind] += 1
            # Every item is as the others; a hundred of them were most of the time of these tests.
            if asked[kind] <= OF_A_KIND and visit.path not in {"/reports", "/catalog", "/pay"}:
                answer = client.request(visit.method, visit.path, json=visit.json)
                answers.append((visit.path, answer.status_code))
    assert len(answers) >= 5 * OF_A_KIND
    assert [(path, status) for path, status in answers if status >= 500] == []
    assert [(path, status) for path, status in answers if status in {405, 422}] == []
    assert sum(status == 404 for _, status in answers) < OF_A_KIND
