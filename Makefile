# make demo   train on real tissue while a second process analyzes it
# make test   the test suite
# make faults the long fault tests: everything is killed, stopped, starved and cut
# make soak   ten minutes at 200 batches a second, in which neither side may grow
# make test-cuda   what only a GPU can show, with the host's time; keep it: | tee benchmarks/results/cuda.txt
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH := $(shell grep '^torch==' constraints.txt)
DEMO_NAME ?= demo-$(shell date +%Y%m%d-%H%M%S)
DEMO_FLAGS ?= --output-dir runs --run-name $(DEMO_NAME) --record runs/$(DEMO_NAME).mcap
PYTEST_FLAGS ?=
SOAK_S ?= 600
# Exit code of pytest that is no failure; 5, no test was left to run, where only some are run again.
NOTHING_LEFT ?= 0

.PHONY: page setup demo test faults soak test-cuda lint format bench clean

setup: $(VENV)/installed

$(VENV)/installed: pyproject.toml constraints.txt analyzer_service/page/web/package-lock.json
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sidelight needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[trainer,page,wsi,dev]'
	touch $@

# The live page's scripts, after a change of its sources; an installation makes them by itself.
page: setup
	$(BIN)/python build_backend/page_assets.py

demo: setup
	mkdir -p runs
	$(BIN)/python -m trainer $(DEMO_FLAGS)

# Tests share the processors, but for those that another one beside them would disturb.
test: setup
	status=0; \
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile \
		-m 'not alone and not long' $(PYTEST_FLAGS) || [ $$? -eq $(NOTHING_LEFT) ] || status=1; \
	$(BIN)/python -m pytest -m 'alone and not long' $(PYTEST_FLAGS) \
		|| [ $$? -eq $(NOTHING_LEFT) ] || status=1; \
	exit $$status

faults: setup
	$(BIN)/python -m pytest -m long tests/faults $(PYTEST_FLAGS)

soak: setup
	SOAK_S=$(SOAK_S) $(BIN)/python -m pytest -m long -s tests/faults/test_soak.py $(PYTEST_FLAGS)

test-cuda: setup
	$(BIN)/python -m pytest -m cuda -rA tests/cuda $(PYTEST_FLAGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python build_backend/page_assets.py check

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	for bench in benchmarks/*.py; do $(BIN)/python $$bench || exit 1; done

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
