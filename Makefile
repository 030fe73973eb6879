# Every target sets itself up: all it needs is make and Python 3.11 or newer with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: setup run demo docs test check audit bench chaos storm drill walk soak lock clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Plantão needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: setup
	$(BIN)/plantao run $(ARGS)

demo: setup
	$(BIN)/python -m tests.demo $(ARGS)

docs: setup
	$(BIN)/python -m tests.documents

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.dependencies

audit: setup
	$(BIN)/python -m tests.dependencies $(ARGS)

test: check
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n 2 --dist worksteal $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: setup
	$(BIN)/python -m tests.bench $(ARGS)

chaos: setup
	$(BIN)/python -m tests.chaos $(ARGS)

storm: setup
	$(BIN)/python -m tests.storm $(ARGS)

drill: setup
	$(BIN)/python -m tests.drill $(ARGS)

walk: setup
	$(BIN)/python -m tests.walk $(ARGS)

soak: setup
	$(BIN)/python -m tests.bench --part soak $(ARGS)

lock: setup
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --generate-hashes --quiet --upgrade \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
