# Every target works on a fresh clone: it makes .venv and installs once, then runs.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed-dev
LIGHT := .venv/.installed-demo
# Processes that share the test files, in their order; a thread each. Tests of clusters wait more than they work.
WORKERS ?= 3

.PHONY: install demo test coverage check check-types check-pages site results claims soak bench

install: $(STAMP)

$(STAMP) $(LIGHT): .venv/.installed-%: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Second Look needs Python 3.11 or newer, found %d.%d: set PYTHON=python3.11" % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@

# What is installed for tests serves the demo too.
demo: $(if $(wildcard $(STAMP)),$(STAMP),$(LIGHT))
	$(BIN)/secondlook models get smollm2-135m || echo "No real model is asked: the page shows what was committed."
	$(BIN)/secondlook reproduce --profile demo --browser

TESTED := -m 'not soak' -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/pytest $(TESTED)

# The same tests. Instrumented bytecode costs them a twentieth of their time, where a tracer costs half.
coverage: $(STAMP)
	mkdir -p runs
	OMP_NUM_THREADS=1 $(BIN)/python -m slipcover --json --out runs/coverage.json -m pytest $(TESTED)
	$(BIN)/python -m slipcover --merge runs/coverage.json --out runs/coverage.json --skip-covered --fail-under 90

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/python tools/style.py
	$(MAKE) --no-print-directory -j 2 check-types check-pages

check-types: $(STAMP)
	$(BIN)/mypy

# Pages, tables and the pictures drawn from records are what their tools write.
check-pages: $(STAMP)
	$(BIN)/python tools/check.py

# The pages of docs/ as a site; a link to nowhere is an error.
site: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The committed numbers of the demo and their table, from a fresh run.
results: $(STAMP)
	rm -rf runs/results
	$(BIN)/secondlook demo --out runs/results
	cp runs/results/report.json results/demo.json
	$(BIN)/python tools/demo_table.py

# The ledger: theory from a fresh run, all else from the committed results of the quick profile; its table and picture.
claims: $(STAMP)
	$(BIN)/secondlook reproduce --profile quick --committed --out runs/claims
	cp runs/claims/claims.json results/claims.json
	$(BIN)/python tools/claims_table.py
	$(BIN)/python tools/claims_picture.py runs/claims/index.html docs/claims.png

soak: $(STAMP)
	$(BIN)/pytest -m soak -s --timeout 0

bench: $(STAMP)
	for file in bench/*.py; do $(BIN)/python $$file || exit 1; done
