# make demo: the examples, at http://localhost:8000/ and the ports after it; PORT=9000 chooses others.
# make test: everything that CI checks.
# make test-rounds: what CI does a few times, more often.
# make bench: two minutes of measurements into docs/performance.md; make bench-full: all of them.

PYTHON ?= python3
PORT ?= 8000
ROUNDS ?= 50
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench bench-full lint unit unit-django6 test-rounds libmagic azurite browser redis clean

demo: $(VENV)/installed libmagic
	$(BIN)/python examples/demo.py $(PORT)

test: lint unit unit-django6

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Most tests wait for servers: three files of them at once take little more than a third of the time.
unit: $(VENV)/installed libmagic azurite browser redis
	$(BIN)/pytest --numprocesses 3 --dist loadfile -m 'not alone'
	$(BIN)/pytest -m alone

# What the unit tests do a few times, ROUNDS times: kill the server at a random moment, and go on.
test-rounds: $(VENV)/installed libmagic redis
	ROUNDS=$(ROUNDS) $(BIN)/pytest tests/resuming/test_sigkill.py

bench: $(VENV)/installed libmagic
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/installed libmagic
	$(BIN)/python -m benchmarks --full --rounds 7

# djust wants Django < 6, so there only plain Channels is tested, and Django 6 wants Python 3.12.
unit-django6: libmagic
	sh tests/django6.sh

$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

libmagic:
	sh tests/system-package.sh libmagic1 "$(PYTHON) -c 'import ctypes.util, sys; sys.exit(not ctypes.util.find_library(\"magic\"))'"

azurite: $(VENV)/installed
	sh tests/azurite.sh $(VENV)

browser:
	sh tests/system-package.sh chromium "command -v chromium || command -v chromium-browser || command -v google-chrome"

redis:
	sh tests/system-package.sh redis-server "command -v redis-server"

clean:
	rm -rf $(VENV) .venv-django6 .mypy_cache .pytest_cache .ruff_cache dist
