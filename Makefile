# One entry a job. `make demo` and `make test` do all the set-up they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# pip compiles what it installs, but not an editable package; where PYTHONDONTWRITEBYTECODE is set nothing else ever would.
COMPILE = $(BIN)/python -m compileall -q mnncompat

.DEFAULT_GOAL := help
.PHONY: help chromium viewer demo test lint types imports site tests fuzz wheel docs bench bench-cost heads seeds evidence campaigns mutation plants sshd torch smoke pyright clean

help:
	@echo "make demo    environment, then check, fix, convert and verify the tutorial's model"
	@echo "make test    environment, then everything that CI runs: lint, types, imports, site, tests"
	@echo "make lint | types | imports | site | tests | fuzz | wheel | docs | bench | bench-cost | heads | seeds | evidence | campaigns | mutation | plants | sshd | torch | smoke | pyright | clean"

demo: $(VENV)/.demo
	@$(BIN)/python examples/mnist/demo.py

test: lint types imports site tests

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

# The documentation, into build/site/html: offline, any warning is an error, links within it are checked.
site: $(VENV)/.dev
	$(BIN)/python tests/docs/build_site.py

tests: $(VENV)/.dev chromium
	$(BIN)/pytest -n 2

# The browser in which tests look at pages: Debian's, or one that is there. Playwright downloads none.
CHROMIUM = command -v chromium || command -v chromium-browser || command -v google-chrome
APT = DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
chromium:
	@{ $(CHROMIUM); } >/dev/null || { test "$$(id -u)" = 0 && $(APT) update && $(APT) install -y --no-install-recommends chromium fonts-dejavu-core >/dev/null; } \
	  || { echo "tests need Chromium, and only root can install it: apt-get install chromium" >&2; exit 2; }

# What pages of --html show, after a change of its sources: needs node and npm.
viewer:
	cd mnncompat/viewing/viewer && npm ci --ignore-scripts && npm run build

# make fuzz FUZZ="--seed 7 --check 10000 --fix 2000 --convert 300 --seconds 7200"
FUZZ ?= --check 1000 --fix 200 --convert 30 --seconds 540
fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz/fuzz.py $(FUZZ)

wheel: $(VENV)/.dev
	$(BIN)/python -m build --outdir dist .

docs: $(VENV)/.dev
	$(BIN)/mnncompat dev compile-rules
	$(BIN)/mnncompat ops --mnn 3.6.1 --output-format markdown > rules/TABLE.md
	$(BIN)/python tests/docs/row_language.py
	$(BIN)/python tests/docs/foreign_operators.py
	$(BIN)/python tests/docs/console.py

bench: $(VENV)/.dev
	$(COMPILE)
	$(BIN)/python tests/benchmarks/startup.py
	$(BIN)/python tests/benchmarks/probe.py
	$(BIN)/python tests/benchmarks/real_models.py

# make bench-cost COST="table": what check, fix and convert cost, against their peers, in an environment under build/
bench-cost: $(VENV)/.dev
	$(COMPILE)
	$(BIN)/python tests/benchmarks/cost.py $(COST)

# make heads HEADS="norm --record"
HEADS ?=
heads: $(VENV)/.dev
	$(COMPILE)
	$(BIN)/python tests/benchmarks/heads.py $(HEADS)

seeds: $(VENV)/.dev
	$(COMPILE)
	$(BIN)/python tests/benchmarks/seeds.py

evidence: $(VENV)/.dev
	$(BIN)/python tests/evidence/measure.py

# make campaigns CAMPAIGNS="--campaigns 20 --models 200 --command check --kills 3": faults on a cluster of this machine;
# STOPS="--models 3 --release 3.0.0 --release 3.6.1 --device arm64": a campaign that is stopped three times
CAMPAIGNS ?=
STOPS ?= --models 2 --release 3.0.0 --release 3.6.1 --device arm64
campaigns: $(VENV)/.dev
	$(BIN)/python tests/fleet/campaigns.py $(CAMPAIGNS)
	$(BIN)/python tests/fleet/stops.py $(STOPS)

mutation: $(VENV)/.dev
	cd tests/mutation && PYTHONPATH=.. ../../$(BIN)/python suite.py

sshd: $(VENV)/.dev
	$(BIN)/python tests/devices/sshd.py

# make plants PLANTS="squeezenet with-loop"
plants: $(VENV)/.dev
	cd tests/diagnosing && PYTHONPATH=.. ../../$(BIN)/python plant_suite.py $(PLANTS)

torch: $(VENV)/.dev
	$(BIN)/python tests/torchmodules/measure_torch.py

# Not part of `make test`: environments of their own, with the oldest versions that the package admits and other Pythons.
# make smoke SMOKE="--python python3.13"
SMOKE ?= --lowest --python python3.12 --python python3.13
smoke: $(VENV)/.dev
	$(BIN)/python tests/packaging/smoke.py $(SMOKE)

# What mypy checks of the Python API, by pyright, whose program comes from npm when it is first run.
pyright: $(VENV)/.dev
	$(PYTHON) -m venv build/pyright
	build/pyright/bin/python -m pip install --quiet pyright
	build/pyright/bin/pyright --pythonpath $(BIN)/python tests/docs/snippet.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mnncompat needs Python 3.11 or newer: make PYTHON=python3.11" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	$(COMPILE)
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml
	$(BIN)/python -m pip install --quiet --editable ".[torch]" --group dev
	$(BIN)/python -m pip install --quiet --no-deps "ai-edge-model-explorer>=0.1.30" # what it reads other formats with is 480 MB
	$(COMPILE)
	@touch $@ $(VENV)/.demo
