# Needs Python >= 3.11 and make. `make` alone lists the commands.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready

.PHONY: help demo test lint format types bench docs wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the same numbers faster, a search at once, a raw table; saves a picture"
	@echo "make test    check everything: format, lint, types, tests with doctests and the README"
	@echo "make bench   run the benchmarks (choose with ARGS=...)"
	@echo "make docs    build the documentation into docs/_build/html"
	@echo "make lint    check format and lint"
	@echo "make format  rewrite the code in the house format"
	@echo "make types   check types"
	@echo "make wheel   build the source distribution and the wheel into dist/"
	@echo "make clean   remove the environment, builds and caches"
	@echo
	@echo "The first of these to run makes the environment $(VENV) with the versions of"
	@echo "constraints.txt. PYTHON=... chooses the interpreter, ARGS=... adds options to demo,"
	@echo "bench and the tests (make test ARGS='-k parity')."

# The environment. Its stamp is written last, so an interrupted install is done again.
$(READY): pyproject.toml constraints.txt setup.py $(wildcard sklearn_mlp/compiled/*.?pp)
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Python >= 3.11 is \
	needed, $(PYTHON) is %d.%d; name another: make PYTHON=python3.12 ..." % v[:2])'
	@echo "==> environment in $(VENV): sklearn_mlp (editable) and its tools, as in constraints.txt"
	@$(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) -m venv failed; on Debian and Ubuntu it is \
	in the package python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	@touch $@

# What the documentation needs besides.
$(DOCS_READY): $(READY)
	@echo "==> Sphinx and its extensions, as in constraints.txt"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[docs]'
	@touch $@

demo: $(READY)
	@echo "==> demo"
	@$(BIN)/python examples/demo.py $(ARGS)

# Two processes, each on one thread: threads of two processes would wait for each other. Where a
# test asks for more of them, they wait asleep, and not by counting on the other's core.
test: lint types
	@echo "==> tests, doctests, README"
	@SKLEARN_MLP_GPU_TESTS_DEVICE=$${SKLEARN_MLP_GPU_TESTS_DEVICE:-auto} OMP_NUM_THREADS=1 \
		OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

lint: $(READY)
	@echo "==> format"
	@$(BIN)/ruff format --check .
	@echo "==> lint"
	@$(BIN)/ruff check .

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

types: $(READY)
	@echo "==> types"
	@$(BIN)/mypy

bench: $(READY)
	@echo "==> benchmarks"
	@$(BIN)/python -m benchmarks $(ARGS)

# Warnings are errors, so the page of a name that is gone goes first. An example is run again if it
# has changed itself; `make clean` forgets them.
docs: $(DOCS_READY)
	@echo "==> documentation in docs/_build/html, its examples run"
	@rm -rf docs/generated
	@$(BIN)/python -m sphinx -W --keep-going -q -d docs/_build/doctrees $(ARGS) docs docs/_build/html
	@$(BIN)/python docs/check_links.py docs/_build/html

# build/ is removed first: setuptools would put files deleted since into the wheel.
wheel: $(READY)
	@echo "==> source distribution and wheel in dist/"
	@rm -rf build dist
	@$(BIN)/python -m build --outdir dist . > /dev/null
	@ls dist

clean:
	rm -f sklearn_mlp/compiled/_steps*.so
	rm -rf $(VENV) build dist docs/_build docs/gallery docs/generated *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
