# Everything a fresh machine needs: Python >= 3.10 with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# Tests start many processes, none of which should compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

# How many tests run at a time: more than a small machine has cores, as some
# of them wait.
TESTS ?= 3

# Where `make lite` puts what it builds.
DIST ?= dist

# Where `make figures` puts what scripts print.
OUT ?= figures

.PHONY: demo test lint docs figures lite clean

# Import music into a throw-away library and show what was found.
# MUSIC=DIR takes your own; without it, three pieces are synthesised.
demo: $(VENV)/installed
	$(BIN)/python demo/demo.py $(if $(MUSIC),"$(MUSIC)")

# ARGS="-k mel" runs some tests, ARGS="-m 'not slow'" leaves out the slow ones.
test: $(VENV)/installed-test
	$(BIN)/python -m pytest -n $(TESTS) $(ARGS)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs
	$(BIN)/python -m sphinx -n -W --keep-going docs docs/_build

# Every figure of the documentation, into OUT; DATA has music, models and labels.
# It takes hours; ARGS="layers --option=rivals=--rounds=1" prints fewer of them.
figures: $(VENV)/installed-test
	$(BIN)/python benchmarks/figures.py "$(DATA)" "$(OUT)" $(ARGS)

# The distribution for where TensorFlow does not run. What setuptools leaves
# behind would pass for an installation of it.
lite: $(VENV)/installed-build
	SOUNDTAGS_DISTRIBUTION=beets-soundtags-lite \
	$(BIN)/python -m build --outdir "$(DIST)"
	rm -rf beets_soundtags_lite.egg-info

$(VENV)/created:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	touch $@

$(VENV)/installed: $(VENV)/created setup.py
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[test,lint]"
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	touch $@

$(VENV)/installed-build: $(VENV)/created
	$(BIN)/python -m pip install --quiet build
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info demo/library docs/_build
