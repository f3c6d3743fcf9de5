# Everything that development needs. `make help` lists the targets.
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/
PYTEST_ARGS ?=
JOBS ?= auto
SPREAD = -n $(JOBS) --maxprocesses 8 --dist worksteal
COUNT ?= 10000
FIRST ?= 0

# command that must exist : Debian/Ubuntu packages that bring it
TOOLS = arm-none-eabi-gcc:gcc-arm-none-eabi,libnewlib-arm-none-eabi \
        qemu-system-arm:qemu-system-arm \
        espeak-ng:espeak-ng \
        cmake:cmake \
        gcc:gcc,libc6-dev

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

tools: ## install compiler, emulator and speech synthesizer with apt where they are missing
	@packages=""; \
	for entry in $(TOOLS); do \
	  command -v $${entry%%:*} >/dev/null 2>&1 || packages="$$packages $$(echo $${entry#*:} | tr , ' ')"; \
	done; \
	$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || packages="$$packages python3-venv"; \
	if [ -n "$$packages" ]; then \
	  if [ "$$(id -u)" = 0 ]; then sudo=""; elif sudo -n true 2>/dev/null; then sudo="sudo"; else \
	    echo "missing tools; run: sudo apt-get install $$packages" >&2; exit 1; fi; \
	  echo "installing$$packages"; \
	  $$sudo apt-get update -qq && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$packages >/dev/null; \
	fi

venv: $(VENV)/.ready ## make .venv with everything that development needs

$(VENV)/.ready: pyproject.toml | tools
	$(PYTHON) -m venv $(VENV)
	$(RUN)python -m pip install -q --disable-pip-version-check --upgrade pip
	$(RUN)python -m pip install -q --disable-pip-version-check -e '.[train,dev]'
	@touch $@

test: tools venv ## set up, then run the tests, as many at a time as there are cores (JOBS)
	$(RUN)python -m pytest $(SPREAD) -m "not full" $(PYTEST_ARGS)

test-full: tools venv ## the tests that take longer, too
	$(RUN)python -m pytest $(SPREAD) $(PYTEST_ARGS)

fuzz: tools venv ## the importer against 10 000 broken models (COUNT, FIRST); prints how to repeat what fails
	$(RUN)python -m tests.fuzz --count $(COUNT) --first $(FIRST)

demo: tools venv ## the whole road: prune, quantize, generate, build, flash and check a keyword model on a QEMU board
	$(RUN)mcuprune run examples/spoken-words/recipe.toml -o demo

demo-train: tools venv ## train the demo's dense model again
	$(RUN)python examples/spoken-words/train_dense.py

calibrate: tools venv ## measure the kernels again (ONLY='*_dsp': these) and fit mcuprune/kernels/costs.toml
	$(RUN)python -m mcuprune.profile.calibrate $(foreach glob,$(ONLY),'$(glob)')

study-patterns: tools venv ## what patterns of zeros cost and give: train, check on boards, write docs/patterns.md
	$(RUN)python examples/spoken-words/study_patterns.py build/study-patterns

study-dscnn: tools venv ## what sparsity costs DS-CNN-L on Speech Commands, float and int8: docs/study-dscnn.md (hours; resumable)
	$(RUN)python examples/speech-commands/study_dscnn.py build/study-dscnn

bench: tools venv ## measure models by boards by sparsities in QEMU, write docs/benchmarks.md; ONLY=MODEL/BOARD/ROW prints some
	$(RUN)python -m mcuprune.bench $(foreach o,$(ONLY),--only '$(o)')

bench-training: tools venv ## measure what pruning costs while training, write docs/training-cost.md
	$(RUN)python examples/spoken-words/bench_training.py

lint: venv ## style, types
	$(RUN)ruff check .
	$(RUN)ruff format --check .
	$(RUN)mypy

format: venv ## rewrite Python in the house style
	$(RUN)ruff format .
	$(RUN)ruff check --fix .

clean: ## remove what was built; .venv stays
	rm -rf build dist demo .pytest_cache .ruff_cache .mypy_cache

.PHONY: help tools venv test test-full fuzz demo demo-train calibrate study-patterns study-dscnn bench bench-training lint format clean
