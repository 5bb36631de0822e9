# Everything a person or a CI job runs. Needs Python 3.11+ and make; each target sets up what it needs.

PYTHON ?=
DURATION ?=
BENCH ?=
STUDY ?=
PYTEST_ARGS ?=
JOBS ?= 3
LOCK_ARGS ?=

BIN := .venv/bin
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# One process more than a small machine has cores: tests of real programs wait most of the time, and others compute
# meanwhile. A file stays in one process, so that its tests share what they start; files come in the order of
# tests/conftest.py.
REAL := kafka or prometheus or browser
PARALLEL = --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder
SLOWEST = --durations 15 --durations-min 5
GENERATED := deploy/prometheus/rules grafana/dashboards
TYPED := $(shell find detectors monitor -name '*.pxd')
INPUTS := pyproject.toml requirements-build.lock deploy/bin/bootstrap hatch_build.py $(shell find detectors monitor -name '*.pyx') $(TYPED) $(wildcard $(TYPED:.pxd=.py))

.DEFAULT_GOAL := help
.PHONY: help setup demo test coverage test-fast lint format build-generated check-generated peers bench studies faults lock image clean test-programs

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.development ## Create .venv with the locked development dependencies

demo: .venv/.runtime ## Run the whole system against simulated traffic (DURATION=60 ends it after a minute)
	@$(BIN)/moderation-monitor demo $(if $(DURATION),--duration $(DURATION))

test: .venv/.development test-programs ## Run all tests (PYTEST_ARGS="-k ledger")
	$(BIN)/python -m pytest $(PARALLEL) $(SLOWEST) $(PYTEST_ARGS)

coverage: .venv/.development test-programs ## Run all tests, slower, and print which lines and branches they did not reach
	$(BIN)/python -m pytest $(PARALLEL) --cov --cov-report=term-missing:skip-covered $(SLOWEST) $(PYTEST_ARGS)

test-fast: .venv/.development ## Run the tests that need no Kafka, Prometheus or browser
	$(BIN)/python -m pytest $(PARALLEL) -m "not ($(REAL))" $(PYTEST_ARGS)

lint: .venv/.development ## Check style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/.development ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

build-generated: .venv/.development ## Write the alert rules and dashboards from their Python sources
	$(BIN)/python -m deploy.prometheus.build
	$(BIN)/python -m grafana.build

check-generated: build-generated ## Fail when a generated file differs from the committed one
	@git diff --exit-code -- $(GENERATED)
	@test -z "$$(git ls-files --others --exclude-standard -- $(GENERATED))" || \
		{ echo "generated, not committed:"; git ls-files --others --exclude-standard -- $(GENERATED); exit 1; }

peers: .venv-peers/.installed ## Install NannyML and Evidently, in an environment of their own, to be measured by `make bench`

bench: .venv/.development test-programs ## Run all benchmarks and write tests/bench/REPORT.md (BENCH=throughput runs one)
	$(BIN)/python -m tests.bench $(BENCH)

studies: .venv/.development ## Run all simulations and write tests/studies/REPORT.md (STUDY=coverage runs one)
	$(BIN)/python -m tests.studies $(STUDY)

faults: .venv/.development test-programs ## Run the fault tests at full size on real Kafka and write tests/faults/REPORT.md
	FAULTS=full FAULTS_REPORT=tests/faults/REPORT.md $(BIN)/python -m pytest tests/faults -o faulthandler_timeout=3600 $(PYTEST_ARGS)

lock: .venv/.development ## Resolve the dependencies again (LOCK_ARGS=--upgrade for the newest)
	@deploy/bin/lock $(LOCK_ARGS)

image: ## Build the container image
	docker build --build-arg VERSION=$(VERSION) --tag moderation-monitor:$(VERSION) .

clean: ## Remove the virtual environment, caches and build results
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build dist deploy/kafka/target
	find detectors monitor -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

test-programs:
	@deploy/bin/test-programs

# Stamps: newer than their inputs means nothing to do.
.venv/.runtime: requirements.lock $(INPUTS)
	@PYTHON="$(PYTHON)" deploy/bin/bootstrap requirements.lock
	@touch $@

.venv/.development: requirements-dev.lock $(INPUTS)
	@PYTHON="$(PYTHON)" deploy/bin/bootstrap requirements-dev.lock
	@touch $@

.venv-peers/.installed: pyproject.toml | .venv/.development
	@$(BIN)/uv venv --quiet --clear .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers --group peers
	@touch $@
