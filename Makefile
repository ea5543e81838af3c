# Every target sets up .venv from the lock by itself.
PRESET ?= sample
ARGS ?=
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.from-lock

.PHONY: setup run test lab bench format lock clean

setup: $(STAMP)

# uv comes from pip, in the version that the lock names; compiled bytecode saves each kernel 15 s at `import keras`
$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "python must be 3.11 or newer. Received: $$($(PYTHON) --version). Name another: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check $$(grep -o '^uv==[^ ;]*' requirements.txt)
	UV_COMPILE_BYTECODE=1 $(BIN)/uv pip sync -q --python .venv requirements.txt
	@$(BIN)/uv pip install -q --python .venv --no-deps --editable .
	@touch $@

run: setup
	$(BIN)/srnb run --preset $(PRESET) --workers 2 $(ARGS)

# the whole suite on TensorFlow, then what both backends share on JAX; slow tests, which keep both cores busy or the
# clock in view, one after the other
PARALLEL := $(if $(findstring slow,$(ARGS)),,-n 2 --dist loadfile --no-loadscope-reorder)
test: setup
	$(BIN)/python -m pytest $(PARALLEL) $(ARGS)
	KERAS_BACKEND=jax $(BIN)/python -m pytest $(PARALLEL) $(ARGS) -m "backends $(if $(findstring slow,$(ARGS)),and slow,)"

lab: setup
	$(BIN)/srnb lab $(ARGS)

bench: setup
	for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

format: setup
	$(BIN)/jupyter nbconvert --log-level=WARN --to notebook --inplace --ClearOutputPreprocessor.enabled=True \
	  --ClearMetadataPreprocessor.enabled=True --ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags \
	  --ClearMetadataPreprocessor.preserve_nb_metadata_mask=kernelspec notebooks/*.ipynb
	$(BIN)/ruff check --fix --quiet . && $(BIN)/ruff format --quiet .

COMPILE := $(BIN)/uv pip compile -q --universal --no-header --python-version 3.11 pyproject.toml
lock: setup
	$(COMPILE) --extra cpu -o requirements.txt
	$(COMPILE) --extra cuda -o requirements-cuda.txt

clean:
	rm -rf .venv .pytest_cache .ruff_cache srnb.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
