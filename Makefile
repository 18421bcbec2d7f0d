# Tollway's commands. A bare machine needs Python 3.11 or newer (with venv), a Rust toolchain and make; then `make run`.
#
# Stamps in .venv say what was installed from which locks and built from which sources, so that nothing is done twice.

VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= config/tollway.yaml
GUARDRAIL_DATA ?= ../shared/data/guardrails
CACHE_DATA ?= ../shared/data/semantic-cache
ROWS ?= 1000000
ONLY ?=
DRILLS ?=

# The first Python that is new enough; PYTHON=… chooses another.
PYTHON ?= $(firstword $(foreach name,python3 python3.13 python3.12 python3.11,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))) no-python-3.11-found)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
NATIVE := $(patsubst python/tollway/_native/%.pyi,tollway._native.%,\
	$(filter-out %/__init__.pyi,$(wildcard python/tollway/_native/*.pyi)))
RUST_SOURCES := $(shell find rust -path '*/src/*' -type f -o -name 'Cargo.toml')

# The locks carry hashes and name no package index, so that any mirror will do.
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" target/lock/bin/pip-compile --quiet --generate-hashes --allow-unsafe \
	--strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options
LISTED := target/lock/bin/python -c 'import sys, tomllib; table, key = sys.argv[1:]; \
	print(*tomllib.load(open("pyproject.toml", "rb"))[table][key], sep="\n")'

# The interpreter that every build of the extension is for; pip finds the build's backend, maturin, on the path.
# (`maturin develop` would go on to install the group `dev`, past the locks.)
export PYO3_PYTHON := $(abspath $(BIN))/python
export VIRTUAL_ENV := $(abspath $(VENV))
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: run build check test bench bench-guardrails bench-cache bench-ingestion drills docs lock clean

run: build # the gateway with its own PostgreSQL; prints an address and first keys
	$(BIN)/tollway serve --config $(CONFIG) --quickstart

build: $(VENV)/.built # .venv with locked dependencies and the extension

check: $(VENV)/.built $(VENV)/.developing # what a reviewer would say twice
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy python/tollway tests docs benches
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml $(NATIVE)
	$(BIN)/lint-imports
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test: check # every test, Rust's and Python's
	cargo test --locked --package tollway-core --package tollway-ledger
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --ignore tests/e2e
	$(BIN)/python -m pytest tests/e2e

bench: $(VENV)/.built # the native core; for the gateway as a whole see benches/README.md
	cargo bench --locked --package tollway-benches

bench-guardrails: $(VENV)/.built $(VENV)/.developing # how well guardrails find, and how fast; GUARDRAIL_DATA=… names the sets
	$(BIN)/python -m benches.guardrails --data $(GUARDRAIL_DATA)

bench-cache: $(VENV)/.built $(VENV)/.developing # how often a semantic cache hits and lies; CACHE_DATA=… names pairs
	$(BIN)/python -m benches.cache --data $(CACHE_DATA)

bench-ingestion: $(VENV)/.built # how fast usage rows get into PostgreSQL, and what dashboards wait for; ROWS=10000000
	$(BIN)/python -m benches.ingestion $(ROWS)

drills: $(VENV)/.built $(VENV)/.developing # failures played out on two instances; ONLY=2,8 names some, DRILLS=--quick scales them
	$(BIN)/python -m benches.drills --only "$(ONLY)" $(DRILLS)

docs: $(VENV)/.built # the pages made from the code
	$(BIN)/python -m docs.pages

lock: target/lock/.installed # pyproject.toml resolved anew: what runs, what builds within that, what develops within both
	$(COMPILE) --output-file requirements.lock pyproject.toml
	$(LISTED) build-system requires | $(COMPILE) --constraint requirements.lock --output-file requirements-build.lock -
	$(LISTED) dependency-groups dev | $(COMPILE) --constraint requirements.lock --constraint requirements-build.lock \
		--output-file requirements-dev.lock -

clean: # everything that a build makes; never ./data
	rm -rf $(VENV) target python/tollway/_native*.so
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find python tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.running: requirements.lock requirements-build.lock | $(BIN)/python
	$(PIP) install --require-hashes --requirement requirements.lock --requirement requirements-build.lock
	touch $@

$(VENV)/.developing: requirements-dev.lock $(VENV)/.running
	$(PIP) install --require-hashes --requirement requirements-dev.lock
	touch $@

$(VENV)/.built: $(RUST_SOURCES) Cargo.toml Cargo.lock pyproject.toml $(VENV)/.running
	@echo "Building the native extension; the first time takes some minutes."
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

target/lock/.installed:
	$(PYTHON) -m venv target/lock
	target/lock/bin/python -m pip --disable-pip-version-check --quiet install 'pip-tools>=7.5'
	touch $@
