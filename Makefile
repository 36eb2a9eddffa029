# Everything starts here; `make help` lists it. The environment is made on first use.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
READY := $(VENV)/.ready
DCCLIP := $(VENV)/bin/dcclip
PIP := $(VENV)/bin/pip install -q --disable-pip-version-check --no-compile -c constraints.txt
ROOT ?= out
# Where torch comes from, if not from pip's own index, whose build for Linux brings CUDA (README.md).
TORCH_INDEX ?=
# Further options of `dcclip run`, for example ARGS="--set distill_student.seed=1".
ARGS ?=
# As `dcclip run` trains: glibc keeps freed tensors (training/README.md).
KEEP_MEMORY := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=2147483648 MALLOC_TOP_PAD_=67108864

.DEFAULT_GOAL := help
.PHONY: help install run smoke test test-fast test-hostile bench-data bench-scale bench-training bench-exam bench-export ablation manifests compile kind images locks test-images lint clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24

install: $(READY) ## Make the environment from constraints.txt

# torch first, so that an index named for it is asked for torch alone. Nothing is compiled beforehand: Python
# does that when a module is first used, and most of them never are.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "dcclip needs Python 3.11; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making the environment in $(VENV) (4 to 8 minutes, 7 GB; 3.5 GB with torch's CPU build, see README.md)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	@$(PIP) -e '.[demo,dev]'
	@$(VENV)/bin/python -m spark_jobs.class_archive || echo "Spark will start a little later: no archive of its classes"
	@touch $@

run: $(READY) ## Run the whole pipeline on the demo corpus (about 10 minutes on 2 cores)
	@$(DCCLIP) run --recipe demo --root $(ROOT) $(ARGS)

smoke: $(READY) ## Run the whole pipeline made tiny (about 3 minutes)
	@$(DCCLIP) run --recipe smoke --root $(ROOT)/smoke $(ARGS)

test: $(READY) ## Run the tests, on two cores (about half an hour)
	@$(VENV)/bin/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

test-hostile: $(READY) ## Try far more broken images, kills, full disks and clocks (about half an hour)
	@DCCLIP_HOSTILE=1 $(VENV)/bin/python -m pytest tests/hostile $(ARGS)

test-fast: $(READY) ## Run the tests that start no engine (2 minutes)
	@$(VENV)/bin/python -m pytest -n 2 --no-loadscope-reorder -m "not engine" $(ARGS)

bench-data: $(READY) ## Measure the data path: lists, rules, near-duplicates, crawl, vectors (about 15 minutes)
	@for name in url_lists rules near_duplicates crawl embed; do $(VENV)/bin/python -m tests.benchmarks.bench_$$name || exit 1; done

bench-scale: $(READY) ## Measure how each data step grows: 10k to 1M rows, 10M of metadata (ARGS="--rows 10000 100000")
	@$(VENV)/bin/python -m tests.benchmarks.bench_scale $(ARGS)

bench-training: $(READY) ## Measure training: stored vectors, open_clip's loop, two workers, growth (about 9 minutes)
	@for name in teacher open_clip workers growth; do $(KEEP_MEMORY) $(VENV)/bin/python -m tests.benchmarks.bench_training_$$name || exit 1; done

bench-exam: $(READY) ## Measure the exam against the bare tower, and what students cost beside others (20 minutes)
	@for name in exam cost; do $(VENV)/bin/python -m tests.benchmarks.bench_$$name || exit 1; done

bench-export: $(READY) ## Measure int8 against float32: bytes, speed, accuracy of the student below ROOT (2 minutes)
	@$(VENV)/bin/python -m tests.benchmarks.bench_export --root $(ROOT)

ablation: $(READY) ## Train each technique on a finished run and compare (hours; ARGS="--steps 0.25" is a quarter)
	@$(KEEP_MEMORY) $(DCCLIP) ablation --root $(ROOT) $(ARGS)

manifests: $(READY) ## Render what a cluster needs, to dist/manifests/kind.yaml and cloud.yaml
	@$(VENV)/bin/python -m infra.render $(ARGS)

compile: $(READY) ## Compile the pipeline for a cluster, to dist/dcclip-full.yaml: one file for every recipe
	@$(DCCLIP) compile --output dist/dcclip-full.yaml $(ARGS)

images: ## Build the images of the steps with docker or podman (ARGS: see infra/images/README.md)
	@$(PYTHON) -m infra.images.build $(ARGS)

kind: $(READY) ## Make a cluster with kind and run the demo on it (docker, kind, helm; DRY_RUN=1 prints the commands)
	@$(VENV)/bin/python -m infra.kind $(if $(DRY_RUN),--dry-run) $(ARGS)

locks: $(READY) ## Write the images' locks and the table of licences anew (a minute)
	@$(VENV)/bin/python -m infra.images.lock $(ARGS)

test-images: $(READY) ## Build the CPU image for real and run the smoke recipe in containers (root, podman; 10 GB)
	@DCCLIP_TEST_IMAGES=1 $(VENV)/bin/python -m pytest tests/infra/test_images_smoke.py -s $(ARGS)

lint: $(READY) ## Check style and format
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .

clean: ## Remove results, keep the environment
	rm -rf $(ROOT) dist
