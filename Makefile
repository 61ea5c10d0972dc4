# make demo: runs the examples at http://localhost:8000/ and the ports after it. PORT=9000 chooses others.
# make test: everything that CI checks.
# make lint, package, docs, unit, unit-wheel: its parts.
# make test-rounds: runs a test often that CI runs a few times.
# make bench: two minutes of measurements into docs/performance.md. make bench-full: all of them.

PYTHON ?= python3
PORT ?= 8000
ROUNDS ?= 50
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test bench bench-full lint package docs unit unit-wheel test-rounds libmagic azurite browser redis clamd clean

demo: $(VENV)/installed libmagic
	$(BIN)/python examples/demo.py $(PORT)

test: lint package docs unit unit-wheel

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	# In the checkout, pyright would take the package for the project, and not for a library.
	cd $(VENV) && PATH="$$PWD/bin:$$PATH" pyright --verifytypes djust_uploads --ignoreexternal > types.txt || { cat types.txt; exit 1; }

# The sdist and the wheel, built as for a release.
package: $(VENV)/installed
	sh tests/package.sh $(BIN)

docs: $(VENV)/installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs build/docs

# Most tests wait for servers: three files of them at once take little more than a third of the time.
unit: $(VENV)/installed libmagic azurite browser redis clamd
	$(BIN)/pytest --numprocesses 3 --dist loadfile -m 'not alone'
	$(BIN)/pytest -m alone

# The tests of the main job, against the installed wheel.
unit-wheel: package libmagic redis clamd
	sh tests/wheel.sh "$(PYTHON)" "$$(ls build/dist/*.whl)"

# Kills the server at a random moment and goes on, ROUNDS times. The unit tests do it a few times.
test-rounds: $(VENV)/installed libmagic redis
	ROUNDS=$(ROUNDS) $(BIN)/pytest tests/resuming/test_sigkill.py

bench: $(VENV)/installed libmagic
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/installed libmagic
	$(BIN)/python -m benchmarks --full --rounds 7

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

clamd:
	sh tests/system-package.sh clamav-daemon "command -v clamd"

clean:
	rm -rf $(VENV) .venv-wheel .mypy_cache .pytest_cache .ruff_cache build
