# `make` alone lists the verbs. Each one sets up .venv first, where that is still to be done.

PORT ?= 8888
ARGS ?=
WORKERS ?= 2

# The environment's own commands; Windows keeps them elsewhere.
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := .venv/$(SCRIPTS)
BENCH_BIN := .venv-bench/$(SCRIPTS)
SITE_BIN := .venv-site/$(SCRIPTS)

# A Python that the lessons run on and that can make environments; PYTHON=… wins.
PYTHONS := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python $(BIN)/python)
FITS := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
FOUND := $(shell for python in $(PYTHONS); do \
    "$$python" -c '$(FITS)' >/dev/null 2>&1 && { echo "$$python"; break; }; done)

.DEFAULT_GOAL := help
.PHONY: help setup lab test test-browser test-matrix notebooks site lint data bench feeding lock clean

help:  ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' $(firstword $(MAKEFILE_LIST)) | \
	    awk -F'|' '{ printf "%-20s%s\n", $$1, $$2 }'

NO_PYTHON := echo 'set-up: found no Python 3.11, 3.12 or 3.13 with venv as $(PYTHONS): install one (on Debian and Ubuntu python3-venv too), or set PYTHON=/path/to/python' >&2; exit 1
SETUP := $(if $(FOUND),"$(FOUND)" tools/setup.py $(if $(PYTHON),--this-python),$(NO_PYTHON))

setup:  ## make .venv and install everything in it, at most once
	@$(SETUP)

lab: setup  ## read and run the lessons in JupyterLab (PORT=8888)
	@$(BIN)/python tools/lab.py --port=$(PORT) $(ARGS)

test: setup  ## check every lesson, helper and tile (ARGS=… goes to pytest)
	@$(BIN)/python -m pytest --nbval -n $(WORKERS) --dist loadscope $(ARGS)

test-browser: setup  ## open every notebook in JupyterLab, in headless Chromium, and use it
	@BROWSER_LESSONS=all $(BIN)/python -m pytest -m browser $(ARGS)

test-matrix: setup  ## run every check on Python 3.11, 3.12, 3.13, and on the newest packages
	@$(BIN)/python tools/matrix.py $(ARGS)

notebooks: setup  ## run every lesson again and store what it shows
	@$(BIN)/python tools/regenerate.py $(ARGS)
	@$(BIN)/python tools/readme.py > $(if $(filter Windows_NT,$(OS)),NUL,/dev/null)

lint: setup  ## style, types and spelling of code and lessons
	@failed=; for check in 'ruff check' 'ruff format --check' mypy codespell; do \
	    echo "lint: $$check"; $(BIN)/$$check || failed=yes; done; test -z "$$failed"

data: setup  ## rebuild data_samples from its sources
	@$(BIN)/python data_samples/build.py $(ARGS)

site:  ## build the lessons as pages to read, in site/
	@$(SETUP) $(if $(FOUND),--environment site)
	@$(SITE_BIN)/python tools/site/build.py $(ARGS)

bench:  ## compare ways of feeding images, in an environment of its own (ARGS=--help)
	@$(SETUP) $(if $(FOUND),--environment bench)
	@$(BENCH_BIN)/python -m benchmark.run $(ARGS)

feeding:  ## try the other ways to feed, and JAX, in the benchmark's environment
	@$(SETUP) $(if $(FOUND),--environment bench)
	@cd notebooks && ../$(BENCH_BIN)/python -m feeding.run $(ARGS)

# The benchmark's own packages fit the lessons': one environment holds both. The site's need not,
# but what both have is of one version, so that one download serves both.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
    --generate-hashes --custom-compile-command 'make lock'

lock: setup  ## compile each requirements.in to a requirements.txt (ARGS=--upgrade for newer versions)
	@$(COMPILE) --output-file requirements.txt $(ARGS) requirements.in
	@$(COMPILE) --output-file benchmark/requirements.txt $(ARGS) -c requirements.txt benchmark/requirements.in
	@$(COMPILE) --output-file tools/site/requirements.txt $(ARGS) -c requirements.txt tools/site/requirements.in

clean:  ## remove the environments and what the tools leave behind
	rm -rf .venv .venv-bench .venv-site site .pytest_cache .ruff_cache .mypy_cache test_output *.egg-info
