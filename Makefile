# make demo    the auction house on http://127.0.0.1:5000 (HOST= and PORT= override)
# make test    everything that must hold: ruff, mypy, pytest with real clients
# make bench   speed, beside the peers (BENCH=chat,echo PEERS=node,eventlet choose), in 15 minutes; bench-quick in 2
# make lock    pin the newest versions that pyproject.toml admits

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MARKS  := .make
HOST   ?= 127.0.0.1
PORT   ?= 5000

.PHONY: demo test bench bench-quick lock clean browser servers

demo: $(MARKS)/run $(MARKS)/npm
	HOST=$(HOST) PORT=$(PORT) $(BIN)/python examples/auction/app.py

test: $(MARKS)/test $(MARKS)/npm browser servers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/pytest

bench: $(MARKS)/test
	$(BIN)/python benchmarks/run.py --install
	$(BIN)/python benchmarks/run.py --limit 810
	@if [ -z "$(BENCH)$(PEERS)" ]; then $(BIN)/python benchmarks/report.py; \
	else echo "A part of it: docs/benchmarks.md stays as it is"; fi

bench-quick: $(MARKS)/test
	$(BIN)/python benchmarks/run.py --install
	$(BIN)/python benchmarks/run.py --quick --repeat 1 --seconds 1 --warmup 0.3 --limit 100 --out benchmarks/results/quick.json

lock: $(MARKS)/venv
	$(BIN)/pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --output-file requirements.txt pyproject.toml
	$(BIN)/pip-compile --quiet --strip-extras --generate-hashes --no-emit-index-url --no-emit-find-links --allow-unsafe --extra test \
		--output-file requirements-test.txt pyproject.toml
	npm install --package-lock-only --no-audit --no-fund

clean:
	rm -rf $(VENV) $(MARKS) node_modules

# --- the environment: made once, made again when a lock file changes

$(MARKS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Greenwire needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@mkdir -p $(MARKS) && touch $@

$(MARKS)/run: requirements.txt pyproject.toml | $(MARKS)/venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

$(MARKS)/test: requirements-test.txt $(MARKS)/run
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-test.txt
	@touch $@

# The demo works without: its pages say that they are not live. The tests do not.
$(MARKS)/npm: package-lock.json | $(MARKS)/venv
	@if command -v npm >/dev/null; then npm ci --no-audit --no-fund && touch $@; \
	else echo "npm is missing (apt-get install npm): no JavaScript client"; \
		test -z "$$CI"; fi

browser:
	@if ! command -v chromium >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
		else echo "chromium is missing (apt-get install chromium): the browser tests are skipped"; fi; fi

# What tests run against or through, as COMMAND:PACKAGE of Debian; initdb is not in the PATH there.
SERVERS := redis-server:redis-server nginx:nginx-light haproxy:haproxy curl:curl openssl:openssl

servers:
	@missing=""; \
	for each in $(SERVERS); do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v $${each%:*} >/dev/null || missing="$$missing $${each#*:}"; done; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; \
		else echo "missing (apt-get install$$missing): the tests with these servers are skipped"; \
			test -z "$$CI"; fi; fi
