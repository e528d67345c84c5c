# `make` lists what one can do. Each target does its own set-up; only Python ≥ 3.11 is needed.
PYTHON ?= python3
RUN := .tools/bin/uv run --frozen --all-packages
.DEFAULT_GOAL := help
# Once, for 12 s of CPU: else, where the environment writes no bytecode, every process compiles what it imports.
export UV_COMPILE_BYTECODE := 1

help:  ## list what one can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.tools/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "perftui needs Python 3.11 or newer: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv .tools && .tools/bin/pip install --quiet --disable-pip-version-check 'uv>=0.8'

demo: .tools/bin/uv  ## the demo shop with 4 workers and traffic, and the dashboard on it
	@$(RUN) perftui demo

# mypy computes on one processor, for a minute and more: beside the tests, which are told of as they come.
test: lint contracts  ## everything: lint, types, import contracts, tests
	@$(MAKE) --no-print-directory -j2 types tests

tests: .tools/bin/uv
	@$(RUN) python -m tests

lint: .tools/bin/uv  ## style and common mistakes
	@$(RUN) ruff check . && $(RUN) ruff format --check .

types: .tools/bin/uv  ## mypy, strict
	@$(RUN) mypy

contracts: .tools/bin/uv  ## who may import whom
	@$(RUN) lint-imports

format: .tools/bin/uv  ## put the code in shape
	@$(RUN) ruff check --fix . ; $(RUN) ruff format .

bench: .tools/bin/uv  ## the budgets, each beside its peer
	@$(RUN) --group bench python -m tests.benchmarks

faults: .tools/bin/uv  ## every kind of finding, switched on and off in the demo shop: how soon is it told of
	@$(RUN) python -m tests.faults

matrix: .tools/bin/uv  ## what depends on versions, on other Pythons that are here and on the oldest libraries
	@$(RUN) python -m tests.matrix

versions: .tools/bin/uv  ## the quick part of it, two minutes
	@$(RUN) python -m tests.matrix --quick

upstream: .tools/bin/uv  ## Other projects' own tests, with the agent in their apps or watching their calls
	@$(RUN) python -m tests.upstream

browser: .tools/bin/uv  ## the report of the demo in a real Chromium: no request, no error, cause and route read
	@$(RUN) python -m tests.browser

pictures: .tools/bin/uv  ## the pictures in docs, and the keys in the README
	@$(RUN) python -m tests.support.pictures && $(RUN) python -m perftui.keys README.md

clean:  ## throw away environments and caches
	@rm -rf .venv .tools .matrix .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

.PHONY: help demo test tests lint types contracts format bench faults matrix versions upstream browser pictures clean
