"""What perftui promises to the apps it watches, clause by clause, and the tests that hold it to each.

A promise is kept by its tests: one that is renamed or removed fails here until its clause has another.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

PROMISES: dict[int, dict[str, tuple[str, ...]]] = {
    1: {
        "messages pass unchanged, in order": (
            "agent/probes/http/timing: promise_1_messages_pass_unchanged_and_in_order",
        ),
        "the agent never receives": ("agent/probes/http/timing: promise_1_the_agent_never_receives",),
        "the scope gains one marker": (
            "agent/probes/http/timing: promise_1_the_scope_gains_one_private_key",
        ),
    },
    2: {
        "exceptions pass": ("agent/probes/failures: promise_2_an_exception_passes_as_it_is",),
        "cancellation passes": ("agent/probes/failures: promise_2_what_is_no_exception_passes_too",),
        "groups pass": ("agent/probes/failures: promise_2_groups_of_exceptions_pass_and_are_told_of",),
        "contexts": ("agent/probes/http/timing: promise_2_context_variables_are_seen_as_without_the_agent",),
    },
    3: {
        "lifespan state": ("agent/probes/http/timing: promise_3_lifespan_state_reaches_the_requests",),
        "failures at start-up": ("agent/probes/http/timing: promise_3_a_failure_at_startup_is_the_apps_own",),
        "exit codes": ("flow/agent_servers: promise_3_a_failed_startup_ends_as_without_the_agent",),
        "shutdown": (
            "flow/agent_servers: promise_3_a_client_that_watches_holds_up_no_shutdown",
            "agent/serve/endpoint: promise_3_a_client_that_reads_nothing_holds_up_no_shutdown",
        ),
    },
    4: {
        "each request once": (
            "agent/beside_others: promise_4_each_request_counts_once_beside_another_instrument",
            "agent/beside_others: promise_4_each_request_counts_once_beside_all_of_them",
            "agent/beside_others: promise_4_each_request_counts_once_beside_fastapis_own_telemetry",
        ),
        "each query once": ("agent/probes/sql/beside: beside_opentelemetry_and_sentry",),
    },
    5: {
        "their own suites": ("upstream/__main__: main",),
    },
    6: {
        "a raising probe": ("agent/lifecycle: promise_6_a_probe_that_raises_is_off_and_counted",),
        "a full disk": ("agent/lifecycle: promise_6_a_full_disk_costs_the_entry_until_there_is_room",),
        "a request": ("agent/probes/failures: promise_6_a_fault_of_ours_costs_a_count_and_no_response",),
        "an unknown version": (
            "agent/probes/caches/probe: promise_6_a_fault_of_ours_costs_a_count_and_no_lookup",
        ),
    },
    7: {
        "totals": ("flow/first_light: promise_7_every_request_to_the_shop_is_counted_once_under_its_route",),
        "percentiles": ("flow/first_light: promise_7_counts_and_quantiles_are_those_of_the_requests",),
        "a recycled pid": (
            "agent/serve/rendezvous: promise_7_a_recycled_pid_is_another_worker",
            "perftui/model/merge: a_recycled_pid_is_another_worker",
        ),
        "never backwards": ("agent/wire/codec: promise_7_what_would_run_backwards_is_refused",),
    },
    8: {
        "every prefix": ("agent/probes/http/routes: promise_8_nested_routers_give_all_their_prefixes",),
        "any root path": ("agent/probes/http/routes: promise_8_a_root_path_is_not_in_the_label",),
        "random paths": ("agent/probes/http/routes: promise_8_random_paths_make_one_row",),
        "odd methods": ("agent/probes/http/routes: promise_8_odd_methods_are_one",),
    },
    9: {
        "from the bytes": (
            "agent/probes/http/arrival: promise_9_latency_begins_when_the_bytes_have_arrived",
        ),
        "to the last byte": (
            "agent/probes/http/timing: promise_9_latency_ends_with_the_last_byte_of_a_stream",
        ),
        "and where not": ("agent/probes/http/arrival: where_the_kernel_cannot_be_asked_the_status_says_why",),
        "background": ("agent/probes/http/timing: promise_9_background_tasks_are_apart",),
        "who leaves": ("flow/agent_servers: promise_9_clients_that_leave_are_disconnected",),
        "preflights": ("agent/probes/http/timing: promise_9_preflights_stay_out_of_latency",),
        "WebSockets": ("flow/agent_servers: promise_9_open_websockets_are_counted",),
        "streams": ("agent/probes/http/timing: promise_9_event_streams_stay_out_of_latency",),
    },
    10: {
        "once": (
            "agent/probes/sql/statements: several_engines",
            "agent/probes/sql/statements: failed",
        ),
        "cancelled": ("agent/probes/sql/cancelled: cancelled",),
        "engines made before": ("agent/probes/sql/beside: engine_made_before",),
        "no N+1": ("agent/probes/sql/repetition: eager_loading_repeats_nothing",),
        "no data is not 0": ("perftui/commands/document: a_picture_of_nothing_says_that_nothing_is_known",),
    },
    11: {
        "the checkout": (
            "agent/probes/sql/pools: wait_of_a_thread",
            "agent/probes/sql/pools: async_wait",
        ),
        "time-outs": ("agent/probes/sql/pools: time_out",),
        "no size": ("agent/probes/sql/pools: pools_without_a_size",),
    },
    12: {
        "once": (
            "agent/probes/caches/lookups: a_hit_counts_once_however_it_is_spelled",
            "agent/probes/caches/lookups: a_miss_counts_once_however_it_is_spelled",
        ),
        "unchanged": (
            "agent/probes/caches/twins: a_watched_cache_behaves_as_its_twin_and_counts_each_lookup_once",
        ),
    },
    13: {
        "engines": ("agent/probes/sql/engines: promise_13_of_100_000_engines_nothing_is_kept",),
        "tables": ("agent/window/tables: promise_13_tables_stay_small_under_100_000_names",),
        "clients": (
            "agent/serve/worker_socket: promise_13_a_client_that_does_not_read_loses_frames",
            "agent/serve/worker_socket: promise_13_a_ninth_client_is_refused_with_a_reason",
        ),
        "frames": ("agent/wire/fitting: frames_stay_below_their_bound_and_no_count_is_lost",),
        "what matters stays": ("agent/window/tables: after_a_migration_the_statements_that_run_are_named",),
    },
    14: {
        "it gives up details": ("agent/window/degrade: what_is_followed_fits_into_the_budget",),
        "and says so": ("agent/window/degrade: it_says_what_is_left_out",),
        "counts stay exact": (
            "agent/window/degrade: what_is_not_followed_is_counted_and_timed_all_the_same",
            "agent/probes/sql/under_load: many_threads_count_every_statement",
        ),
        "fewer frames": ("agent/window/degrade: frames_come_more_seldom_where_they_are_what_costs",),
        "it comes back": ("agent/window/degrade: all_are_followed_again_when_the_load_goes",),
    },
    15: {
        "descriptors": ("agent/listeners: looking_changes_nothing_of_a_descriptor",),
        "imports": ("agent/lifecycle: promise_15_nothing_starts_at_import_nor_by_instrumenting",),
        "forks": ("flow/first_light: promise_15_nothing_starts_before_the_fork",),
        "reloads": ("agent/lifecycle: promise_15_twenty_lifespans_leave_nothing",),
    },
    16: {
        "modes": ("agent/serve/worker_socket: promise_16_the_socket_is_for_its_owner_alone",),
        "peers": ("agent/serve/worker_socket: promise_16_another_user_is_refused",),
        "planted": (
            "agent/serve/rendezvous: promise_16_a_directory_in_which_others_have_planted_is_refused",
        ),
    },
    17: {
        "tokens": ("agent/settings: promise_17_a_short_token_is_refused_wherever_it_comes_from",),
        "browsers": (
            "agent/serve/worker_socket: promise_17_a_browser_is_refused",
            "agent/serve/auth: promise_17_nothing_else_opens",
        ),
        "the door": (
            "flow/remote_door: promise_17_without_the_token_the_door_is_an_unknown_path",
            "agent/serve/auth: promise_17_the_token_in_its_header_opens",
        ),
        "proxies": ("flow/remote_door: promise_17_what_a_proxy_says_is_not_believed",),
    },
    18: {
        "one at a time": ("agent/inspect/actions: single_flight",),
        "limited": ("agent/inspect/actions: rate",),
        "logged": ("agent/inspect/actions: audit_log",),
        "EXPLAIN": (
            "agent/inspect/explain/plans: only_one_query_is_explained",
            "agent/inspect/explain/more: promise_18_what_is_explained_is_not_done",
        ),
    },
    19: {
        "shapes": ("agent/probes/sql/shapes: no_value_survives",),
        "binds": ("agent/probes/sql/binds: salted",),
        "plans": (
            "agent/inspect/explain/plans: no_value_of_a_plan_is_shown",
            "agent/inspect/explain/explainer: every_driver",
        ),
    },
    20: {
        "messages": ("agent/wire/codec: promise_20_any_bytes_are_a_message_or_a_wire_error",),
        "files": ("agent/blackbox/box: promise_20_what_is_no_box_is_refused",),
        "escapes": ("perftui/model/merge: text_from_outside_is_cleaned_at_the_door",),
    },
    21: {
        "the socket": ("agent/serve/worker_socket: promise_21_a_socket_that_is_removed_is_made_again",),
        "the entry": ("agent/serve/rendezvous: promise_21_an_entry_that_is_removed_is_written_again",),
        "cleaners": ("agent/serve/rendezvous: promise_21_files_are_kept_young_where_cleaners_take_the_old",),
        "a step of the clock": (
            "agent/lifecycle: promise_21_a_step_of_the_clock_makes_no_frame_longer_or_shorter",
        ),
        "other pid namespaces": (
            "agent/serve/rendezvous: promise_21_workers_of_another_pid_namespace_are_left_alone",
        ),
        "other hosts": ("agent/serve/rendezvous: promise_21_another_machines_workers_are_left_alone",),
    },
    22: {
        "a worker": ("flow/first_light: promise_22_a_killed_worker_is_gone_and_its_replacement_counts",),
        "its box": ("agent/blackbox/box: promise_22_kill_9_in_mid_write_leaves_a_readable_box",),
        "nothing by hand": (
            "agent/serve/rendezvous: promise_22_what_a_killed_worker_left_is_swept_by_the_next",
        ),
    },
    23: {
        "never left stopped": ("agent/inspect/dump: left_stopped",),
        "a time-out": ("agent/inspect/stand_ins: hangs",),
        "one at a time": ("agent/inspect/inspector: twenty_at_once",),
    },
    24: {
        "a full disk": ("agent/lifecycle: promise_6_a_full_disk_costs_the_entry_until_there_is_room",),
        "no directory": (
            "agent/lifecycle: promise_24_a_runtime_directory_that_cannot_be_costs_the_agent_and_no_response",
        ),
        "no ptrace": ("agent/inspect/stand_ins: permission",),
        "no py-spy": ("agent/inspect/stand_ins: not_installed",),
        "a clock step": ("agent/inspect/targets: clock_step",),
        "SIGSTOP": ("flow/terminal: a_silent_service_freezes_the_picture_and_comes_back",),
        "hang-ups": ("agent/serve/worker_socket: promise_24_a_thousand_hang_ups_leave_nothing",),
    },
    25: {
        "noise": ("perftui/model/comparison: what_comes_from_one_distribution_is_noise",),
        "too few": ("perftui/model/comparison: of_few_requests_no_p99_can_be_told",),
        "estimates": ("perftui/screens/details: a_worker_tells_of_its_process_and_its_agent",),
    },
    26: {
        "healthy": ("perftui/findings/find: a_healthy_service_shows_none",),
        "causes first": (
            "perftui/present/triage/attention: what_is_so_now_comes_first_and_causes_before_missed_targets",
        ),
    },
}
"""By its number, each clause with its tests: `agent/serve/rendezvous: name` stands for those in
`tests/agent/serve/test_rendezvous.py` whose names begin with `test_name`."""


@pytest.mark.parametrize("number", range(1, 27))
def test_a_promise_has_tests_for_each_of_its_clauses(number: int) -> None:
    """And they are there."""
    named = [test for tests in PROMISES[number].values() for test in tests]
    assert named
    assert [test for test in named if not any(one.startswith(test) for one in every_test())] == []


def test_a_test_that_is_named_after_a_promise_is_named_after_one_of_them() -> None:
    """A number that is none would say that something is promised which is not."""
    numbers = [re.match(r"promise_(\d+)_", name.partition(": ")[2]) for name in every_test()]
    assert {int(number[1]) for number in numbers if number} <= set(PROMISES)


@cache
def every_test() -> frozenset[str]:
    """Return all tests, as the table names them, and what runs others' tests."""
    found = {"upstream/__main__: main"} if (TESTS / "upstream" / "__main__.py").is_file() else set()
    for path in TESTS.rglob("test_*.py"):
        place = path.relative_to(TESTS).with_name(path.stem.removeprefix("test_")).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        functions = (node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
        found |= {f"{place}: {name.removeprefix('test_')}" for name in functions if name.startswith("test_")}
    return frozenset(found)
