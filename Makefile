# make demo | up | test | test-long | bench | lint | lock: each sets up what it needs, in .venv, and no more.
PYTHON ?= python3.11
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo up screenshots test test-long bench lint lock chromium terraform terraform-schema clean

# The stand-in for BigQuery, for tests and the demo: an environment of its own, because it runs on DuckDB 1.5.
.venv-bigquery/ready: requirements-emulators.lock
	test -x .venv-bigquery/bin/python || $(PYTHON) -m venv .venv-bigquery || python3 -m venv .venv-bigquery
	.venv-bigquery/bin/pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python \
		--require-hashes -r requirements-emulators.lock
	touch $@

.venv/dev: requirements-dev.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || python3 -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

.venv/bench: .venv/dev requirements-bench.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	touch $@

# The checkers of terraform/ and of what is deployed; of their own, since they want an older protobuf.
.venv-terraform/ready: requirements-terraform.lock
	test -x .venv-terraform/bin/python || $(PYTHON) -m venv .venv-terraform || python3 -m venv .venv-terraform
	.venv-terraform/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-terraform.lock
	touch $@

demo: .venv/dev $(if $(filter bigquery,$(WAREHOUSE)),.venv-bigquery/ready) ## crawl an invented world with everything real, and show what was made
	$(BIN)/python -m sandbox.demo $(WAREHOUSE)

up: .venv/dev ## Dagster with its schedules on, tracking communities.toml
	$(BIN)/threadlake up

screenshots: .venv/dev chromium ## every page of what the demo left, light, dark and on a phone
	THREADLAKE_HOME=.data/demo THREADLAKE_CLOCK=.data/demo/clock $(BIN)/python -m dashboard.screenshots .data/pictures

lint: .venv/dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

# Debian's chromium photographs the UI; where it may not be installed, those tests skip and say so.
chromium:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) \
		>/dev/null 2>&1 || echo "chromium is not here and cannot be installed: the tests of the UI skip"

test: lint chromium .venv-terraform/ready .venv-bigquery/ready
	$(BIN)/python -m pytest -q -n 2 --dist loadgroup -m "not long"

test-long: .venv/dev chromium .venv-terraform/ready .venv-bigquery/ready
	$(BIN)/python -m pytest -q

bench: .venv/bench
	$(BIN)/python -m benchmarks

COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-strip-extras \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header

terraform: .venv/dev .venv-terraform/ready ## so that `terraform -chdir=terraform validate` works, without the registry
	$(BIN)/python -m sandbox.terraform

terraform-schema: .venv/dev ## what is generated for terraform/, anew: raw tables, and what it uses of the schema of the provider (which says its version)
	$(BIN)/python -m orchestration.terraform_tables
	$(BIN)/pip download --quiet --no-deps --dest .data/terraform cdktn-provider-google==21.1.0
	$(BIN)/python -m sandbox.google_schema .data/terraform/cdktn_provider_google-21.1.0-py3-none-any.whl

# pip knows no version of a package that is pinned with an extra only, takes the newest, and misses its hash: without, too.
BARE := awk '/^[^ ]/ { on = 0; seen[$$1] = 1 } \
	/^[^ ]+\[.*\]==/ { name = $$1; sub(/\[.*\]/, "", name); on = !(name in names); names[name] = 1; at = name } \
	on { line = $$0; sub(/^[^ ]+\[.*\]/, substr(at, 1, index(at, "==") - 1), line); text[at] = text[at] line "\n" } \
	{ print } END { for (name in text) if (!(name in seen)) printf "%s", text[name] }'

lock: ## pin all dependencies anew
	$(COMPILE) pyproject.toml --extra deploy -o requirements.lock
	$(COMPILE) pyproject.toml --extra deploy --extra dev -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra deploy --extra dev --extra bench -o requirements-bench.lock
	$(COMPILE) requirements-terraform.in -o requirements-terraform.lock
	$(COMPILE) requirements-emulators.in -o requirements-emulators.lock
	echo local-bigquery==0.4.0 | $(subst 3.11,3.13,$(COMPILE)) --no-deps - >> requirements-emulators.lock

	for file in requirements*.lock; do $(BARE) $$file > $$file.new && mv $$file.new $$file; done

clean:
	rm -rf .venv .venv-bigquery .venv-terraform .data .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
