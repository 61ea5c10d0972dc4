# make demo: runs the examples at http://localhost:8000/ and the ports after it. PORT=9000 chooses others.
# make install: installs what development needs, into .venv and with apt-get.
# make test: runs everything that CI checks. Its parts are make lint, package, docs, unit and unit-wheel.
# make test-matrix: runs what make test leaves out: each rule in each host, on each store, by each protocol.
# make test-rounds: runs tests many times that make test runs a few times. ROUNDS=200 says how often one kills a server.
# make test-mutants: changes sinks in small ways, and counts how many of the changes SinkContract finds. It takes an hour.
# make bench: measures for two minutes, and writes into docs/performance.md. make bench-full measures everything.
# make clean: deletes what the other commands made.

PYTHON ?= python3
PORT ?= 8000
ROUNDS ?= 50
VENV := .venv
BIN := $(VENV)/bin
AT_ONCE := --numprocesses 4 --dist loadfile --no-loadscope-reorder
# Many tests use browsers and servers, on a machine that may be busy with something else. One that
# fails is run once more. The summary lists it as RERUN, and somebody should look into it.
RERUNS := --reruns 1 -r fER

# Tests start hundreds of processes. Each would compile the package again.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: messages demo install test bench bench-full lint package docs unit unit-wheel test-matrix test-rounds test-mutants libmagic azurite npm browser firefox redis clamd nginx openssl clean

demo: $(VENV)/installed libmagic npm
	$(BIN)/python examples/demo.py $(PORT)

install: $(VENV)/installed libmagic azurite npm browser redis

test: lint package docs unit unit-wheel

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	# In the root of the clone, pyright would take the package for a project instead of a library.
	cd $(VENV) && PATH="$$PWD/bin:$$PATH" pyright --verifytypes djust_uploads --ignoreexternal > types.txt || { cat types.txt; exit 1; }

# Builds the sdist and the wheel as for a release, and checks them.
package: $(VENV)/installed
	sh tests/package.sh $(BIN)

docs: $(VENV)/installed
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going docs build/docs

# Most tests wait for servers and browsers, so four files at once are faster than two, on two cores.
# Tests marked "alone" run afterwards, by themselves.
unit: $(VENV)/installed libmagic azurite npm browser firefox redis clamd nginx openssl
	$(BIN)/pytest $(AT_ONCE) $(RERUNS) -m 'not alone and not matrix'
	$(BIN)/pytest $(RERUNS) -m 'alone and not matrix'

# Runs the tests of the main job against the installed wheel.
unit-wheel: package libmagic redis clamd
	sh tests/wheel.sh "$(PYTHON)" "$$(ls build/dist/*.whl)"

test-matrix: $(VENV)/installed libmagic azurite npm browser
	$(BIN)/pytest $(AT_ONCE) -m matrix
	FAULT_POINTS=4 $(BIN)/pytest $(AT_ONCE) tests/sinks/s3/test_contract.py tests/sinks/object_store/test_contract.py tests/sinks/gcs/test_contract.py

# Kills the server at a random moment and goes on with the upload, ROUNDS times, lets uploads take
# thousands of random ways, and runs fifty thousand fuzzed sessions.
test-rounds: $(VENV)/installed libmagic redis
	ROUNDS=$(ROUNDS) $(BIN)/pytest tests/resuming/test_sigkill.py
	EXAMPLES=1000 $(BIN)/pytest tests/uploads/test_state_machine.py tests/doors/http/test_both_doors.py
	SESSIONS=40000 $(BIN)/pytest tests/doors/test_fuzzed.py

# Goes on where it was interrupted. `python -m tests.mutants --report` shows what survived.
test-mutants: $(VENV)/installed libmagic
	$(BIN)/python -m tests.mutants

# New sentences come into the catalogues, without a translation yet.
messages: $(VENV)/installed
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.support.messages

bench: $(VENV)/installed libmagic npm browser
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/installed libmagic npm browser
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

npm: $(VENV)/installed
	sh tests/npm.sh $(VENV)

browser:
	sh tests/system-package.sh chromium "command -v chromium || command -v chromium-browser || command -v google-chrome"
	# Debian has it, Ubuntu does not. Without it, the tests take longer.
	-sh tests/system-package.sh chromium-headless-shell "command -v chromium-headless-shell"

firefox:
	sh tests/system-package.sh firefox-esr "command -v firefox-esr || command -v firefox"

redis:
	sh tests/system-package.sh redis-server "command -v redis-server"

clamd:
	sh tests/system-package.sh clamav-daemon "command -v clamd"

nginx:
	sh tests/system-package.sh nginx-light "PATH=$$PATH:/usr/sbin command -v nginx"

openssl:
	sh tests/system-package.sh openssl "command -v openssl"

clean:
	rm -rf $(VENV) .venv-wheel .mypy_cache .pytest_cache .ruff_cache build
