# Needs Python >= 3.11 and nothing else: every target first installs what it uses into .venv.
PYTHON ?= python3
# Extras of pyproject.toml to install; llm brings torch and transformers.
EXTRAS ?= dev,docs,llm,texts,cluster

comma := ,
BIN := .venv/bin
INSTALLED := .venv/.installed-$(subst $(comma),-,$(EXTRAS))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast lint typecheck docs pytest format figures notebooks bench gpu clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## create .venv and install commensal in it, with the tested versions

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("commensal needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + ": try make PYTHON=python3.12")'
	@echo "Installing commensal[$(EXTRAS)] and what it needs into .venv (once; a minute or two) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $@

demo: $(INSTALLED) ## sweep a grid of theory, run language models over one, and lay one over the other
	@mkdir -p results
	$(BIN)/commensal sweep regression --alpha 0:1:101 --beta 0:1:101 --models 2,4,8,16,32 \
		--dim 15 --rank 5 --seed 0 --out results/sweep.nc --plot
	$(BIN)/commensal llm run demo --out results/llm
	$(BIN)/commensal llm report results/llm
	$(BIN)/commensal pair results/llm
	@echo "The results are in results/: sweep.nc (xarray.open_dataset opens it), llm/metrics.parquet,"
	@echo "llm/report.html (what reproduces of the paper's findings), llm/pair/ (theory beside the run)."
	@ls -l results results/llm

# Types and pages take a core each for a minute, so side by side; what one finds does not hide the rest.
test: $(INSTALLED) ## everything that a change must pass
	@status=0; $(MAKE) --no-print-directory --keep-going --jobs 2 lint typecheck docs || status=1; \
	$(MAKE) --no-print-directory pytest || status=1; exit $$status

lint: $(INSTALLED) ## style: ruff check and ruff format --check
	$(BIN)/ruff check
	$(BIN)/ruff format --check

typecheck: $(INSTALLED) ## types: basedpyright
	$(BIN)/basedpyright

docs: $(INSTALLED) ## build the documentation into build/docs; every warning is an error
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/docs
	@echo "The documentation is in build/docs: open build/docs/index.html"

JOBS ?= 3 # processes that share the tests, a file each; on two cores, as some tests wait
# One thread each: the threads of several processes on few cores wait for each other.
pytest test-fast: export OMP_NUM_THREADS = 1
pytest: $(INSTALLED) ## tests, docstring examples, and the examples in README.md and docs/
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --durations 10

# Files whose tests take a few seconds each, together about two minutes on two cores.
FAST := tests/test_designs.py tests/test_docstrings.py tests/test_grams.py tests/test_names.py \
	tests/test_package.py tests/test_page.py tests/test_plots_llm.py tests/test_saving.py \
	tests/claims/test_evidence.py tests/claims/test_references.py tests/claims/test_run.py \
	$(addprefix tests/llm/test_,checks.py config.py corpora_*.py directory.py diversity.py \
	ecosystems.py embeddings.py findings.py fingerprint_profiles.py fingerprint_statistics.py \
	multiple_choice.py presets.py registry.py scoring.py text.py verdicts.py workflows.py) \
	$(addprefix tests/theory/test_,gaussian_moments.py isotropic.py mixture_overlap.py \
	mixture_positivity.py) tests/pairing/test_agreement.py
test-fast: lint ## style and the quick tests: what one runs before a commit
	$(BIN)/python -m pytest -q -n $(JOBS) --dist loadfile --durations 10 $(wildcard $(FAST))

format: $(INSTALLED) ## put the code into the project's format
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

figures: $(INSTALLED) ## draw every figure again (figures/*.py)
	@set -e; for script in $(sort $(wildcard figures/[!_]*.py)); do \
		echo "$$script"; $(BIN)/python "$$script"; done

notebooks: $(INSTALLED) ## execute the notebooks again, and keep their output
	MPLBACKEND=Agg $(BIN)/python notebooks/execute.py

BENCHMARKS := $(filter-out __init__ machine dense gpu,$(basename $(notdir $(wildcard benchmarks/*.py))))
bench: $(INSTALLED) ## run every benchmark and keep its table in benchmarks/results/
	@mkdir -p benchmarks/results
	@set -e; for name in $(sort $(BENCHMARKS)); do \
		$(BIN)/python -m benchmarks.$$name --out benchmarks/results/$$name.md; done

# With the Python that has jax and torch for the GPU, as make gpu PYTHON=python3: installs nothing.
gpu: ## compare and time all of it on this machine's GPU (under eight minutes)
	$(PYTHON) -m benchmarks.gpu --out benchmarks/results

clean: ## remove caches and build products (results/ and .venv stay)
	rm -rf build dist .pytest_cache .ruff_cache .hypothesis .jax_cache .numba_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
