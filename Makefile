# Every task of this repository. Each target does its own set-up: the first run makes .venv from the
# lock file (network needed), later runs touch nothing and work offline.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Where it is set, each of the thousands of processes that tests start compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
PACKAGES := ledger ingest query loadtest tests tools
PART ?= tests
# Of a file one after the other: they share its servers.
AT_ONCE := --numprocesses=2 --dist=loadfile
SOAK_kills := tests/distributed/test_kills.py
SOAK_seeds := tests/simulation/test_seeds.py::test_no_schedule_breaks_a_promise
SOAK_inputs := tests/test_ingest_mutations.py tests/test_admission_lanes.py

.PHONY: help
help: ## Shows this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- what a person runs ----------------------------------------------------------------------------

.PHONY: demo
demo: ready ## Scanners stream, the server is killed, nothing is lost: from nothing, in about a minute.
	@$(BIN)/parcel-ledger demo

.PHONY: test
test: ## Everything: lint, all tests, also on Kafka and Cassandra, and the wheel in an empty environment.
	@started=$$(date +%s); $(MAKE) ready wheels compiler engines; $(BIN)/python tools/run_tests.py --started $$started

.PHONY: test-fast
test-fast: ready compiler ## The tests that are not marked slow: less than a minute.
	@$(BIN)/python -m pytest $(AT_ONCE) -m "not slow"

.PHONY: soak
soak: ready wheels compiler engines ## The same tests with far larger numbers; PART=kills, seeds, inputs, or a file of tests.
	@$(BIN)/python -m pytest --soak --timeout=7200 $(or $(SOAK_$(PART)),$(PART))

.PHONY: coverage
coverage: ready compiler ## Which lines and branches no fast test reaches.
	@$(BIN)/coverage run -m pytest -m "not slow"
	@$(BIN)/coverage report --show-missing --skip-covered

.PHONY: bench
bench: ready engines ## Measures everything beside what its parts can do alone; QUICK=1 is short, SECTIONS=rf1 chooses.
	@$(BIN)/python -m loadtest.bench

.PHONY: bench-prices
bench-prices: ready engines ## Measures what it costs to sync to disk before every answer.
	@$(BIN)/python -m loadtest.bench.prices

.PHONY: load
load: ready ## Locust loads a ledger and verifies it; USERS=50 TIME=60s SHAPE=morning WEB=1 HOST=host:port QUERY=host:port
	@$(BIN)/python -m loadtest.load

# --- what an author runs ---------------------------------------------------------------------------

.PHONY: lint
lint: ready ## Style, types, imports, the wire's rules, spelling, and whether generated code is fresh.
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/typos
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/buf lint proto
	@$(BIN)/buf format --diff --exit-code proto
	@if [ -e proto/released.binpb ]; then $(BIN)/buf breaking proto --against proto/released.binpb; fi
	@$(BIN)/python tools/gen.py --check
	@$(BIN)/python tools/gen_monitoring.py --check
	@$(BIN)/python tools/gen_vocabulary.py --check
	@$(BIN)/python tools/gen_numbers.py --check
	@$(BIN)/mypy $(PACKAGES)

.PHONY: fmt
fmt: ready ## Formats Python and proto files, and mends what can be mended.
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .
	@$(BIN)/buf format --write proto

.PHONY: gen
gen: ready ## Makes ledger/v1 from the proto files, dashboard and alerts from the metrics, docs/numbers.md and docs/vocabulary.md from their data.
	@$(BIN)/python tools/gen.py
	@$(BIN)/python tools/gen_monitoring.py
	@$(BIN)/python tools/gen_vocabulary.py
	@$(BIN)/python tools/gen_numbers.py

.PHONY: lock
lock: ready ## Writes the lock files anew; UPGRADE=--upgrade takes the newest versions.
	@$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/run.txt
	@$(LOCK) pyproject.toml --extra kafka --extra cassandra --constraint requirements/dev.txt --output-file requirements/roles.txt
	@echo uv | $(LOCK) - --output-file requirements/uv.txt
	@echo hatchling | $(LOCK) - --constraint requirements/dev.txt --output-file requirements/build.txt

.PHONY: released
released: ready ## At a release: keeps the wire's image, against which later changes are checked.
	@$(BIN)/buf build proto --exclude-source-info --output proto/released.binpb

# --- set-up ----------------------------------------------------------------------------------------

# No index, no host and no path enters a lock file: it must work behind any mirror.
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 $(UPGRADE) \
	--generate-hashes --no-header --no-emit-index-url --custom-compile-command "make lock"
LOCKED := --quiet --require-hashes --only-binary :all:

.PHONY: ready
ready: $(VENV)/ready
	@:

.PHONY: wheels
wheels: $(VENV)/wheels/complete
	@:

.PHONY: compiler
compiler: # The power-cut test compiles a small library that forgets what was not synced.
	@tools/prepare.sh gcc

.PHONY: java
java: # Kafka and Cassandra run on Java 17, and Maven fetches them.
	@tools/prepare.sh java

.PHONY: engines
engines: ready java # Their jars lie in the user's cache: fetched once for all checkouts, then offline.
	@$(BIN)/python -m ledger.app.engines

# The editable install needs no network: hatchling is in the lock.
$(VENV)/ready: $(VENV)/locked pyproject.toml
	@$(PIP) install --quiet --no-deps --no-index --no-build-isolation --editable .
	@touch $@

# uv takes a quarter of pip's time. pip does it where uv cannot: where there is no wheel of uv for the
# machine, or where only pip has been told of a mirror.
$(VENV)/locked: requirements/uv.txt requirements/dev.txt
	@tools/prepare.sh venv $(VENV)
	@echo "set-up: installing the locked dependencies into $(VENV)"
	@$(PIP) install $(LOCKED) --requirement requirements/uv.txt \
		&& $(BIN)/uv pip install --python $(BIN)/python $(LOCKED) --requirement requirements/dev.txt 2>/dev/null \
		|| $(PIP) install $(LOCKED) --requirement requirements/dev.txt
	@touch $@

# The runtime's wheels, kept so that the tests of our own wheel and of the image work offline.
$(VENV)/wheels/complete: $(VENV)/locked requirements/roles.txt requirements/build.txt
	@$(PIP) download $(LOCKED) --requirement requirements/roles.txt --dest $(@D)
	@$(PIP) download $(LOCKED) --requirement requirements/build.txt --dest $(@D)
	@touch $@
