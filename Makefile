# `make` alone lists the targets. Each sets up what it needs; a second run of any takes seconds.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOURCES := core api worker operator cli scripts tests

.PHONY: help run test check bench fmt openapi clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: ## set up and start everything on this machine; ARGS="--once --port 8080" go to `asr up`
	@scripts/set_up.sh run
	@exec $(BIN)/asr up $(ARGS)

test: ## set up and run the tests; ARGS go to pytest
	@scripts/set_up.sh dev
	@exec $(BIN)/python -m pytest $(ARGS)

check: ## lint, formatting, types, import rules, tests
	@scripts/set_up.sh dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest $(ARGS)

bench: ## measure this machine; ARGS go to the benchmark
	@scripts/set_up.sh run
	@exec $(BIN)/python scripts/bench.py $(ARGS)

fmt: ## format the code and mend what the linter can
	@scripts/set_up.sh dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

openapi: ## write docs/openapi.json anew
	@scripts/set_up.sh dev
	$(BIN)/python scripts/openapi.py

clean: ## remove the environment and every cache; recordings and results in data/ stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
