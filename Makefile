# `make run` and `make test` do all the set-up; on Windows see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: run test check lint types imports unit slow faults setup references constraints clean

run: setup
	$(BIN)/ablate run studies/attention.yml

test: setup lint types imports unit

check: references test slow

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

references: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement references.txt

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/python -m pytest -m "not slow" -n 2

# Those that keep one core busy run side by side; those that start processes of their own, or kill them, one by one.
SIDE_BY_SIDE := tests/reports tests/test_reporting.py tests/blocks tests/benchmarks tests/test_seeding.py \
	tests/test_matching.py tests/test_forecast.py tests/test_search.py tests/test_show.py tests/test_wheel.py

slow: setup
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile $(SIDE_BY_SIDE)
	$(BIN)/python -m pytest -m slow $(SIDE_BY_SIDE:%=--ignore=%)

faults: setup
	$(BIN)/python tests/faults/campaign.py

constraints:
	( head -n 1 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu//' | grep -viE '^(ablate|setuptools|pip|timm|torchvision|axe-playwright-python)\b' ) > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
