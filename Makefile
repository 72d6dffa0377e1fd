# Everything a developer runs. CPython 3.11 or newer and make are all it takes.
# The virtual environment is .venv/<version of Python>, so several Pythons stand side by side.

HOST ?= 127.0.0.1
PORT ?= 5000

# The oldest Python that is supported (other people's packages want a newer one), and where one is
# looked for: the newest first. A name may stand on the PATH and still not work, so each is tried by
# running it.
WITH_OTHERS := $(filter test-ecosystem compatibility,$(MAKECMDGOALS))
OLDEST := $(if $(WITH_OTHERS),3.13,3.11)
PYTHONS_TRIED := $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python)
, := ,
PROBE := import ensurepip, sys; \
	v = "%d.%d" % sys.version_info[:2]; \
	fits = sys.version_info >= ($(subst .,$(,),$(OLDEST))); \
	print(v) if fits and sys.implementation.name == "cpython" else sys.exit(1)

ifneq ($(filter-out help clean,$(or $(MAKECMDGOALS),help)),)
FOUND := $(shell for python in $(PYTHONS_TRIED); do \
	version=$$("$$python" -c '$(PROBE)' 2>/dev/null) && echo "$$python $$version" && break; done)
ifeq ($(FOUND),)
SEEN := $(shell for python in $(PYTHONS_TRIED); do \
	"$$python" -c 'import platform as p; print(p.python_implementation(), p.python_version())' \
	2>/dev/null && break; done)
$(error $(or $(firstword $(WITH_OTHERS)),asyncflask) needs CPython $(OLDEST) or newer with its \
	venv module; found here: $(or $(SEEN),no Python). Install one, or name it: make PYTHON=/path/to/python)
endif
endif

VENV := .venv/$(lastword $(FOUND))
BIN := $(VENV)/bin
# The peers of the benchmark have their own.
BENCH := .venv/bench-$(lastword $(FOUND))
# Neighbours and their dependencies stand apart, so that versions do not fight.
ECOSYSTEM := .venv/ecosystem-$(lastword $(FOUND))
# In two processes, for in the second one `flask` is not Flask. ARGS may choose tests of one only.
OTHERS = for tests in tests/ecosystem tests/extensions; do \
	$(ECOSYSTEM)/bin/python -m pytest $$tests $(1) || [ $$? = $(if $(ARGS),5,0) ] || exit 1; done
# With COVERAGE=1 the tests are measured; `make report` adds up what all runs have left.
PYTEST := $(BIN)/python -m $(if $(COVERAGE),coverage run -m )pytest

.DEFAULT_GOAL := help
.PHONY: help run test test-ecosystem compatibility check format coverage report python clean \
	bench bench-check

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1  /p' Makefile | awk '{ printf "make %-14s", $$1; $$1 = ""; print }'

run: $(VENV)/.run  ## Serve the main example at http://127.0.0.1:5000 (HOST=, PORT=)
	$(BIN)/asyncflask --app examples.board run --host $(HOST) --port $(PORT)

test: $(VENV)/.dev  ## Run the tests (ARGS="-k routing", COVERAGE=1)
	$(PYTEST) $(ARGS)

test-ecosystem: $(ECOSYSTEM)/.ecosystem  ## Test with other people's packages (ARGS="-k fastapi")
	$(call OTHERS,$(or $(ARGS),--compatibility=check))

compatibility: $(ECOSYSTEM)/.ecosystem  ## Do so, and write docs/compatibility.md
	$(call OTHERS,--compatibility=write)

check: $(VENV)/.dev  ## Check format, lint, types and the floors of the package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev  ## Format the code and mend what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH)/.bench  ## Measure beside the peers (ARGS="--scenario json --quick")
	$(BENCH)/bin/python -m benchmarks $(ARGS)

bench-check: $(VENV)/.dev  ## Count the calls of a request; more than budgeted fails (ARGS=--record)
	$(BIN)/python -m benchmarks.calls $(ARGS)

coverage: $(VENV)/.dev  ## Run the tests on all PYTHONS; less than 100 % in sum fails
	$(BIN)/coverage erase
	for python in $(or $(PYTHONS),$(firstword $(FOUND))); do \
		$(MAKE) test PYTHON="$$python" COVERAGE=1 || exit 1; done
	$(MAKE) report

# The two below are for `make coverage` and .ci/run.
report: $(VENV)/.dev
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=100

python:
	@echo $(FOUND)

clean:  ## Remove the environments and everything that was built
	rm -rf .venv build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: what is installed beside the package itself.
$(VENV)/.run: EXTRAS := standard
$(VENV)/.dev: EXTRAS := standard,dev
$(ECOSYSTEM)/.ecosystem: EXTRAS := standard,ecosystem,flask-extensions
$(BENCH)/.bench: EXTRAS := standard,bench
$(VENV)/.run $(VENV)/.dev $(ECOSYSTEM)/.ecosystem $(BENCH)/.bench: pyproject.toml
	test -x $(@D)/bin/python || $(firstword $(FOUND)) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
	touch $@
