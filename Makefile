# Needs Python 3.11 or later and make; everything else is installed into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
CHECKED_PYTHONS := 3.11 3.12 3.13 3.14
BENCH_ARGS ?=
INTERPRETERS_TESTS ?= tests/wire tests/models tests/core tests/transport tests/receiving tests/client tests/replay/journal tests/replay/engine
LOWEST_TESTS ?= tests/wire tests/models tests/core tests/transport tests/client

.PHONY: demo test graph diagram lint types tests interpreters tests-on lowest bench bench-million clean

demo: $(VENV)/demo.stamp
	$(BIN)/python examples/demo.py

test: lint types tests

# The imports between modules and packages, as text.
graph: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m support.import_graph

diagram: $(VENV)/dev.stamp
	PYTHONPATH=tests $(BIN)/python -m support.layers

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
	$(BIN)/coverage report --include='src/webhooks_sdk/*.py,src/webhooks_sdk/_*/*.py,src/pytest_webhooks_sdk.py' --fail-under=98

# With the other interpreters that are found: on the PATH, or installed by pyenv.
interpreters:
	set -e; ran=0; for version in $(filter-out $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])'),$(CHECKED_PYTHONS)); do \
		found=; for python in python$$version $$HOME/.pyenv/versions/$$version.*/bin/python; do \
			if $$python -c '' 2>/dev/null; then found=$$python; break; fi; \
		done; \
		if [ -z "$$found" ]; then echo "Python $$version: not found, not tested"; continue; fi; \
		echo "Python $$version: $$found"; ran=1; \
		$(MAKE) --no-print-directory tests-on VENV=.venv-$$version PYTHON=$$found; \
	done; \
	if [ $$ran = 0 ]; then echo "No other interpreter was found: nothing was tested."; fi

tests-on: $(BIN)/python
	$(INSTALL) --group interpreter-tests --editable '.[sandbox]'
	$(BIN)/python -m pytest -q -p no:cacheprovider $(INTERPRETERS_TESTS)

# With the lowest versions of the dependencies that are declared to work.
lowest: .venv-lowest/stamp
	# Before 4.16, anyio leaves a socket to the garbage collector when a connect is cancelled.
	.venv-lowest/bin/python -m pytest -q $(LOWEST_TESTS) -k 'not cancelling_at_any_await'

bench: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

# A replay of a million targets: takes minutes.
bench-million: $(VENV)/dev.stamp
	$(BIN)/python -m benchmarks.million

clean:
	rm -rf $(VENV) .venv-* build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis

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

.venv-lowest/stamp: pyproject.toml constraints.txt constraints-lowest.txt
	rm -rf .venv-lowest
	$(PYTHON) -m venv .venv-lowest
	# The other pins stand, but not those of what the lowest versions are about or need themselves.
	grep -vE '^($(shell sed -n 's/==.*//p' constraints-lowest.txt | paste -sd '|')|httpcore)==' constraints.txt > .venv-lowest/others.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c .venv-lowest/others.txt pip
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		-c .venv-lowest/others.txt -c constraints-lowest.txt --group core-tests --editable '.[sandbox]'
	touch $@
