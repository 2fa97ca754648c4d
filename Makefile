# Every target says in a line with two hashes what it is for; `make help` prints these.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= demo
# Temporary folders of tests lie in memory where 4 GB of it are free: half of what they would wait for is the disk.
SCRATCH ?= $(shell [ -w /dev/shm ] && [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -gt 4194304 ] && echo /dev/shm)
PYTEST = $(if $(SCRATCH),TMPDIR=$(SCRATCH)) $(BIN)/python -m pytest

# Modules are compiled once, not by every process that the tests start, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: test-faults test-browser fuzz faults softhsm services services-down test-services model kills run test test-slow lint lock clean help

help:
	@sed -n 's/^## //p' Makefile

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Liucun needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "Compiling the loops that decode and detect (once, about a minute) ..."
	@$(BIN)/python -m pipelines.decode && $(BIN)/python -m detectors.ahead
	@touch $@

## run            a demo from nothing: a store, sample logs, a run over them
run: $(STAMP)
	@DEMO=$(DEMO) bash deploy/demo.sh

## test           the tests, in under ten minutes on two cores
test: $(STAMP)
	@bash deploy/fonts.sh || echo "Without a Chinese font the tests of reports, audits and disclosures fail."
	$(PYTEST) -n 2 -m "not slow and not services"

## test-slow      those that take over ten seconds each
test-slow: $(STAMP)
	$(PYTEST) -n 2 -m "slow and not services"

## test-faults    samples of the fault sweeps, killed runs and deadly records, some minutes; all of the first two: faults, kills
test-faults: $(STAMP)
	$(PYTEST) -n 2 -m "slow and not services" tests/faults tests/pipelines

## test-browser   the console in a real browser (Debian's Chromium); pictures of every page in build/pictures
test-browser: $(STAMP)
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk)
	@bash deploy/fonts.sh
	$(BIN)/python -m pytest -n 0 tests/browser

## lint           style, types, and which room may import which
lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

TEXT ?= ../shared/data/text

## model          the model that ships, from the corpus and the data sets in TEXT that may train it (docs/models.md)
model: $(STAMP)
	$(BIN)/python -m detectors.model.shipping --text $(TEXT) --out detectors/model/shipped

## kills          kill a run over real transactions at KILLS random moments
kills: $(STAMP)
	$(BIN)/python -m tests.faults.kill_run --kills $(or $(KILLS),50) --data '../shared/data/retail/*.csv.gz'

## services       real servers on loopback under .services/ or $LIUCUN_SERVICES (docs/services.md); SERVICES="postgres s3" for some
services: $(STAMP)
	@bash deploy/services/services.sh up $(SERVICES)

## services-down  stop them
services-down:
	@bash deploy/services/services.sh down $(SERVICES)

## test-services  the tests that need them; MARKS="services and not slow" for the shorter ones
# Those of the rooms run side by side, each in a database of its own; those of tests/services stop servers, so alone.
MARKS ?= services
test-services: $(STAMP)
	$(PYTEST) -n 2 -m "$(MARKS)" -rs --ignore tests/services tests
	$(PYTEST) -n 0 -m "$(MARKS)" -rs tests/services

## softhsm        the PKCS#11 token in software that tests/retention/keys/test_pkcs11.py runs on; without it they skip
softhsm:
	@bash deploy/softhsm.sh

## faults         let every write, sync, rename, link and deletion of a run and of a destruction fail in turn; EVERY=K: every Kth
faults: $(STAMP)
	$(BIN)/python -m tests.faults.sweep --every $(or $(EVERY),1)
	$(BIN)/python -m tests.faults.purge_sweep --every $(or $(EVERY),1)

## fuzz           fuzz what parses files, for SECONDS
fuzz: $(STAMP)
	$(BIN)/python -m tests.faults.fuzz --seconds $(or $(SECONDS),600)

## lock           the versions that everything is made with, and of these what the program runs on (images, servers)
lock: $(STAMP)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --quiet pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra second-look --generate-hashes --no-emit-index-url \
		--no-emit-find-links --no-header --no-annotate --quiet -c requirements.lock pyproject.toml -o requirements-run.lock

## clean          remove what was installed and built, and the demo
clean:
	rm -rf $(VENV) $(DEMO) build *.egg-info .mypy_cache .ruff_cache .pytest_cache
