# `make` alone lists the targets. Each sets up what it needs; a second run of any takes seconds.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
SOURCES := core api worker operator cli client scripts tests

# Two files of tests at a time: many wait for processes, leases and pages.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile

BUILDER := docker
VERSION = $(shell sed -n 's/^appVersion: //p' helm/asr-platform/Chart.yaml)

.PHONY: help run test check bench big hours chaos soak fuzz contract mutants test-cluster e2e images manifests lock fmt openapi clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: ## set up and start everything on this machine; ARGS="--once --port 8080" go to `asr up`
	@scripts/set_up.sh run
	@exec $(BIN)/asr up $(ARGS)

test: ## set up and run the tests; ARGS go to pytest
	@scripts/set_up.sh dev
	@exec $(PYTEST) $(ARGS)

test-cluster: ## run the tests of operator and chart on the API server of KUBECONFIG; they need its admin
	@scripts/set_up.sh dev
	@test -n "$$KUBECONFIG" || { echo "KUBECONFIG must name the cluster to test on" >&2; exit 2; }
	@ASR_TEST_CLUSTER=1 exec $(BIN)/python -m pytest tests/operator tests/chart/installed -m cluster $(ARGS)

check: ## lint, formatting, types, import rules, tests
	@scripts/set_up.sh dev
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) $(ARGS)

bench: ## measure this machine beside FunASR's own code; ARGS="engine --lengths messages" go to `asr bench`
	@scripts/set_up.sh run
	@exec $(BIN)/asr bench $(or $(ARGS),all)

big: ## memory under a 2 GB upload and a 10-hour recording; some minutes, 7 GB of room in TMPDIR
	@scripts/set_up.sh run
	@exec $(BIN)/python scripts/big_files.py $(ARGS)

hours: ## an hour of people's speech and one without any, through a model; ARGS="--model whisper-base --minutes 60"
	@scripts/set_up.sh run
	@exec $(BIN)/python scripts/long_audio.py $(ARGS)

chaos: ## make everything fail and account for every task; ARGS="--tasks 2000 --seeds 1-10 --store both"
	@scripts/set_up.sh dev
	@PYTHONPATH=scripts exec $(BIN)/python -m chaos $(ARGS)

soak: ## half an hour of steady load with random kills: nothing lost, memory and rate flat; ARGS as for chaos
	@scripts/set_up.sh dev
	@PYTHONPATH=scripts exec $(BIN)/python -m chaos --minutes 30 $(ARGS)

fuzz: ## damaged recordings and hostile text through real programs; ARGS="--files 10000 --seed 1"
	@scripts/set_up.sh dev
	@PYTHONPATH=scripts exec $(BIN)/python -m fuzz $(ARGS)

contract: ## thousands of made-up requests, with a key and without: no 5xx, no undocumented reply
	@scripts/set_up.sh dev
	@exec $(BIN)/python scripts/contract.py $(ARGS)

mutants: ## do the unit tests notice changes of the pure modules? ARGS="--sample 60 --seed 1 --room operator"
	@scripts/set_up.sh dev
	@PYTHONPATH=scripts exec $(BIN)/python -m mutants $(ARGS)

e2e: ## the chart on a kind cluster of its own, from images to uninstall; KEEP=1 leaves it behind
	@scripts/set_up.sh run
	@exec scripts/e2e.sh

images: ## build the images; BUILDER=podman, for GPUs WORKER="cuda whisper cpu", with a model in it MODEL=whisper-base
	$(BUILDER) build -f Dockerfile.api -t asr-platform-api:$(VERSION) .
	$(BUILDER) build -f Dockerfile.operator -t asr-platform-operator:$(VERSION) .
	@for target in $(or $(WORKER),cpu); do \
	  suffix=$$([ $$target = cuda ] || echo -cpu); \
	  $(BUILDER) build -f Dockerfile.worker --target $$target --build-arg MODEL=$(MODEL) -t asr-platform-worker:$(VERSION)$$suffix . || exit; \
	done

manifests: ## write what is generated of the chart and manifests/ anew
	@scripts/set_up.sh dev
	PYTHONPATH=scripts $(BIN)/python -m chart

lock: ## write locks/ anew, after a change of pyproject.toml or constraints.txt
	@exec scripts/lock.sh

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
