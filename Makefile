# make help      what there is
# PYTHON=...     the interpreter to build the environment with (3.11 or newer)
# JOBS=...       processes that the tests run in
# pip's own settings (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL, PIP_INDEX_URL ...) pass through.

PYTHON ?= python3
VENV ?= .venv
OUT ?= edgeopt-out/fashion-mnist
JOBS ?= 2
ARGS ?=
# A process that a library ends fails its test and stops the run: xdist starts another in vain.
SHARED = -n $(JOBS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --no-input
RUN_READY = $(VENV)/.ready-run
DEV_READY = $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.PHONY: help demo test test-long test-slow test-all test-core test-gpu lint bench clean

help: ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

demo: $(RUN_READY) ## optimize the shipped Fashion-MNIST network for this machine
	$(BIN)/edgeopt optimize recipes/fashion-mnist.yaml --out $(OUT)
	@echo
	@echo "Now the same network pruned to a quarter of its work and distilled. This run is a shortened one: one epoch of training,"
	@echo "so its bound is looser (4 points of accuracy, not 1), and short races. The full recipe is recipes/fashion-mnist-small.yaml."
	$(BIN)/edgeopt optimize recipes/fashion-mnist-short.yaml --quick --out $(OUT)-short
	@echo
	@echo "The reports: $(abspath $(OUT))/report.html and $(abspath $(OUT)-short)/report.html"

test: $(DEV_READY) ## run the tests that take less than a minute each
	$(BIN)/python -m pytest -m "not long" $(SHARED) $(ARGS)

test-long: $(DEV_READY) ## run those that take longer
	$(BIN)/python -m pytest -m "long and not slow" $(SHARED) $(ARGS)

test-slow: $(DEV_READY) ## run those that take longest, which .ci/run leaves out
	$(BIN)/python -m pytest -m slow $(SHARED) $(ARGS)

test-all: test test-long test-slow ## run every test

test-core: $(VENV)-core/.ready ## in an environment without extras, the tests that need none
	$(VENV)-core/bin/python -m pytest --core -m "not long" $(ARGS)

test-gpu: $(DEV_READY) ## on a machine with an NVIDIA GPU, the tests that need one; writes gpu-table.md
	$(BIN)/python -m pytest -m gpu tests/gpu $(ARGS)

lint: $(DEV_READY) ## style, types and the order of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(RUN_READY) ## on a quiet machine, time the demo afresh and check it with independent code
	$(BIN)/edgeopt optimize recipes/fashion-mnist.yaml --out $(OUT)
	$(BIN)/python tests/e2e/independent_check.py $(OUT) --times

clean: ## remove the environment and everything that was made
	rm -rf $(VENV) $(VENV)-core edgeopt-out build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	rm -rf .hypothesis .import_linter_cache
	find edgeopt tests models -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python $(VENV)-core/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "No '$(PYTHON)' on PATH. Install Python 3.11 or newer, or say PYTHON=/path/to/python." >&2; \
	  exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "edgeopt needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" --version 2>&1)." >&2; \
	  echo "Say which one to use: make PYTHON=/path/to/python ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments: its modules venv and ensurepip are missing." >&2; \
	  echo "Install them (Debian and Ubuntu: the package python3-venv) or say PYTHON=/path/to/python." >&2; \
	  exit 1; }
	"$(PYTHON)" -m venv $(patsubst %/bin/python,%,$@)

# The stamps make the second run quick; changed pins or metadata install again.
$(RUN_READY): requirements/demo.txt pyproject.toml | $(BIN)/python
	@echo "Installing into $(VENV): about 560 MB to download with a CPU build of PyTorch."
	@echo "(Where pip finds no CPU build for Linux, PyTorch's default build brings CUDA: about 3 GB."
	@echo " PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS may name a place that has one.)"
	$(PIP) install --quiet -r requirements/demo.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements/dev.txt $(RUN_READY)
	@echo "Installing TensorFlow and the tools for tests and lint: about 330 MB more."
	$(PIP) install --quiet -r requirements/dev.txt
	@touch $@

$(VENV)-core/.ready: requirements/core-test.txt pyproject.toml | $(VENV)-core/bin/python
	@echo "Installing into $(VENV)-core: about 80 MB to download."
	$(VENV)-core/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  -r requirements/core-test.txt
	$(VENV)-core/bin/python -m pip --disable-pip-version-check --no-input install --quiet \
	  --no-deps --no-build-isolation --editable .
	@touch $@
