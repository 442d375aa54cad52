# `make help` lists the verbs. PYTHON=python3.12 make env picks another interpreter.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
# The interpreter itself, not an active environment's link to it: that environment may be the one to be made anew.
INTERPRETER = $(shell $(PYTHON) -c 'import os, sys; print(os.path.realpath(sys.executable))')
UV     := uv==0.13.9
REDOCLY := @redocly/cli@2.77.0
BIN    := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)

.PHONY: help env demo browser test lint-spec lint types unit faults fuzz soak mutants peers bench bench-check wheel docs generate check-generated diff pull-request lock

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

env: .venv/ready  ## .venv with everything for development
demo: .venv-demo/ready  ## see it work: sandbox, list, add, a refusal (a minute the first time)
	@.venv-demo/bin/python examples/demo.py

browser:  ## Debian's chromium, for the tests of pages
	apt-get install -y --no-install-recommends chromium

test: lint-spec check-generated lint types unit docs wheel  ## everything that CI checks but bench-check

# One recipe makes both environments from their hashed locks: uv where it installs, else pip.
.venv/ready: dev.lock pyproject.toml
.venv-demo/ready: demo.lock pyproject.toml
.venv/ready .venv-demo/ready:
	@$(INTERPRETER) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: PYTHON=python3.12 make ... names another one")'
	@echo "making $(@D)"
	@rm -rf $(@D)
	@$(INTERPRETER) -m venv --without-pip $(@D)
	@if $(INTERPRETER) -m pip --python $(@D)/bin/python install --quiet $(UV) 2> $(@D)/uv.log; then \
	  VIRTUAL_ENV=$(CURDIR)/$(@D) $(@D)/bin/uv pip install --quiet --require-hashes -r $<; \
	  VIRTUAL_ENV=$(CURDIR)/$(@D) $(@D)/bin/uv pip install --quiet --no-deps --no-build-isolation -e .; \
	else \
	  echo "uv does not install here: pip does it, in half a minute"; \
	  $(INTERPRETER) -m venv --clear $(@D); \
	  $(@D)/bin/python -m pip install --quiet --require-hashes -r $<; \
	  $(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	fi
	@touch $@

lock: | env  ## new versions into dev.lock, demo.lock, peers.lock and provider.lock
	uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --all-extras --group dev pyproject.toml -o dev.lock
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header \
	  --python-version 3.11 --extra sandbox --extra yaml --group demo -c dev.lock pyproject.toml -o demo.lock
	@for group in peers provider; do \
	  uv pip compile --quiet --universal --upgrade --generate-hashes --no-emit-index-url --no-header \
	    --python-version 3.11 --group pyproject.toml:$$group -o $$group.lock; \
	done

generate: build/generated.stamp  ## openapi.yaml -> generated/, whole or not at all

build/generated.stamp: openapi.yaml generator-config.yml overrides/templates $(wildcard overrides/templates/*) dev.lock tools/generate.py | .venv/ready
	@python tools/generate.py

# Which files were made: one that is changed or gone is made anew.
-include build/generated.d

check-generated: | env  ## is generated/ what openapi.yaml gives?
	@python tools/generate.py --check

diff: | env  ## what has changed for users since BASE=<git ref>; STRICT=1 wants a version that says so
	@python tools/diff.py $(if $(filter 1,$(STRICT)),--strict) -- "$(BASE)"

pull-request:  ## CI: offers generated/ as a pull request
	@tools/pull_request.sh

lint-spec: | env  ## is openapi.yaml valid and clean?
	openapi-spec-validator openapi.yaml
	@if command -v npx > /dev/null; then \
	  REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --yes $(REDOCLY) lint openapi.yaml; \
	else echo "redocly not run: it needs node, which is not here"; fi

lint: | env  ## ruff, and the workflows
	ruff check .
	ruff format --check .
	zizmor --offline --quiet .github/workflows
	check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: | env  ## mypy in strict mode
	mypy

unit: | env  ## the tests, with branch coverage
	pytest -n auto

faults: | env  ## the fault table, promise by promise, into docs/reliability.md
	@mkdir -p build
	@rm -f build/faults.xml
	pytest tests/faults/test_table.py -n auto --no-cov -q --junitxml=build/faults.xml || true
	@python -m tests.faults.page build/faults.xml

fuzz: | env  ## answers and arguments of any kind for SECONDS=60, into docs/reliability.md
	@python -m tests.fuzz $(or $(SECONDS),60)

soak: | env  ## threads, tasks and forked children at once under random faults, into docs/reliability.md; CALLS=, SEED=
	@python -m tests.soak $(if $(CALLS),--calls $(CALLS)) $(if $(SEED),--seed $(SEED))

mutants: | env  ## is there a test for each decision of the core? into docs/reliability.md; MODULE=_wire: of one module
	@python -m tests.mutants $(MODULE)

bench: | env $(if $(filter 1,$(PROVIDER)),.venv-provider/ready)  ## beside the alternatives, into docs/benchmarks.md; FULL=1: all axes; PROVIDER=1: their SDK too
	@python -m benchmarks $(if $(filter 1,$(FULL)),--setting full) $(if $(filter 1,$(PROVIDER)),--provider)

peers: | env .venv-peers/ready  ## the fault table with other clients, into docs/peers.md (ten minutes)
	@python -m tests.peers

bench-check: | env  ## instructions that decode, calls and import take, against benchmarks/budget.toml
	@python -m benchmarks.counts

docs: | env  ## the documentation site, into build/site/; it opens as files, too
	@python tools/build_docs.py build

.venv-provider/ready .venv-peers/ready: .venv-%/ready: %.lock
	@echo "making $(@D)"
	@rm -rf $(@D)
	@$(INTERPRETER) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --require-hashes -r $<
	@touch $@

wheel: | env  ## dist/, used alone in an empty environment
	rm -rf dist
	hatchling build
	python tests/wheel/check_wheel.py
