# Everything runs in .venv, made from constraints.txt with whatever pip is configured for: pip.conf and PIP_* variables
# are honoured. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
OUT ?= .gpu-results
VENV := .venv
BIN := $(VENV)/bin
PLUGINS := $(wildcard plugins/*)
PLUGIN_SOURCES := $(shell find plugins -name '*.py' -path '*/src/*' -o -name pyproject.toml -path 'plugins/*')
# Clients and servers of S3 need an older python-dateutil than constraints.txt has, so they lie apart from the rest.
S3_PACKAGES := s3fs==2026.9.0 moto[s3,server]==5.2.5
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.PHONY: help demo test lint coverage docs pictures dist stress gpu bench clean

help:
	@echo "make demo   train on the sample reviews, score the sample table, show the result"
	@echo "make test   lint, types and all tests, as CI runs them"
	@echo "make lint   lint and types only"
	@echo "make coverage  the tests again, with the share of lines of src that they run; fails below 95 %"
	@echo "make docs   build the pages of docs into site, in strict mode"
	@echo "make pictures  draw the pictures of docs again; needs Chromium"
	@echo "make dist   build wheels and source archives of the package and of the plugins into dist"
	@echo "make stress    an hour of kills, full disks, damaged and monstrous files; logs in tests/stress (DATA=folder of suites)"
	@echo "make gpu    every test and benchmark that needs a CUDA device; results in OUT, by default .gpu-results"
	@echo "make bench  compare scoring with a stock pipeline on this machine, and with itself, one technique off at a time"
	@echo "make clean  remove everything that these made"

$(VENV)/.package: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[offline]'
	@touch $@

# The plugins are installed like a stranger's: built and copied, not linked.
$(VENV)/.development: $(VENV)/.package $(PLUGIN_SOURCES)
	$(PIP) --editable '.[offline,dev,docs]'
	$(PIP) --force-reinstall --no-deps $(PLUGINS:%=./%)
	$(PIP) $(PLUGINS:%='./%[test]')
	@touch $@

$(VENV)/.docs: $(VENV)/.package
	$(PIP) --editable '.[offline,docs]'
	@touch $@

$(VENV)/.build: $(VENV)/.package
	$(PIP) build
	@touch $@

demo: $(VENV)/.package
	rm -rf .demo
	$(BIN)/sentiment-batch train sample_data/reviews.csv --base minilm --test-file sample_data/holdout.csv --output .demo/sentiment-model
	$(BIN)/sentiment-batch score sample_data/unlabelled.parquet .demo/scored.parquet --model .demo/sentiment-model
	@$(BIN)/python -c "import pandas as pd; pd.options.display.width = 120; print(); print(pd.read_parquet('.demo/scored.parquet', columns=['id', 'review', 'sentiment', 'sentiment_score']).head(10).to_string(index=False, max_colwidth=60))"
	@echo; echo "The two commands above did it. The model is in .demo/sentiment-model, the table in .demo/scored.parquet."

lint: $(VENV)/.development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A file's tests stay in one process, which has one thread: what they share is made once. The files that take longest
# come first (tests/conftest.py puts them there). More processes than cores gain nothing.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests plugins -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

docs: $(VENV)/.docs
	$(BIN)/python -m scripts.command_line_reference --check
	$(BIN)/python -m properdocs build --strict --clean

pictures: $(VENV)/.package
	$(BIN)/python -m scripts.draw_pictures

dist: $(VENV)/.build
	rm -rf dist
	for folder in . $(PLUGINS); do $(BIN)/python -m build --outdir dist "$$folder" || exit 1; done

coverage: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests plugins -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder \
		--cov=sentiment_batch --cov-report=term-missing:skip-covered --cov-fail-under=95

stress: $(VENV)/.development
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests plugins --stress
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests plugins -n auto -m hypothesis --hypothesis-profile=stress
	$(BIN)/python -m tests.stress.score_kills --kills 200 --log tests/stress/score_kills.log
	$(BIN)/python -m tests.stress.train_kills --kills 50 --log tests/stress/train_kills.log
	$(BIN)/python -m tests.stress.crash_points --log tests/stress/crash_points.log
	$(BIN)/python -m tests.stress.power_loss --log tests/stress/power_loss.log
	$(BIN)/python -m tests.stress.monsters --log tests/stress/monsters.log
	$(BIN)/python -m tests.stress.sequences --runs 500 --log tests/stress/sequences.log
	$(BIN)/python -m tests.stress.corruption --mutations 5000 --log tests/stress/corruption.log
	$(BIN)/python -m tests.stress.schedules --seeds 1000 --log tests/stress/schedules.log
	$(BIN)/python -m tests.stress.reader_fuzz --minutes 60 --state .stress/readers --log tests/stress/reader_fuzz.log
	$(BIN)/python -m tests.stress.long_run --log tests/stress/long_run.log
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --upgrade --target .stress/s3 $(S3_PACKAGES)
	PYTHONPATH=.stress/s3 $(BIN)/python -m tests.stress.object_stores --log tests/stress/object_stores.log
	PYTHONPATH=.stress/s3 $(BIN)/python -m tests.stress.object_stores --moto --rounds 5 --log tests/stress/object_stores.log
	$(if $(DATA),$(BIN)/python -m tests.stress.corpora --data $(DATA) --log tests/stress/corpora.log,@echo "the foreign corpora are left out: name their folder with DATA=")

gpu: $(VENV)/.development
	PYTHON=$(BIN)/python bash benchmarks/gpu.sh $(OUT)

bench: $(VENV)/.development
	$(BIN)/python -m benchmarks.score
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m benchmarks.ablation

clean:
	rm -rf $(VENV) .demo .stress .gpu-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage site dist build plugins/*/build
	find . -name __pycache__ -prune -exec rm -rf {} + ; find . -name '*.egg-info' -prune -exec rm -rf {} +
