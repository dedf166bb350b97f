# Needs Python 3.11 or newer, make and a C compiler; everything else is put into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
ARGS ?=
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check --no-input
# Installed beside the locked packages: this folder itself, without a build, and the command. The command may be linked to from
# elsewhere, and takes no code from the folder that it is called in (-P).
INSTALL_SELF = $(PY) -c 'import pathlib, sysconfig; \
	pathlib.Path(sysconfig.get_path("purelib"), "barrage.pth").write_text(str(pathlib.Path.cwd()) + "\n")' \
	&& printf '\#!/bin/sh\nexec "$$(dirname "$$(readlink -f "$$0")")/python" -P -m server "$$@"\n' > $(VENV)/bin/barrage \
	&& chmod +x $(VENV)/bin/barrage

.PHONY: run test coverage lint format bench bench-peers docs lock clean help

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/.run ## Start a demo server; the data is kept in ./data. Options: ARGS="--port 9000".
	@$(PY) -m server serve --demo --data data --set log_format=console $(ARGS)

test: $(VENV)/.dev ## Run all tests, on up to four cores. Some: ARGS="tests/filters -k rate".
	@$(PY) -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

coverage: $(VENV)/.dev ## Run all tests and count covered lines and branches, also in the servers they start; fails below the gate.
	@$(PY) -m pytest -q -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term $(ARGS)

lint: $(VENV)/.dev ## Check style, format, types and import rules.
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --no-logo

format: $(VENV)/.dev ## Put the code into form.
	@$(VENV)/bin/ruff check --quiet --fix .
	@$(VENV)/bin/ruff format --quiet .

bench: $(VENV)/.run ## Time the steps of a comment's way; fails when one became slower than the stored baseline (docs/load-tests.md).
	@$(PY) -m loadtest micro $(ARGS)

bench-peers: $(VENV)/.run $(VENV)/.peers ## Measure this server and its peers in one run (docs/performance.md).
	@$(PY) -m loadtest peers $(ARGS)

docs: $(VENV)/.run ## Make the tables in docs/ from those of the program and of the tests.
	@$(PY) -m server.documents
	@$(PY) -m tests.duties.listing

lock: $(VENV)/.uv ## Choose versions anew and lock them with hashes.
	@$(VENV)/bin/uv pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url --no-header \
		--python-version 3.11 pyproject.toml -o requirements.lock
	@$(VENV)/bin/uv pip compile --quiet --upgrade --generate-hashes --universal --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev pyproject.toml -o requirements-dev.lock

clean: ## Remove what can be made again; the data stays.
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage* htmlcov dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Barrage needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "This Python cannot make virtual environments (Debian: apt-get install python3-venv)." >&2; exit 1; }

$(VENV)/.run: requirements.lock | $(PY)
	@echo "Installing the packages of requirements.lock (once) ..."
	@$(PIP) install --require-hashes -r requirements.lock
	@$(INSTALL_SELF)
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(PY)
	@echo "Installing the packages of requirements-dev.lock (once) ..."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@$(INSTALL_SELF)
	@touch $@ $(VENV)/.run

# What peers need, away from what this server needs; tried again each time while there is no npm.
$(VENV)/.peers: loadtest/peers/requirements.lock loadtest/peers/package-lock.json | $(PY)
	@echo "Installing the peers (once) ..."
	@$(PY) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip --quiet --quiet --disable-pip-version-check --no-input install --require-hashes \
		-r loadtest/peers/requirements.lock
	@if command -v npm >/dev/null; then \
		npm ci --prefix loadtest/peers --silent --ignore-scripts --no-audit --no-fund && touch $@; \
	else echo "No npm: Bun, ws and socket.io are left out (Debian: apt-get install nodejs npm)."; fi

$(VENV)/.uv: | $(PY)
	@$(PIP) install 'uv>=0.9,<1'
	@touch $@
