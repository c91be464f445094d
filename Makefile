# The whole interface, for people and for CI. `make help` lists it.
PYTHON ?= python3
STACK ?= dev
RIG := bin/rig
VENV := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help .venv setup up promote down preview destroy test test-thorough test-unit lint rehearse doctor status simulate bench format schema

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=dev picks Pulumi.dev.yaml; SPILLWAY_RIG=name picks another cluster on this machine."

.venv:
	@$(PYTHON) rig/bootstrap.py

setup: .venv ## Find or build every program and image (first time: half an hour or more)
	@$(RIG) setup

up: setup ## Start the cluster and apply the stack; prints what runs where
	@$(RIG) up --stack $(STACK)

preview: .venv ## Show what `make up` would change in the stack
	@$(RIG) preview --stack $(STACK) $(ARGS)

promote: .venv ## Let MODEL's new version take over if it does well, else take it back; ARGS=--help
	@$(RIG) promote --stack $(STACK) $(ARGS) $(MODEL)

down: .venv ## Stop the cluster and all in it; its data stays for the next `make up`
	@$(RIG) stop

destroy: .venv ## Delete what the stack made, data included (asks first)
	@$(RIG) destroy --stack $(STACK)

test: setup lint ## Everything CI runs: lint, unit tests, rehearsals, and real pods on a cluster of their own
	@$(VENV)/python -m pytest --numprocesses=auto --dist=loadscope --durations=25 -m "not thorough"

test-thorough: setup ## On the second cloud, too, what `make test` plays on the first alone
	@$(VENV)/python -m pytest -m thorough

test-unit: .venv ## The tests that need no engine and no cluster, on all cores
	@$(VENV)/python -m pytest --numprocesses=auto tests/unit tests/plugins

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

doctor: .venv ## Ask STACK=prod's cluster and cloud what would go wrong; changes nothing
	@$(RIG) doctor --stack $(if $(filter-out file,$(origin STACK)),$(STACK),prod)

status: .venv ## Show what STACK=prod's GPU pools and queues do now, and what it costs; ARGS=--json
	@$(RIG) status --stack $(if $(filter-out file,$(origin STACK)),$(STACK),prod) $(ARGS)

simulate: .venv ## Replay TRACE=philly on a fleet that is not there; ARGS=--help
	@$(RIG) simulate $(if $(TRACE),--trace $(TRACE)) $(ARGS)

bench: setup ## Measure what docs/measurements.md quotes (about 15 minutes)
	@$(VENV)/python -m benchmarks
