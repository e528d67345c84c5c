"""What may be promised, and how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.check.grammar import Objective, ObjectiveError, none_of, parse_objective
from perftui.findings.find import RULES
from perftui.model.measures import Totals
from perftui.model.slo import judge
from perftui_agent.wire.identity import SloTarget


@pytest.mark.parametrize(
    ("text", "scope", "metric", "sign", "bound", "for_s"),
    [
        ("p95<200ms", "all", "p95", "<", 200.0, None),
        ("GET /pay: p99<=300ms for 30s", "GET /pay", "p99", "<=", 300.0, 30.0),
        ("errors<1%", "all", "errors", "<", 0.01, None),
        ("errors=0", "all", "errors", "=", 0.0, None),
        ("rps>=50", "all", "rps", ">=", 50.0, None),
        ("rps ≥ 50/s for 1m", "all", "rps", ">=", 50.0, 60.0),
        ("sql_per_request<=12", "all", "sql_per_request", "<=", 12.0, None),
        ("http_per_request<=3", "all", "http_per_request", "<=", 3.0, None),
        ("findings=none", "all", "findings", "=", 0.0, None),
        ("n-plus-one=none", "all", "n-plus-one", "=", 0.0, None),
        ("high == 0", "all", "high", "=", 0.0, None),
        ("bytes_p95<200kB", "all", "bytes_p95", "<", 200_000.0, None),
        ("bytes_p95<1MiB", "all", "bytes_p95", "<", 1_048_576.0, None),
        ("queue_p95<50ms", "all", "queue_p95", "<", 50.0, None),
        ("ttfb_p99.9<1.5s", "all", "ttfb_p99.9", "<", 1500.0, None),
        ("background_max<1m", "all", "background_max", "<", 60_000.0, None),
        ("  GET   /files/{path:path} :  p95 <  200ms ", "GET /files/{path:path}", "p95", "<", 200.0, None),
        ("GET (unmatched): errors<1%", "GET (unmatched)", "errors", "<", 0.01, None),
        ("(other): p50<9us", "(other)", "p50", "<", 0.009, None),
        ("all: requests>=100", "all", "requests", ">=", 100.0, None),
    ],
)
def test_what_is_promised_is_read(
    text: str, scope: str, metric: str, sign: str, bound: float, for_s: float | None
) -> None:
    """Of whom, which figure, which side of which bound, and over which stretches of the time."""
    found = parse_objective(text)
    assert (found.scope, found.metric, found.sign, found.for_s) == (scope, metric, sign, for_s)
    assert found.bound == pytest.approx(bound)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "says nothing that can be judged: write 'p95<200ms'"),
        ("fast please", "says nothing that can be judged"),
        ("p95<200", "'200' is no bound of p95; write p95<200ms (us, µs, ms, s, m)"),
        ("p95<200kB", "write p95<200ms"),
        ("p0<1ms", "there are p50 to p99.9 and max"),
        ("latency<200ms", "latency is nothing that can be judged; there are p50"),
        ("errors<5", "write errors<1% (%)"),
        ("errors<101%", "a share is 100% at most"),
        ("bytes_p95<200", "write bytes_p95<200kB (B, kB"),
        ("rps>=fast", "write rps>=50"),
        ("sql_per_request<=12ms", "write sql_per_request<=12 (a number alone)"),
        ("p95=200ms", "= is for none alone"),
        ("findings>=1", "write findings=none"),
        ("findings=none for 30s", "leave out 'for 30s'"),
        ("p95<200ms for ever", "write whole seconds or minutes"),
        ("p95<200ms for 0.5s", "write whole seconds or minutes"),
        ("p95<200ms for 1h", "write whole seconds or minutes"),
        ("GET /x p95<200ms", "says nothing that can be judged"),
    ],
)
def test_what_says_nothing_is_told_in_one_line_with_what_may_stand_there(text: str, said: str) -> None:
    """Nothing is guessed."""
    with pytest.raises(ObjectiveError) as error:
        parse_objective(text)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@given(st.text(max_size=60) | st.text("p95<>=20ms: GETfor%/", max_size=20))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    """In one line, and what is read says the same when it is written again."""
    try:
        found = parse_objective(text)
    except ObjectiveError as error:
        found, said = None, str(error)
    else:
        said = str(found)
    assert "\n" not in said
    assert found is None or parse_objective(said) == found


@given(
    scope=st.sampled_from(["all", "GET /", "POST /a/{b}", "GET /f/{p:path}", "GET (unmatched)", "(other)"]),
    metric=st.sampled_from(["p50", "p95", "p99.9", "max", "queue_p95", "ttfb_p50", "background_p99"]),
    sign=st.sampled_from(["<", "<=", ">", ">="]),
    number=st.integers(1, 10**6),
    unit=st.sampled_from(["us", "ms", "s", "m"]),
    lasting=st.sampled_from(["", " for 1s", " for 30s", " for 2m"]),
)
def test_what_is_written_is_what_is_read(
    scope: str, metric: str, sign: str, number: int, unit: str, lasting: str
) -> None:
    """Whatever the parts, and whatever the blanks between them."""
    text = f"{scope}:  {metric} {sign}  {number}{unit}{lasting}"
    found = parse_objective(text)
    assert (found.scope, found.metric, found.sign) == (scope, metric, sign)
    assert found.bound == pytest.approx(number * {"us": 0.001, "ms": 1.0, "s": 1e3, "m": 6e4}[unit])
    assert parse_objective(str(found)) == found


@given(
    sign=st.sampled_from(["<", "<=", ">", ">="]), value=st.floats(0.0, 1e6), bound=st.integers(1, 1_000_000)
)
def test_a_value_keeps_a_bound_as_its_sign_says(sign: str, value: float, bound: int) -> None:
    """On the bound itself, too."""
    found = parse_objective(f"p95{sign}{bound}ms")
    for each in (value, float(bound)):
        kept = {"<": each < bound, "<=": each <= bound, ">": each > bound, ">=": each >= bound}[sign]
        assert found.kept_by(each) is kept


def test_what_the_service_promises_is_read_as_it_is_shown() -> None:
    """The texts of its targets are expressions of the same grammar."""
    targets = [SloTarget(p95_ms=200, p99_ms=350.5, error_rate=0.015, rps=50), SloTarget("GET /pay", p95_ms=1)]
    read = [parse_objective(f"{each.scope}: {each.slo}") for each in judge(targets, Totals(), ())]
    assert [(str(each), each.bound) for each in read] == [
        ("p95<200ms", 200.0),
        ("p99<350.5ms", 350.5),
        ("errors<1.5%", pytest.approx(0.015)),
        ("rps>=50", 50.0),
        ("GET /pay: p95<1ms", 1.0),
    ]


def test_what_is_not_to_be_found_is_a_kind_a_severity_or_anything() -> None:
    """Every kind there is may be named; a slip is told with what was meant."""
    assert [str(none_of(kind)) for kind in RULES] == [f"{kind}=none" for kind in RULES]
    assert [str(none_of(word)) for word in ("high", "any", "Findings")] == [
        "high=none", "findings=none", "findings=none",
    ]  # fmt: skip
    with pytest.raises(ObjectiveError, match="did you mean n-plus-one"):
        none_of("n-plus-1")
    with pytest.raises(ObjectiveError, match="there are high, medium, low, slo-breach"):
        none_of("quux")


def test_objectives_are_the_same_if_they_say_the_same() -> None:
    """Blanks are no difference."""
    assert isinstance(parse_objective("p95<1s"), Objective)
    assert parse_objective("GET /a:p95<1s") == parse_objective(" GET /a : p95 < 1s")
