# make demo · make test · make run        (the same without make: see docs/operating.md)
PYTHON ?= python3
BIN := .venv/bin
# REQUIREMENTS=requirements.lock installs every package, dependencies too, at its locked version and
# checks its hash; torch is then the CUDA build on Linux.
REQUIREMENTS ?= requirements.txt
PROMPT := a red star on a blue background
SEED := 7

.PHONY: demo demo-paint test test-all run serve check docs lock bench bench-gpu bench-gpu-families audit chaos soak \
	screenshots demo-model-report

# The bot on a page in the browser; a single image where no browser window can be opened.
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

# The HTTP interface, without Discord and without a token
serve: .venv/installed
	@$(BIN)/python main.py serve

# One thread each: two OpenMP threads next to the bot under test are slower than one. In folder order,
# so that tests that start bots do not all come last, on a single worker. Byte code is kept, as the
# bot's modules are imported by some hundred processes.
# glibc keeps what is freed: where new memory is slow to come, that saves a tenth of the time.
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= MALLOC_TRIM_THRESHOLD_=1000000000 \
	MALLOC_MMAP_THRESHOLD_=33554432 $(BIN)/python -m pytest -n 3 --dist loadfile \
	--no-loadscope-reorder

test: .venv/installed-dev
	$(PYTEST)

# What takes long as well
test-all: .venv/installed-dev
	$(PYTEST) --long

check: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# .env.example and docs/settings.md, from the settings class
docs: .venv/installed
	$(BIN)/python -m tools.settings_docs

# requirements.lock from requirements.txt, and the same for workers: every package with its hashes,
# for every platform and Python from 3.11 on. Locked versions are kept where requirements.txt allows
# them; delete requirements.lock first to get the newest. Needs a network.
lock: .venv/installed-dev
	$(BIN)/uv --no-config pip compile requirements.txt --quiet --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
		--output-file requirements.lock
	$(BIN)/uv --no-config pip compile requirements-distributed.txt --quiet --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --constraint requirements.lock \
		--custom-compile-command "make lock" --output-file requirements-distributed.lock

# The screenshots in docs/img; needs Chromium and a font with emoji
screenshots: .venv/installed-dev
	$(BIN)/python -m pytest -q --long tests/e2e/test_playground.py --screenshots

# Measure the demo models (takes minutes) and write docs/figures.md and demo/README.md
demo-model-report: .venv/installed-dev
	$(BIN)/python -m tools.demo.report --write

bench: .venv/installed-dev
	$(BIN)/python -m benchmarks.responsiveness

# Everything worth knowing about this machine's GPU, within eight minutes
bench-gpu: .venv/installed
	$(BIN)/python -m benchmarks.gpu --out gpu-results

# The same of the model families beside SDXL, in as much time again
bench-gpu-families: .venv/installed
	$(BIN)/python -m benchmarks.gpu.families --out gpu-results

# Known vulnerabilities in the installed packages; needs a network, and says so if there is none
audit: .venv/installed .venv/audit/installed
	@$(BIN)/python deploy/audit.py .venv/audit/bin/pip-audit

.venv/audit/installed: Makefile
	$(PYTHON) -m venv .venv/audit
	.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@touch $@

# Kill the real process 40 times over 200 jobs, in four rounds, and account for every job; in six more,
# its engine processes, or its workers and their broker, as well. An hour.
chaos: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos

# Look for leaks over 2,000 jobs of 50 users with reactions, cancels and restarts. An hour at most.
soak: .venv/installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos.soak

.venv/installed: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed; \
	$(PYTHON) is %d.%d. For another: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	@echo 'Installing the packages into .venv; with torch for NVIDIA GPUs, several gigabytes are downloaded.'
	$(BIN)/python -m pip install --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

.venv/installed-dev: requirements-dev.txt .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
