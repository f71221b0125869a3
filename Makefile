# `make` alone lists the targets. Every target that runs something makes the environment first.

PYTHON ?= python3
BIN    := .venv/bin
STAMP  := .venv/.installed
ARGS   ?=
COMPONENT ?= pipeline
TEST   ?= tests/gateware
FUZZ   ?= fix_codec
IS_TESTED := import sys; (3, 11) <= sys.version_info[:2] <= (3, 13)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env run test test-vfio nightly waves formal hang mutation figures fuzz bench bench-peers cycles verilog pnr synth-usp lint spec docs dist clean

help: ## List the targets
	@echo 'Targets; ARGS="..." is passed on, PYTHON=... chooses the interpreter of .venv,'
	@echo 'COMPONENT=... a component of the gateware (make verilog ARGS=--list tells which):'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

run: $(STAMP) ## Trade for 20 s on a local venue, with the software device (ARGS="--seconds 60")
	@$(BIN)/tickwire run $(ARGS)

test: $(STAMP) ## Run every test (ARGS="tests/unit -k book")
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

nightly: $(STAMP) ## Run the long tests and test-vfio, and draw 100,000 sequences of each kind for gate and order path, and as many in all for the compiled one (a night)
	@TICKWIRE_LONG=1 $(BIN)/python -m pytest -n 2 --dist loadfile -m long $(ARGS)
	@$(BIN)/python -m tests.vfio
	@TICKWIRE_RISK_SEQUENCES=100000 $(BIN)/python -m pytest -n 2 tests/parity/test_order_path.py $(ARGS)
	@TICKWIRE_CARD_SEQUENCES=17000 $(BIN)/python -m pytest -n 2 --dist loadfile tests/gateware/test_order_path.py tests/gateware/test_triggers.py $(ARGS)

test-vfio: $(STAMP) ## Test the driver against a real kernel in QEMU, and trade over a BAR (needs qemu-system-x86 busybox-static cpio; ARGS=driver or card: one part)
	@$(BIN)/python -m tests.vfio $(ARGS)

waves: $(STAMP) ## Leave the waves of a gateware test in build/waves (TEST="tests/gateware/test_receive.py -k cut")
	@rm -rf build/waves
	@TICKWIRE_WAVES=build/waves $(BIN)/python -m pytest -n 0 $(TEST); \
	    $(BIN)/python -m tickwire_sim.waves build/waves

formal: .venv/.with-formal ## Prove properties of the gateware (ARGS="--list"; the first start takes minutes)
	@$(BIN)/python -m tests.formal $(ARGS)

hang: $(STAMP) ## Give the gateware 10 M cycles of garbage on all ports at once (minutes)
	@TICKWIRE_HANG_CYCLES=10000000 $(BIN)/python -m pytest -n 0 tests/gateware/test_hang.py

mutation: $(STAMP) ## Flip operators of the gateware, and see that tests notice (ARGS="filter --sample 20"; all take hours)
	@$(BIN)/python -m tests.mutation $(ARGS)

fuzz: .venv/.with-fuzz ## Fuzz FUZZ=fix_codec or fix_session for a minute, guided by coverage (ARGS="-max_total_time=600")
	@mkdir -p build/fuzz/$(FUZZ)
	@$(BIN)/python -m tests.fuzz.$(FUZZ) -max_total_time=60 $(ARGS) build/fuzz/$(FUZZ)

lint: $(STAMP) ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

bench: $(STAMP) ## Measure everything, into bench/results (ARGS="book risk --repeats 9")
	@$(BIN)/python -m bench $(ARGS)

bench-peers: .venv/.with-bench-peers ## Install the peers that the benches compare with

cycles: $(STAMP) ## Count the gateware's cycles into bench/results/cycles.json (ARGS="commit")
	@$(BIN)/python -m bench.cycles $(ARGS)

figures: $(STAMP) ## Draw the figures of the documents again, from simulations
	@$(BIN)/python -m bench.figures

verilog: $(STAMP) ## Write components as Verilog into build/verilog (ARGS="receive --geometry large")
	@$(BIN)/python -m tickwire_hw.export $(ARGS)

pnr: .venv/.with-pnr ## Place and route COMPONENT for 125 MHz on ECP5 (ARGS="--seed 2"; first start: minutes)
	@$(BIN)/python -m tickwire_hw.platform.ecp5 $(COMPONENT) $(ARGS)

synth-usp: .venv/.with-pnr ## Synthesize COMPONENT for UltraScale+ (ARGS="--geometry small"; first start: minutes)
	@$(BIN)/python -m tickwire_hw.platform.ultrascale $(COMPONENT) $(ARGS)

spec: $(STAMP) ## Write again every file that is generated from the tables
	@$(BIN)/python -m tickwire.spec.generate

docs: spec ## Render the pages from the tables and the configuration, and check every link
	@$(BIN)/python -m tickwire.config > docs/configuration.md
	@$(BIN)/python -m pytest -q tests/unit/test_tidy.py -k 'links or generated'

dist: $(STAMP) ## Build the wheel and the source archive in dist/
	@$(BIN)/python -m hatchling build -d dist

env: $(STAMP) ## Make the environment .venv and nothing else

clean: ## Remove .venv, build output and caches
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is newer than both files that decide what is installed: the second time costs nothing.
# Debian splits ensurepip from python3: without python3-venv, virtualenv or an outer pip serves.
$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	    echo 'tickwire needs Python 3.11 to 3.13; $(PYTHON) is not on the path.' >&2; exit 1; }
	@$(PYTHON) -c '$(IS_TESTED) or sys.exit("tickwire needs Python 3.11 to 3.13; $(PYTHON) is %d.%d: \
	make PYTHON=... names another." % sys.version_info[:2])'
	@$(BIN)/python -c 'import pip; $(IS_TESTED) or sys.exit(1)' 2>/dev/null && exit; rm -rf .venv; \
	if $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
	    $(PYTHON) -m venv .venv; \
	elif $(PYTHON) -m virtualenv --version >/dev/null 2>&1; then \
	    $(PYTHON) -m virtualenv -q .venv; \
	elif $(PYTHON) -m pip --version >/dev/null 2>&1; then \
	    $(PYTHON) -m venv --without-pip .venv \
	        && $(PYTHON) -m pip --python $(BIN)/python install -q pip; \
	else \
	    echo 'tickwire needs the venv module for its environment: apt-get install python3-venv' >&2; \
	    exit 1; \
	fi
	@echo 'Installing into .venv (once; about a minute) ...'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt hatchling
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt \
	    --no-build-isolation -e '.[test,lint,hw,sim]'
	@touch $@

# An extra that few need, by its name in pyproject.toml.
.venv/.with-%: $(STAMP)
	@echo 'Installing $* into .venv ...'
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt \
	    --no-build-isolation -e '.[$*]'
	@touch $@
