# `make app` opens the studio, `make test` passes the tests; both create what they need on a fresh Debian machine.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Two cores are the smallest machine we promise to run on; more are used when there are more.
APT := $(shell [ "$$(id -u)" = 0 ] || echo sudo) apt-get

.PHONY: app venv test lint bench screenshots clean

app: venv
	$(BIN)/python app.py $(ARGS)

venv: $(VENV)/.installed

# A stamp a requirements file invalidates. Debian keeps `venv` in a package of its own.
$(VENV)/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11."; exit 2; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { $(APT) update -qq && $(APT) install -y -qq python3-venv; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# The browser tests drive Debian's own Chromium; the Chinese font is for looking at the Chinese pages.
/usr/bin/chromium:
	$(APT) update -qq && $(APT) install -y -qq chromium fonts-noto-cjk

test: $(VENV)/.installed-dev /usr/bin/chromium
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Prints ratios; asserts no time, because machines are noisy. ARGS="name ..." runs only those.
bench: $(VENV)/.installed-dev
	$(BIN)/python -m tests.bench $(ARGS)

screenshots: $(VENV)/.installed-dev /usr/bin/chromium
	$(BIN)/python -m tests.ui.screenshots $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .ruff_cache .mypy_cache
