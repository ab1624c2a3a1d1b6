# make demo         set up, run the main job on a real photograph, say where the result lies
# make test         set up, run the tests (TILECONV_PROFILE=quick|ci|long chooses how many examples)
# make test-long    the tests with 5,000 examples or a minute each, fuzzers, chains, mutations (SHARD=k/8: a part of it)
# make lint         ruff, mypy --strict, import-linter
# make test-stores  runs into buckets of real servers that die and forget (PyPI, npm; moto, s3rver and Azurite on loopback)
# make judges       has other programs open results (PyPI, npm, Python 3.12 or newer, Node, Chromium; twenty minutes)
# make judges-export the same of exported TIFF files (PyPI, Python 3.12 or newer; two minutes)
# make judges-ranks the tests of scipy.ndimage on tileconv's ranks, medians and local extremes
# make test-microscopes files of microscopes' own formats, through bioio (PyPI; four minutes, most of them pip's)
# make test-slurm   runs on a real SLURM of two nodes on this machine (root; apt-get install slurm-wlm munge; ten minutes)
# make bench        tileconv beside its peers, and exact counts, into bench/ (half an hour, 6 GB; BENCH="--only chain")
# make test-lowest  the tests on the oldest libraries that pyproject.toml allows
#
# Everything made lies in this folder: the virtual environment in $(VENV), the demo in demo/.
# PYTHON=/path/to/python chooses the interpreter of a new environment.

VENV ?= .venv
INPUTS ?= 100000
CHAINS ?= 60000
SHARD ?= 1/1
# Tests of one file share what it makes, and loops that one worker compiles while the other would compile them too.
BY_FILE = --dist loadfile --no-loadscope-reorder
SUPPORTED = import sys, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	if $$p -c '$(SUPPORTED)' 2>/dev/null; then command -v $$p; break; fi; done)

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
TILECONV = $(BIN)/tileconv

.PHONY: demo test test-long test-stores test-lowest test-microscopes test-slurm lint judges judges-export judges-ranks judges-networks bench clean
.DELETE_ON_ERROR:

demo: demo/edges.png demo/hubble.png
	@echo "photograph  demo/hubble.tif"
	@echo "result      demo/edges.ome.zarr"
	@echo "picture     demo/edges.png (of the photograph: demo/hubble.png)"

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 $(BY_FILE) $(TESTS)

test-long: $(VENV)/.test
	TILECONV_PROFILE=long TILECONV_SHARD=$(SHARD) $(BIN)/python -m pytest -n 2 --timeout 1800
	$(BIN)/python -m tests.fuzz.spec --inputs $(INPUTS) --shard $(SHARD)
	$(BIN)/python -m tests.fuzz.tiff --inputs $(INPUTS) --shard $(SHARD)
	$(BIN)/python -m tests.chains --chains $(CHAINS) --shard $(SHARD)
	$(BIN)/python -m tests.mutation --shard $(SHARD)

test-stores: $(VENV)/.test .venv-moto/.made .venv-s3rver/.made .venv-azurite/.made
	TILECONV_STORES=1 $(BIN)/python -m pytest -s tests/stores/test_servers.py

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

judges: $(VENV)/.test
	$(BIN)/python -m tests.judges
	$(BIN)/python -m tests.judges.look

judges-export: $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python -m tests.judges.export

judges-ranks: $(VENV)/.test
	$(BIN)/python -m tests.judges.ranks

judges-networks: $(VENV)/.test .venv-torch/.made
	$(BIN)/python -m benchmarks.networks --folder bench --torch .venv-torch/bin/python

test-microscopes: .venv-bioio/.made
	.venv-bioio/bin/python -m pytest tests/sources/test_microscopes.py -W default

test-slurm: $(VENV)/.test
	$(PIP) -e '.[hpc]'
	$(BIN)/python -m tests.slurm

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.counts --folder bench
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python -m benchmarks.peers --folder bench --json bench/peers.json --table bench/peers.md $(BENCH)
	@echo "table       bench/peers.md"

test-lowest: .venv-lowest/.lowest
	.venv-lowest/bin/python -m pytest -n 2

clean:
	rm -rf .venv .venv-* demo bench

# A stamp in the environment says what was installed; it is older than pyproject.toml when that has changed.

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or newer on the PATH: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.sample: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[sample]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[test]'
	@touch $@ $(VENV)/.sample

$(VENV)/.bench: pyproject.toml | $(VENV)/.made
	$(PIP) -e '.[bench]'
	@touch $@ $(VENV)/.sample

.venv-lowest/.lowest: pyproject.toml tests/lowest.txt
	@test -n "$(PYTHON)" || { echo "no Python 3.11 on the PATH: make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -c tests/lowest.txt -e '.[test]'
	@touch $@

.venv-bioio/.made: pyproject.toml
	$(PYTHON) -m venv .venv-bioio
	.venv-bioio/bin/python -m pip install --quiet --disable-pip-version-check -e '.[bioio]' pylibCZIrw hypothesis pytest pytest-timeout
	@touch $@

.venv-moto/.made:
	$(PYTHON) -m venv .venv-moto
	.venv-moto/bin/python -m pip install --quiet --disable-pip-version-check 'moto[server,s3]>=5'
	@touch $@

.venv-torch/.made:
	$(PYTHON) -m venv .venv-torch
	.venv-torch/bin/python -m pip install --quiet --disable-pip-version-check torch==2.13.0 numpy
	@touch $@

.venv-s3rver/.made:
	mkdir -p .venv-s3rver
	cd .venv-s3rver && npm install --silent s3rver@3
	@touch $@

.venv-azurite/.made:
	mkdir -p .venv-azurite
	cd .venv-azurite && npm install --silent azurite@3.35
	@touch $@

demo/hubble.tif: | $(VENV)/.sample
	@mkdir -p demo
	$(TILECONV) sample hubble --overwrite -o $@

demo/edges.ome.zarr/zarr.json: demo/hubble.tif pipelines/edges.yaml | $(VENV)/.sample
	$(TILECONV) run pipelines/edges.yaml --overwrite -i demo/hubble.tif -o demo/edges.ome.zarr
	@touch $@

demo/edges.png: demo/edges.ome.zarr/zarr.json
	$(TILECONV) picture demo/edges.ome.zarr -o $@

demo/hubble.png: demo/hubble.tif
	$(TILECONV) picture demo/hubble.tif -o $@
