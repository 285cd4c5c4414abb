# Two commands are enough: `make demo` shows what vgexp does, `make test` runs what CI runs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test docs bench floors clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "vgexp needs Python 3.11 or newer: make PYTHON=python3.12 ..."'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

demo: .venv/installed
	$(BIN)/vgexp reproduce glorot2010 --scale smoke

test: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --pythonpath $(BIN)/python
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict # with --quiet it would not see its own warnings
	$(BIN)/pytest -n 2 --dist worksteal

docs: .venv/installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "open site/index.html, or with search: $(BIN)/python -m http.server -d site, http://localhost:8000"

bench: .venv/installed
	$(BIN)/python benchmarks/speed.py

# The lowest versions that pyproject.toml allows, in an environment of their own: are they enough for the whole of vgexp?
# UV_TORCH_BACKEND=cpu make floors takes the CPU build of torch; the default one on Linux is gigabytes.
floors:
	$(PYTHON) -m venv .floors
	.floors/bin/python -m pip install --quiet uv
	.floors/bin/uv pip install --quiet --python .floors/bin/python --resolution lowest-direct -e ".[dev]"
	.floors/bin/pytest -W default -m "not slow" tests

clean:
	rm -rf .venv .floors dist build site
