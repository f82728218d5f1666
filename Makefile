# make demo · make test · make run        (the same without make: see docs/operating.md)
PYTHON ?= python3
BIN := .venv/bin
# What the bot is installed from. REQUIREMENTS=requirements.lock takes every package, those that
# ours depend on too, at the locked version and checks its hash; torch is then the CUDA build on Linux.
REQUIREMENTS ?= requirements.txt
PROMPT := a red star on a blue background
SEED := 7

.PHONY: demo demo-paint test run check docs lock bench audit chaos soak screenshots demo-model-report

# The bot on a page in the browser; where no window can be opened, a single image instead.
demo: .venv/installed
	@if [ -t 1 ] && $(BIN)/python -m bot.cli.screen; then \
		$(BIN)/python main.py playground; \
	else \
		$(MAKE) --no-print-directory demo-paint && \
		echo 'To chat with the bot in a browser on this computer:' && \
		echo '  $(BIN)/python main.py playground'; \
	fi

demo-paint: .venv/installed
	@echo "Generating with the demo model: built like SDXL, a thousand times smaller, for simple shapes."
	@echo "For SDXL itself, use --model sdxl-base."
	@$(BIN)/python main.py imagine "$(PROMPT)" --model demo --seed $(SEED)
	@echo 'To generate the same image again, byte for byte:'
	@echo '  $(BIN)/python main.py imagine "$(PROMPT)" --model demo --seed $(SEED)'

run: .venv/installed
	@$(BIN)/python main.py run

# One thread each: two OpenMP threads beside the bot under test are slower than one. In the order of the
# folders: what starts bots is then not left to the end, where one worker would do it alone.
test: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# .env.example and docs/settings.md, from the settings class
docs: .venv/installed
	$(BIN)/python -m tools.settings_docs

# requirements.lock from requirements.txt: every package with its hashes, for every platform and
# Python from 3.11 on. What is locked already stays at its version where requirements.txt allows it;
# `rm requirements.lock` first takes the newest. Needs a network.
lock: .venv/installed-dev
	$(BIN)/uv --no-config pip compile requirements.txt --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
		--output-file requirements.lock

# The screenshots in docs/img: needs Chromium and a font with emoji
screenshots: .venv/installed-dev
	$(BIN)/python -m pytest -q tests/e2e/test_playground.py --screenshots

# How well the demo models do (minutes), into docs/figures.md and demo/README.md
demo-model-report: .venv/installed-dev
	$(BIN)/python -m tools.demo.report --write

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks.responsiveness

# Known vulnerabilities in what is installed: needs a network, and says so where it has none
audit: .venv/installed .venv/audit/installed
	@$(BIN)/python deploy/audit.py .venv/audit/bin/pip-audit

.venv/audit/installed: Makefile
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

# The real process, killed 40 times over 200 jobs, in four rounds; every job is counted. Half an hour.
chaos: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos

# 2,000 jobs of 50 people with reactions, cancels and restarts: does anything leak? An hour at most.
soak: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos.soak

.venv/installed: $(REQUIREMENTS)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
