"""What is to be sent, as it is typed."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest

from perftui.ramp.plan import PlanError, parse_request, parse_requests, read_mix, stream


def sent(plan: list[str], weights: list[float], number: int = 4000) -> list[str]:
    made = stream(parse_requests(plan, weights), random.Random(7))
    return [f"{each.method} {each.path}" for each in itertools.islice(made, number)]


def test_braces_stand_for_numbers_and_words() -> None:
    """Every number of the range, its ends included, and each of the words."""
    paths = Counter(sent(["GET /items/{1..5}", "get /{shop,blog}/x?q={a,b}"], []))
    assert {f"GET /items/{number}" for number in range(1, 6)} <= set(paths)
    assert {"GET /shop/x?q=a", "GET /blog/x?q=b"} <= set(paths)
    assert len(paths) == 9


def test_weights_are_shares() -> None:
    """Ten to one."""
    counts = Counter(path.split("/")[1] for path in sent(["GET /a", "GET /b"], [10, 1]))
    assert 8 < counts["a"] / counts["b"] < 12.5


def test_a_body_comes_from_a_file_with_its_braces_filled(tmp_path: Path) -> None:
    """As JSON where the name says so."""
    body = tmp_path / "body.json"
    body.write_text('{"item": {1..3}}')
    request = parse_request(f"POST /orders @{body}")
    bodies = {each.body for each in itertools.islice(stream([request], random.Random(1)), 50)}
    assert bodies == {b'{"item": 1}', b'{"item": 2}', b'{"item": 3}'}
    assert (request.content_type, request.changes_things) == ("application/json", True)


def test_the_braces_of_a_body_are_its_own_but_for_numbers(tmp_path: Path) -> None:
    """An object of JSON has commas, and is no choice of words; a range turned round is one all the same."""
    body = tmp_path / "cart.json"
    body.write_text('{"customer": 1, "lines": [{"item": {9..9}, "quantity": {2..2}}]}')
    request = parse_request(f"POST /checkout @{body}")
    sent = next(stream([request], random.Random(1)))
    assert sent.body == b'{"customer": 1, "lines": [{"item": 9, "quantity": 2}]}'
    body.write_text("{2..1}")
    assert next(stream([parse_request(f"POST /a @{body}")], random.Random(1))).body in {b"1", b"2"}


def test_a_mix_is_a_request_a_line(tmp_path: Path) -> None:
    """With its weight before it, and remarks behind."""
    mix = tmp_path / "mix"
    mix.write_text("10 GET /items/{1..9}  # most\n\n# none\nGET /healthz\n")
    plan = read_mix(mix)
    assert [(str(each), each.weight) for each in plan] == [("GET /items/{1..9}", 10.0), ("GET /healthz", 1.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/items", "is no request"),
        ("FETCH /items", "is none of"),
        ("GET items", "is no request"),
        ("GET /items/{5..1}", "goes down"),
        ("GET /items/{item_id}", "write {1..5000}"),
        ("POST /orders @nowhere.json", "can't be read"),
    ],
)
def test_what_can_not_be_sent_is_said_in_a_line(text: str, said: str) -> None:
    """With how it is written."""
    with pytest.raises(PlanError, match=said):
        parse_request(text)
    with pytest.raises(PlanError, match="one for each"):
        parse_requests(["GET /a", "GET /b"], [1])


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_a_weight_is_a_number_above_none(weight: float) -> None:
    """Of what is none, no share can be reckoned."""
    with pytest.raises(PlanError, match="its weight is"):
        parse_request("GET /items", weight)
