# make setup   installs what a user needs into .venv
# make demo    builds the digits, trains on them, grades the pictures
# make test    ruff and the whole test suite
# make bench   every benchmark: figures, shares of the machine's own rates, peak memory

PYTHON ?= python3
VENV ?= .venv
PY = $(VENV)/bin/python

.PHONY: setup demo test bench

setup: $(VENV)/.users

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.users: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.users
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

test: $(VENV)/.dev
	$(PY) -m ruff check .
	$(PY) -m pytest -n 2 --dist=worksteal

demo: $(VENV)/.users
	$(PY) train.py
	$(PY) grade_demo.py

bench: $(VENV)/.users
	for file in benchmarks/[!_]*.py; do echo "== $$file"; $(PY) $$file || exit 1; done
