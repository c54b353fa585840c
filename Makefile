# make demo | up | test | test-long | bench | lint | lock: each sets up what it needs, in .venv, and no more.
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The stand-in for BigQuery, for tests and the demo: an environment of its own, because it runs on DuckDB 1.5.
.venv-bigquery/ready: requirements-emulators.lock
	test -x .venv-bigquery/bin/python || $(PYTHON) -m venv .venv-bigquery || python3 -m venv .venv-bigquery
	.venv-bigquery/bin/pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
		--require-hashes -r requirements-emulators.lock
	touch $@

.PHONY: demo up test test-long bench lint lock chromium clean

.venv/dev: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/bench: .venv/dev requirements-bench.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	touch $@

demo: .venv/dev ## crawl an invented world with everything real, and show what was made
	$(BIN)/python -m sandbox.demo

up: .venv/dev ## Dagster with its schedules on, tracking communities.toml
	$(BIN)/threadlake up

lint: .venv/dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

# Debian's chromium photographs the UI; where it may not be installed, those tests skip and say so.
chromium:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) \
		>/dev/null 2>&1 || echo "chromium is not here and cannot be installed: the tests of the UI skip"

test: lint chromium
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "not long"

test-long: .venv/dev chromium
	$(BIN)/python -m pytest -q

bench: .venv/bench
	$(BIN)/python -m benchmarks

lock: ## pin all dependencies anew
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-strip-extras --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header pyproject.toml --extra dev -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-strip-extras --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header pyproject.toml --extra dev --extra bench -o requirements-bench.lock
	$(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-strip-extras --no-emit-index-url \
		--no-emit-find-links --no-annotate --no-header requirements-emulators.in -o requirements-emulators.lock
	echo local-bigquery==0.4.0 | $(BIN)/uv pip compile --quiet --python-version 3.13 --no-deps --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header - >> requirements-emulators.lock

clean:
	rm -rf .venv .venv-bigquery .data .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
