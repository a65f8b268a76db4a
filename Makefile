# Short commands, the same by hand and in CI. `make` alone lists them.

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.sightline-installed
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Further arguments for pytest, benchmarks and the demo: make test ARGS="-k kafka -x"
ARGS ?=

LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-annotate --quiet --upgrade \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help setup demo test unit check format bench chaos fuzz services-up services-down schemas lock build clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything that is locked, and this checkout in it

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is missing: apt-get install python3 python3-venv" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is older than 3.11: make setup PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null \
		|| { echo "$(PYTHON) cannot make virtual environments: apt-get install python3-venv" >&2; exit 2; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); exit 2; }

$(STAMP): $(BIN)/python requirements.lock pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## run the whole path on this machine, with nothing but Python
	$(BIN)/sightline demo $(ARGS)

test: setup ## all tests; starts a real Kafka, PostgreSQL and S3 (needs Java, Maven, Go)
	@$(BIN)/python infra/services.py fetch
	@command -v kcat >/dev/null || { echo "kcat is missing, which the tests publish with: apt-get install kcat" >&2; exit 2; }
	$(BIN)/pytest tests --numprocesses 2 --dist loadfile $(ARGS)

unit: setup ## the tests that need no services
	$(BIN)/pytest tests/unit tests/contract -m "not services" $(ARGS)

check: setup ## lint, format, types, direction of imports; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

format: setup ## format, and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure throughput, latency and memory
	$(BIN)/python -m benchmarks $(ARGS)

chaos: setup ## kills, outages and a bad network over 100,000 frames, and the audit (half an hour; ARGS="--list")
	@$(BIN)/python infra/services.py fetch
	$(BIN)/python -m tests.chaos $(ARGS)

fuzz: setup ## send 100,000 malformed messages, and account for each (about 15 minutes)
	@$(BIN)/python infra/services.py fetch
	@command -v kcat >/dev/null || { echo "kcat is missing, which sends some of them: apt-get install kcat" >&2; exit 2; }
	$(BIN)/python -m tests.fuzz $(ARGS)

services-up: setup ## start Kafka, PostgreSQL and S3 without Docker; settings go to .services/env
	@$(BIN)/python infra/services.py up

services-down: ## stop them
	@test ! -d .services || $(BIN)/python infra/services.py down

schemas: setup ## write JSON schemas and the AsyncAPI document from the models
	$(BIN)/python -m schemas.generate

lock: ## resolve the newest versions that pyproject.toml allows, with hashes
	$(BIN)/uv pip compile pyproject.toml $(LOCK_OPTIONS) --extra embedded --extra cpu --group dev --output-file requirements.lock
	$(BIN)/uv pip compile pyproject.toml $(LOCK_OPTIONS) --extra cpu --constraints requirements.lock \
		--output-file infra/docker/requirements.lock
	echo 'onnxruntime-gpu[cuda,cudnn]' | $(BIN)/uv pip compile pyproject.toml - $(LOCK_OPTIONS) --extra gpu \
		--constraints requirements.lock --output-file infra/docker/requirements-gpu.lock
	echo hatchling | $(BIN)/uv pip compile - $(LOCK_OPTIONS) --constraints requirements.lock \
		--output-file infra/docker/build.lock
	@! grep -n '://' requirements.lock infra/docker/*.lock || { echo "a lock names a host" >&2; exit 1; }

build: setup ## build the wheel into dist/
	$(BIN)/python -m build --wheel --no-isolation

clean: services-down ## remove what tools and services left behind, but not .venv
	rm -rf .services dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
