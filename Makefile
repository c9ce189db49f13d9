# make demo       set up, generate shapes, train Mask R-CNN on them, evaluate, draw
# make demo-seg   the same with Semantic FPN
# make demo-search  search for a network for the shapes and this machine: table, supernet, walk, picture
# make check      before a commit: ruff, mypy, the layers of the package, tests that are not slow (3 minutes of 2 cores)
# make test       set up, run the tests
# make test-all   with those that take minutes each: every network at large sizes, exported to every format
# make lint       set up, ruff; make types: mypy; make layers: which room may import which
# make setup      .venv alone; MMCV=compiled make setup compiles mmcv's own ops, which nothing here needs
PY := .venv/bin/python
# Each process of the tests has one thread; it takes some 2 GB. JOBS=8 make test on a larger machine.
JOBS ?= 2
PYTEST := $(PY) -m pytest -n $(JOBS) --dist loadfile
DEMO := configs/maskrcnn_v2_s0_shapes.py
DEMO_DIR := work_dirs/demo
DEMO_SEG := configs/semfpn_v2_s0_shapes.py
DEMO_SEG_DIR := work_dirs/demo_seg
DEMO_SEARCH := configs/search/joint_v2_shapes.py
DEMO_SEARCH_DIR := work_dirs/demo_search

.PHONY: help setup demo demo-seg demo-search check test test-all lint types layers

help:
	@sed -n 's/^# make/make/p' Makefile

setup:
	@tools/setup.sh

demo: setup
	$(PY) tools/train.py $(DEMO) --work-dir $(DEMO_DIR)
	$(PY) tools/test.py $(DEMO) $(DEMO_DIR) --work-dir $(DEMO_DIR) --show-dir $(DEMO_DIR)/pictures --show-count 12

demo-seg: setup
	$(PY) tools/train.py $(DEMO_SEG) --work-dir $(DEMO_SEG_DIR)
	$(PY) tools/test.py $(DEMO_SEG) $(DEMO_SEG_DIR) --work-dir $(DEMO_SEG_DIR) --show-dir $(DEMO_SEG_DIR)/pictures --show-count 12

demo-search: setup
	$(PY) tools/search.py joint $(DEMO_SEARCH) --size 128 --latency-share 0.4 --score loss --pictures 32 --work-dir $(DEMO_SEARCH_DIR)

check: lint types layers
	$(PYTEST) -m 'not slow and not minutes'

test: setup
	$(PYTEST) -m 'not minutes'

test-all: setup
	$(PYTEST)

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: setup
	$(PY) -m mypy

layers: setup
	.venv/bin/lint-imports --no-logo

