# `make` lists the targets. PYTHON chooses the interpreter, VENV where packages go.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN = $(VENV)/bin
RIG ?= utah96

.DEFAULT_GOAL := help
.PHONY: help demo test check fix bench docs course wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.laptop ## see what a blind user would see, on this machine
	$(BIN)/prosthesis demo

test: $(VENV)/.dev ## run the tests; this is what CI runs
	$(BIN)/python -m pytest

check: $(VENV)/.dev ## lint, formatting, types, layers and the oldest Python
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vermin --quiet --no-tips --violations --target=3.10- prosthesis sim

fix: $(VENV)/.dev ## mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.laptop ## time the device's hops on this machine, with RIG=utah96
	$(BIN)/prosthesis bench $(RIG)

docs: $(VENV)/.docs ## write the documentation as a site to build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

course: $(VENV)/.docs ## run the course's notebooks again
	$(BIN)/python docs/tools/notebooks.py

wheel: $(VENV)/.dev ## build dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## remove caches and builds; the environment stays
	rm -rf build dist .coverage .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# one stamp an extra: the second call installs nothing. pip is there only when a venv was made to its end
$(VENV)/.%: pyproject.toml constraints.txt
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	@touch $@
