# `make demo` and `make test` are all a newcomer needs; the rest are shortcuts for developers.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.PHONY: demo tools test lint docs bench hashes records clean

$(BIN)/daxa: pyproject.toml
	@echo "installing daxa and what it needs into $(VENV) (1 to 2 minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable .
	@touch $(BIN)/daxa

$(BIN)/.test-tools: pyproject.toml
	@echo "installing daxa and what it needs into $(VENV) (1 to 2 minutes) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $(BIN)/daxa $@

tools: $(BIN)/.test-tools

demo: $(BIN)/daxa
	$(BIN)/daxa demo

# Many tests start Python: it finds what it has compiled before.
test: $(BIN)/.test-tools
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal -rs

lint: $(BIN)/.test-tools
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(BIN)/daxa
	$(BIN)/python -m pip install --quiet --editable ".[docs]"
	$(BIN)/mkdocs build --strict

bench: $(BIN)/daxa
	$(BIN)/python benchmarks/run.py

# Accept the products of the tests as they are now.
hashes: $(BIN)/daxa
	$(BIN)/python benchmarks/product_hashes.py write --quick tests/integration/product_hashes.txt

# Accept what steps record of their runs as it is now: every archive makes them again.
records: $(BIN)/.test-tools
	DAXA_RENEW_RECORDS=1 $(BIN)/python -m pytest -rs tests/process/test_fingerprints.py

clean:
	rm -rf daxa_demo site build dist .pytest_cache .ruff_cache .mypy_cache
