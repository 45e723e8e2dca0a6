# The chores of the project; people and CI use the same ones.
#
#   make demo    from a fresh clone to a trained, evaluated model with a report, on a phantom
#   make test    install, check, test
#   make test-all  the same with every row of the tables, not only the cover that stands for them
#   make check   lint, format, types, import contracts, docs
#   make docs    write the generated pages of the docs anew
#   make format  put the code in order

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO ?= demo

.PHONY: demo test test-all check docs format clean

demo: $(VENV)/.learn
	$(BIN)/overread demo $(DEMO)

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-all: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m "every_row or not every_row"

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src/overread
	$(BIN)/lint-imports --no-logo
	$(BIN)/python scripts/make_reference.py --check

docs: $(VENV)/.dev
	$(BIN)/python scripts/make_reference.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(DEMO) build dist

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Overread needs Python 3.11 or newer; '$(PYTHON)' is older or missing. Next: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.learn: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Overread with all that learns and reads into $(VENV); this fetches some gigabytes once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[learn]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Overread with the tools of its developers into $(VENV); this fetches some gigabytes once."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[learn,dev]'
	@touch $@ $(VENV)/.learn
