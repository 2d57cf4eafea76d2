# Two commands matter: `make demo` and `make test`. Both set up what they need.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes
CODE := lakehouse bronze silver gold tests bench requirements deploy
# pytest arguments: make test ARGS="-k gold -x"
ARGS ?=
# test processes, each with a Spark of its own: make test WORKERS=0 ARGS="-k gold" for a few tests
WORKERS ?= 2
# worlds that faults are done to, from LAKEHOUSE_TEST_SEED on
SEEDS ?= 1
PYTEST = $(BIN)/python -m pytest --numprocesses $(WORKERS) --no-loadscope-reorder

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 18

.PHONY: setup
setup: $(VENV)/.installed ## Make the environment: Python packages, jars, Spark, scoring model
	@$(BIN)/python -m lakehouse.local.setup

$(VENV)/.installed: requirements/build.txt requirements/dev.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "error: Python 3.11 is needed, '$(PYTHON)' is not one. Install it, or: make setup PYTHON=/path/to/python3.11" >&2; \
		exit 1; }
	@[[ -x $(BIN)/python ]] || echo "creating $(VENV) and installing the locked packages (a minute or two)"
	@"$(PYTHON)" -m venv $(VENV)
	@$(PIP) -r requirements/build.txt
	@$(PIP) --no-build-isolation --no-deps -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

.PHONY: demo
demo: setup ## Run the whole platform on this machine and show the result
	@$(BIN)/lakehouse demo

.PHONY: test
test: setup ## Run the tests, with the same real services
	@$(PYTEST) --ignore tests/long --ignore tests/faults $(ARGS)

.PHONY: test-long
test-long: setup ## Run the tests that take minutes: kills, replays, a million records
	@$(PYTEST) tests/long tests/faults $(ARGS)

.PHONY: test-faults
test-faults: setup ## Do faults to the live path: make test-faults SEEDS=20
	@LAKEHOUSE_FAULT_SEEDS=$(SEEDS) $(PYTEST) tests/faults $(ARGS)

.PHONY: bench
bench: setup ## Measure what the platform costs beside the bare engine (some minutes)
	@$(BIN)/python -m bench $(ARGS)

.PHONY: check
check: setup ## Lint, types, architecture, templates, lock files
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/cfn-lint --regions eu-central-1 --template deploy/*.yaml
	@$(BIN)/python requirements/lock.py --check

.PHONY: format
format: setup ## Format the code and apply safe fixes
	@$(BIN)/ruff check --fix $(CODE)
	@$(BIN)/ruff format $(CODE)

.PHONY: lock
lock: setup ## Resolve Python packages and jars anew and rewrite the lock files
	@$(BIN)/python requirements/lock.py

.PHONY: package
package: setup ## Make dist/: wheel, packed environment, jars (docs/deploy.md)
	@$(BIN)/python requirements/package.py

.PHONY: clean
clean: ## Stop the services and remove the demo's data and tables
	@if [[ -x $(BIN)/lakehouse && -d .lakehouse/services ]]; then $(BIN)/lakehouse services stop; fi
	@rm -rf .lakehouse spark-warehouse metastore_db derby.log

.PHONY: distclean
distclean: clean ## Remove the environment, the jars and every tool's cache too
	@rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
