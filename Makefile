# The whole interface, for people and for CI. `make help` lists it.
PYTHON ?= python3
STACK ?= dev
RIG := bin/rig
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help .venv setup up down preview destroy test test-unit test-cluster lint rehearse bench format schema

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=dev picks Pulumi.dev.yaml; SPILLWAY_RIG=name picks another cluster on this machine."

.venv:
	@$(PYTHON) rig/bootstrap.py

setup: .venv ## Find or build every program and image (first time: about 20 minutes)
	@$(RIG) setup

up: setup ## Start the cluster and apply the stack; prints what runs where
	@$(RIG) up --stack $(STACK)

preview: .venv ## Show what `make up` would change in the stack
	@$(RIG) preview --stack $(STACK) $(ARGS)

down: .venv ## Stop the cluster and all in it; its data stays for the next `make up`
	@$(RIG) stop

destroy: .venv ## Delete what the stack made, data included (asks first)
	@$(RIG) destroy --stack $(STACK)

test: setup lint test-unit ## Everything CI runs: lint, unit tests, rehearsals, and real pods on a cluster of their own
	@$(VENV)/python -m pytest --ignore=tests/unit --ignore=tests/plugins

test-unit: .venv ## The tests that need no engine and no cluster, on all cores
	@$(VENV)/python -m pytest --numprocesses=auto --dist=loadfile tests/unit tests/plugins

lint: .venv ## ruff and pyright
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@$(VENV)/pyright

format: .venv ## Let ruff mend what it can
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

schema: .venv ## Write the editors' schema of the configuration anew
	@$(VENV)/python -m infra.settings --write

rehearse: .venv ## Play STACK=prod's whole life offline; BASE=ref: the change since; REPORTS=folder
	@$(RIG) rehearse --stack $(if $(filter-out file,$(origin STACK)),$(STACK),prod) $(if $(BASE),--base $(BASE)) $(if $(REPORTS),--reports $(REPORTS))

bench: setup ## Measure what docs/measurements.md quotes (about 15 minutes)
	@$(VENV)/python -m benchmarks
