# Needs Python 3.11 or later and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHECKED_PYTHONS := 3.11 3.12 3.13 3.14
BENCH_ARGS ?=

.PHONY: demo test lint types tests bench clean

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/demo.py

test: lint types tests

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev.stamp
	set -e; for version in $(CHECKED_PYTHONS); do \
		echo "types for Python $$version"; \
		$(BIN)/mypy --python-version $$version; \
		$(BIN)/pyright --pythonversion $$version; \
	done

tests: $(VENV)/dev.stamp
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --include='src/webhooks_sdk/*.py' --fail-under=98

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or later is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) pip

$(VENV)/demo.stamp: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) --editable '.[sandbox]'
	touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(INSTALL) --group dev
	touch $@
