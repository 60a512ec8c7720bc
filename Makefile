# Two commands do everything on a machine with Python 3.11 or later and make: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-all mutation fuzz check format bench docs figures families release clean

setup: $(VENV)/.ready  ## make the environment with the pinned versions

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "making the environment in $(VENV): PyTorch first, then the rest; about a minute, more where it must be fetched"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: setup  ## from no preferences to an aligned model, on the starter model, in some minutes
	$(BIN)/penchant demo --output runs/demo

test: setup  ## the fast tests; what is compiled is kept, also where the environment says otherwise
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -m "not slow" $(SHARED_OUT)

MEASURED := tests/objectives tests/ranking tests/lab
REST := $(addprefix --ignore=,$(MEASURED))
SHARED_OUT := --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-all: setup  ## all tests, also those with the real model and killed processes, and every branch of three rooms
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(MEASURED) --cov $(SHARED_OUT)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q $(REST) $(SHARED_OUT)

ROOM ?=
mutation: setup  ## break what computes in every way mutmut knows and see that a test fails; ROOM=ranking takes one room; docs/mutation.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[mutation]'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run 'penchant.$(ROOM)*'
	$(BIN)/mutmut results | grep -v 'not checked' || true

fuzz: setup  ## a million inputs to the importers and the configuration, guided by coverage; docs/reliability.md
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python tests/fuzz/fuzz.py --runs 1000000

check: setup  ## lint, format, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## the figures of docs/performance.md; TRL_PYTHON names an interpreter that has TRL
	$(BIN)/python benchmarks/dpo_throughput.py $(if $(TRL_PYTHON),--trl-python $(TRL_PYTHON),--skip-trl)
	$(BIN)/python benchmarks/sampling_throughput.py

$(VENV)/.docs: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

docs: $(VENV)/.docs  ## write the parts of docs/ that the code knows, and build the site into site/; a link that leads nowhere stops it
	$(BIN)/python docs/make.py
	$(BIN)/python docs/architecture.py
	$(BIN)/python docs/notebooks.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html opens in a browser; with search: $(BIN)/python -m http.server --directory site"

figures: setup  ## draw the figures of docs/theory.md again; a minute
	$(BIN)/python docs/figures.py

families: setup  ## build every family of models small, compare with plain transformers, write docs/models.md; ten minutes
	$(BIN)/python docs/families.py

release: setup  ## wheel and source archive in dist/, tried in fresh environments of every Python from 3.11 to 3.14 found here
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[release]'
	$(BIN)/python tools/release.py

clean:
	rm -rf $(VENV) site dist .pytest_cache .mypy_cache .ruff_cache .hypothesis build
