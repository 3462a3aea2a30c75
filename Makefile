# `make book` builds the website, `make test` runs every test that needs no browser. Both make their
# own environment in .venv, once, and execute a chapter only when it or the library has changed.
# `make help` lists all.

VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LINTER := $(VENV)/.linter
SITE   := build/site
TOOLS  := book/_build_tools
PIP    := $(BIN)/python -m pip --disable-pip-version-check
NBVAL  := --nbval-lax --nbval-current-env --nbval-cell-timeout=300
# Whole files and chapters are dealt to two processes, which share the cores between them.
WORKERS  ?= 2
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Compiled kernels are shared by all processes; recordings are taken from ../shared/data if there.
export NUMBA_CACHE_DIR ?= $(CURDIR)/build/numba_cache
ifneq ($(wildcard ../shared/data),)
export CRBM_LITE_DATA ?= $(abspath ../shared/data)
endif

# STRICT=1 makes every warning of the site an error.
ifdef STRICT
BOOK_OPTIONS := -W --keep-going
endif

.PHONY: help book test test-slow test-browser bench stored retrace lint links clean
.DEFAULT_GOAL := help

help:
	@echo "make book    build the website and print where it is (STRICT=1: warnings are errors)"
	@echo "make test    unit tests, doctests, and every chapter under nbval (WORKERS=4: in four processes, not two)"
	@echo "make test-slow   what takes minutes: thousands of damaged files, a whole search"
	@echo "make test-browser   open every page of the built site in Chromium"
	@echo "make bench   print the shorter benchmarks of the page Numbers and keep their tables (an hour)"
	@echo "make stored  make the stored tables again that are older than the code (hours; goes on where it was)"
	@echo "make retrace   retrace the paper on eight simulated fish at full size (hours; goes on where it was)"
	@echo "make lint    ruff and codespell"
	@echo "make links   ask every address that the built website links to (needs the network)"
	@echo "make clean   remove what was made, except the environment in .venv"

$(READY): pyproject.toml constraints.txt
	@python=$$(sh $(TOOLS)/find_python.sh) || exit 1; \
	  [ -x $(BIN)/python ] || "$$python" -m venv $(VENV) || \
	  { echo "Could not make $(VENV): is the venv module installed (Debian: python3-venv)?" >&2; exit 1; }
	@echo "Installing the packages of the book and the tests into $(VENV): some minutes, 1.7 GB"
	$(PIP) install --quiet --constraint constraints.txt --editable ".[book,test,browser]"
	@touch $@

book: $(READY)
	@$(BIN)/python $(TOOLS)/chapter_store.py || \
	  $(BIN)/python -m pytest tests/book book -p no:cacheprovider $(NBVAL) $(PARALLEL)
	@$(BIN)/python $(TOOLS)/stage.py
	@rm -rf build/jupyter_book
	@echo "Building the pages (log: build/site.log)"
	@$(BIN)/jupyter-book build build/site_src --path-output build/jupyter_book --all --quiet \
	  $(BOOK_OPTIONS) > build/site.log || { cat build/site.log; exit 1; }
	@rm -rf $(SITE) && mv build/jupyter_book/_build/html $(SITE)
	@echo "The website is built: file://$(CURDIR)/$(SITE)/index.html"

test: $(READY)
	$(BIN)/python -m pytest crbm_lite tests tests/book book --ignore tests/browser $(NBVAL) $(PARALLEL)

test-slow: $(READY)
	$(BIN)/python -m pytest tests -m slow -p no:cacheprovider -n $(WORKERS) --dist worksteal

# Pages, not files, are dealt out: nearly all checks are in one file.
test-browser: $(READY)
	$(BIN)/python -m pytest tests/browser -n $(WORKERS) --dist worksteal

bench: $(READY)
	$(BIN)/python -m benchmarks

stored: $(READY)
	$(BIN)/python -m benchmarks.stored

# FISH="3 8 --scale 0.1" chooses fish and their size.
retrace: $(READY)
	$(BIN)/python -m benchmarks.retrace $(FISH)

$(LINTER): $(READY)
	$(PIP) install --quiet --constraint constraints.txt ruff codespell
	@touch $@

lint: $(LINTER)
	$(BIN)/ruff check .
	$(BIN)/codespell

# Links inside the book are checked by `make book STRICT=1`.
links: book
	$(BIN)/jupyter-book build build/site_src --path-output build/links --builder linkcheck --all

clean:
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis
