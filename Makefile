# Everything a fresh machine needs: Python >= 3.10 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint docs clean

# Import music into a throw-away library and show what was found.
# MUSIC=DIR takes your own; without it, three pieces are synthesised.
demo: $(VENV)/installed
	$(BIN)/python demo/demo.py $(if $(MUSIC),"$(MUSIC)")

# ARGS="-k mel" runs some tests, ARGS="-m 'not slow'" leaves out the slow ones.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n 2 $(ARGS)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -n -W --keep-going docs docs/_build

$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[test,lint]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo/library docs/_build
