"""The published JSON Schema describes what is printed: no key too few, none too many."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.documents.snapshot import document, json_schema
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import Frame
from tests.support import command
from tests.support.busy import encoded_frames
from tests.support.fake_evidence import ShopFeed
from tests.support.frames import T, dashboard_of, joined, received, worker


def busy() -> dict[str, Any]:
    """Return the document of a worker that has some of everything."""
    sent = decode_from_agent(encoded_frames(20)[0])
    assert isinstance(sent, Frame)
    sent.seq, sent.ended_at = 1, (T + 1) * 10**9
    summary = summarize(dashboard_of(joined(worker(1)), received(worker(1), sent)), T + 1.5)
    return json.loads(json.dumps(document(summary)))  # type: ignore[no-any-return]


def strict(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with no further key allowed: in this tree the two are one."""
    closed = copy.deepcopy(schema)
    for each in closed["$defs"].values():
        each["additionalProperties"] = False
    return closed


def test_what_is_printed_is_what_the_schema_says() -> None:
    """A busy second, a shop and a picture of nothing are valid; no key is there that it does not tell."""
    schema = strict(json_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    whole = busy()
    assert whole["routes"]
    assert whole["queries"]
    jsonschema.validate(whole, schema)
    jsonschema.validate(document(Summary("8000", None, float(T), 0.0)), schema)
    shop = json.loads(json.dumps(document(ShopFeed().summary(60.0))))
    assert shop["background"]
    assert shop["channels"]
    jsonschema.validate(shop, schema)


@pytest.mark.parametrize(
    ("key", "value"), [("error_rate", 1.5), ("p95_ms", "fast"), ("requests", None), ("rps", -1.0)]
)
def test_what_breaks_the_promise_is_not_valid(key: str, value: object) -> None:
    """Ratios, units and what may be null are part of it."""
    whole = busy()
    whole["totals"][key] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(whole, json_schema())


def test_a_further_key_is_no_breach() -> None:
    """A script that validates today goes on doing so when something is added."""
    jsonschema.validate(busy() | {"tomorrow": 1}, json_schema())


def test_the_command_prints_it() -> None:
    """No service is needed for that."""
    done = command.run("snapshot", "--schema")
    assert json.loads(done.stdout) == json_schema()
