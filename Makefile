# The one door to the tools; continuous integration walks through it too.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000
BIN := .venv/bin
# As pyproject.toml has it.
OLDEST_UVICORN := 0.40.0
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --only-binary :all:

.PHONY: serve setup test test-oldest check lint types floors docs format crash fuzz soak overload restarts crowd bench bench-training \
	bench-extra bench-serving models lock sbom clean

serve: .venv/serve            ## serve the shipped models on http://$(HOST):$(PORT)
	$(BIN)/logitd serve --host $(HOST) --port $(PORT)

setup: .venv/serve            ## build the environment alone

test: .venv/test              ## run the whole suite
	$(BIN)/pytest

test-oldest: .venv/test       ## what leans on uvicorn's inside, with the oldest release that is allowed
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --upgrade --target .venv/oldest uvicorn==$(OLDEST_UVICORN)
	PYTHONPATH=.venv/oldest $(BIN)/pytest tests/web/test_web_fast_lane.py tests/web/test_web_three_ways.py tests/web/test_web_tracing.py \
		tests/web/test_web_full_service.py tests/web/test_web_wire.py tests/web/test_web_wire_pipelines.py tests/web/test_web_wire_overload.py

check: lint types floors docs ## everything but the tests

lint: .venv/check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/check
	$(BIN)/mypy service tests benchmarks hardening

floors: .venv/check
	$(BIN)/lint-imports

docs: .venv/check
	$(BIN)/pytest -q tests/test_docs.py

format: .venv/check           ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: bench-training bench-extra bench-serving ## benchmarks, side by side with their peers

bench-training: .venv-bench/peers ## training: time and memory to a gap (BENCH="--shapes A,B --rounds 1")
	.venv-bench/bin/python -m benchmarks.training $(BENCH)

bench-extra: .venv-bench/peers ## predicting beside scikit-learn, and the tutorial's descent
	.venv-bench/bin/python -m benchmarks.training.extra

bench-serving: .venv/serve    ## serving: throughput, latency, memory (BENCH="--self", BENCH="--peers floor,logitd,tutorial")
	$(BIN)/python -m benchmarks.serving $(BENCH)

# The shipped models, byte for byte: one kernel choice for every x86-64 machine (docs/adr/0006-shipped-models.md).
models: .venv/serve
	$(BIN)/python model_store/rebuild.py model_store

crash: .venv/test             ## the store under fire: faults at every call, 500 kills (CRASH=--quick: a sample)
	$(BIN)/python -m hardening.crash $(CRASH)

soak: .venv/serve             ## hours of good, bad and rude clients in minutes (SOAK="--minutes 30")
	$(BIN)/python -m hardening.soak $(SOAK)

overload: .venv/serve         ## ten times what the service can do (OVERLOAD="--seconds 60 --kinds batch")
	$(BIN)/python -m hardening.overload $(OVERLOAD)

restarts: .venv/serve         ## 100 rolling restarts of two instances under load (RESTARTS="--count 10")
	$(BIN)/python -m hardening.restarts $(RESTARTS)

crowd: .venv/serve            ## a thousand slow clients beside normal traffic (CROWD="--seconds 10")
	$(BIN)/python -m hardening.crowd $(CROWD)

fuzz: .venv/test              ## hostile requests for a running service (FUZZ="--requests 100000", FUZZ="--minutes 2")
	$(BIN)/python -m hardening.fuzz $(FUZZ)

lock: .venv/check             ## write requirements/*.lock anew
	$(BIN)/python requirements/lock.py

sbom: .venv/check             ## write dist/sbom.cdx.json: what requirements/serve.lock installs (CycloneDX)
	$(BIN)/python requirements/sbom.py dist/sbom.cdx.json

clean:
	rm -rf .venv .venv-bench .venv-bench-serving .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Stamps: a second call starts at once; a changed lock installs again.
.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "logitd needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

# Bytecode of what is imported only: of everything it would take 30 MiB more.
.venv/serve: requirements/serve.lock pyproject.toml | .venv/bin/python
	$(PIP) --no-compile -r requirements/serve.lock
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'import service.cli.app, service.cli.listen, service.cli.log_lines, service.cli.supervisor'
	@touch $@

.venv/test: requirements/test.lock .venv/serve
	$(PIP) -r requirements/test.lock
	@touch $@

.venv/check: requirements/check.lock .venv/test
	$(PIP) -r requirements/check.lock
	@touch $@

# The peers have an environment of their own, so that the service's stays what its locks say.
.venv-bench/bin/python: | .venv/bin/python
	$(BIN)/python -m venv .venv-bench

.venv-bench/peers: requirements/bench.lock pyproject.toml | .venv-bench/bin/python
	$(subst $(BIN),.venv-bench/bin,$(PIP)) -r requirements/bench.lock
	.venv-bench/bin/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation --editable .
	@touch $@
